//! Servers that run already: which process they are, for the accounting of roles.

use std::time::Duration;

use qbench_backends::EngineKind;
use qbench_backends::ServerUrl;
use redis::ConnectionAddr;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

/// Limit on asking a server for its process.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// A server that somebody else started. Nothing of it is changed or ended.
#[derive(Debug, Clone)]
pub struct ExternalServer {
    url: ServerUrl,
    pid: Result<u32, String>,
}

impl ExternalServer {
    /// A PostgreSQL at `url`. A server that cannot be reached is no error here: the backend's own connection says so in
    /// its own words.
    pub async fn postgres(url: ServerUrl) -> Self {
        let pid = within_limit(postmaster(&url)).await;
        ExternalServer { url, pid }
    }

    /// A Valkey or Redis at `url`; see [`ExternalServer::postgres`].
    pub async fn valkey(url: ServerUrl) -> Self {
        let pid = within_limit(valkey_process(&url)).await;
        ExternalServer { url, pid }
    }

    /// Its address as given.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Its main process on this host.
    ///
    /// # Errors
    /// Why it is not known, as a sentence for the notes of a result.
    pub fn pid(&self) -> Result<u32, &str> {
        self.pid.as_ref().copied().map_err(String::as_str)
    }
}

/// Whether the server of `engine` at `url` is on this host, as far as its address tells.
pub fn is_on_this_host(engine: EngineKind, url: &ServerUrl) -> bool {
    match engine {
        EngineKind::Postgres => url.expose().parse().is_ok_and(|options| postgres_is_here(&options).is_ok()),
        EngineKind::Valkey => redis::Client::open(url.expose()).is_ok_and(|client| valkey_is_here(&client).is_ok()),
        EngineKind::InProcess | EngineKind::Sqlite => true,
    }
}

fn postgres_is_here(options: &PgConnectOptions) -> Result<(), String> {
    match options.get_socket() {
        Some(_) => Ok(()),
        None => check_loopback(options.get_host()),
    }
}

fn valkey_is_here(client: &redis::Client) -> Result<(), String> {
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => check_loopback(host),
        _ => Ok(()),
    }
}

async fn within_limit(question: impl Future<Output = Result<u32, String>>) -> Result<u32, String> {
    let answer = match tokio::time::timeout(ASK_LIMIT, question).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("it did not answer within {} s", ASK_LIMIT.as_secs())),
    };
    answer.map_err(|reason| format!("the process of the given server is not accounted: {reason}"))
}

async fn postmaster(url: &ServerUrl) -> Result<u32, String> {
    let options: PgConnectOptions = url.expose().parse().map_err(said)?;
    postgres_is_here(&options)?;
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

async fn valkey_process(url: &ServerUrl) -> Result<u32, String> {
    let client = redis::Client::open(url.expose()).map_err(said)?;
    valkey_is_here(&client)?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(said)?;
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(said)?;
    let pid: u32 = info.get("process_id").ok_or("INFO does not tell its process_id")?;
    check_name(i32::try_from(pid).map_err(said)?, &["valkey-server", "redis-server"])?;
    Ok(pid)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn check_loopback(host: &str) -> Result<(), String> {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => address.eq_ignore_ascii_case("localhost"),
    };
    if loopback { Ok(()) } else { Err(format!("{host} is not this host")) }
}

/// The process `pid` of this host, when its name is one of `names`. A server behind a forwarded port or in a container
/// tells a pid that means nothing here, or somebody else.
fn check_name(pid: i32, names: &[&str]) -> Result<procfs::process::Process, String> {
    let process = procfs::process::Process::new(pid)
        .map_err(|_| format!("its process {pid} is not visible here (a container, or a forwarded port?)"))?;
    let comm = process.stat().map_err(said)?.comm;
    if names.iter().any(|name| comm.starts_with(name)) {
        Ok(process)
    } else {
        Err(format!("process {pid} of this host is {comm:?} and not the server (a container, or a forwarded port?)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_whether_its_server_is_here() {
        for (engine, url, is_here) in [
            (EngineKind::Postgres, "postgres://ann@127.0.0.1:5432/x", true),
            (EngineKind::Postgres, "postgres://ann@db.example.org/x", false),
            (EngineKind::Valkey, "redis://localhost:6379", true),
            (EngineKind::Valkey, "redis://192.0.2.1:6379", false),
            (EngineKind::Valkey, "no address", false),
        ] {
            assert_eq!(is_on_this_host(engine, &ServerUrl::new(url)), is_here, "{url}");
        }
    }

    #[test]
    fn only_loopback_is_this_host() {
        for host in ["127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"] {
            assert!(check_loopback(host).is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "db.example.org", "0.0.0.0", "localhost.example.org"] {
            assert!(check_loopback(host).is_err(), "{host}");
        }
    }
}
