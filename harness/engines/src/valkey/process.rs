//! Which process of this host a given Valkey is.

use qbench_backends::ServerUrl;
use redis::{Client, ConnectionAddr};

use crate::engine::TcpPlace;
use crate::services::given::{check_name, check_this_host, said};

/// Whether the server at `url` is on this host, as far as its address tells.
///
/// # Errors
/// Why not.
pub(super) fn check_here(url: &ServerUrl) -> Result<Client, String> {
    let client = Client::open(url.expose()).map_err(said)?;
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => check_this_host(host)?,
        _ => {}
    }
    Ok(client)
}

/// Where it is reached over a network.
///
/// # Errors
/// Why there is no such place.
pub(super) fn place_of(url: &ServerUrl) -> Result<TcpPlace, String> {
    match Client::open(url.expose()).map_err(said)?.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) => Ok(TcpPlace { host: host.clone(), ports: vec![*port] }),
        ConnectionAddr::TcpTls { .. } => Err("it is reached by TLS, which names its host".to_owned()),
        _ => Err("it is reached by a Unix socket".to_owned()),
    }
}

/// Its one process, which it tells itself.
///
/// # Errors
/// Why it is not known.
pub(super) async fn find(url: &ServerUrl) -> Result<u32, String> {
    let client = check_here(url)?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(said)?;
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(said)?;
    let pid: u32 = info.get("process_id").ok_or("INFO does not tell its process_id")?;
    check_name(i32::try_from(pid).map_err(said)?, &["valkey-server", "redis-server"])?;
    Ok(pid)
}
