//! Which process of this host a given PostgreSQL is.

use qbench_backends::ServerUrl;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

use crate::engine::TcpPlace;
use crate::services::given::{check_name, check_this_host, said};

/// Whether the server at `url` is on this host, as far as its address tells.
///
/// # Errors
/// Why not.
pub(super) fn check_here(url: &ServerUrl) -> Result<PgConnectOptions, String> {
    let options: PgConnectOptions = url.expose().parse().map_err(said)?;
    match options.get_socket() {
        Some(_) => {}
        None => check_this_host(options.get_host())?,
    }
    Ok(options)
}

/// Where it is reached over a network.
///
/// # Errors
/// Why there is no such place.
pub(super) fn place_of(url: &ServerUrl) -> Result<TcpPlace, String> {
    let options: PgConnectOptions = url.expose().parse().map_err(said)?;
    match options.get_socket() {
        Some(_) => Err("it is reached by a Unix socket".to_owned()),
        None => Ok(TcpPlace { host: options.get_host().to_owned(), ports: vec![options.get_port()] }),
    }
}

/// The postmaster: the parent of the process that serves a connection.
///
/// # Errors
/// Why it is not known.
pub(super) async fn find(url: &ServerUrl) -> Result<u32, String> {
    let options = check_here(url)?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(said)?;
    let row = sqlx::query("select pg_backend_pid()").fetch_one(&mut connection).await.map_err(said)?;
    let backend: i32 = row.try_get(0).map_err(said)?;
    // Judged while the connection is open: afterwards the backend has gone.
    let found = check_name(backend, &["postgres"]).and_then(|process| {
        let parent = process.stat().map_err(said)?.ppid;
        check_name(parent, &["postgres", "postmaster"])?;
        u32::try_from(parent).map_err(said)
    });
    // The answer is complete; how the connection ends does not matter any more.
    let _ = connection.close().await;
    found
}
