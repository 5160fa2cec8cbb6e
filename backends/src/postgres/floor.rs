//! What a client costs when the server has nothing to do: the floor under every statement (METHODOLOGY M8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connection::Link;
use super::settings::{Role, Settings};
use super::sql_texts::prepared;
use crate::config::BackendConfig;
use crate::error::{Error, ErrorKind, Result};

/// Runs a statement that does nothing on `connections` sessions such as a producer of `config` has, one after the other on each,
/// for `length`. Returns how many were answered. Needs no queue.
///
/// # Errors
/// Those of the configuration and of connecting, and the first error of any session.
pub async fn wire_floor(config: &BackendConfig, connections: u32, length: Duration) -> Result<u64> {
    let settings = Arc::new(Settings::new("floor", config)?);
    let statement = prepared("SELECT 1".to_owned());
    let mut sessions = JoinSet::<Result<u64>>::new();
    let mut links = Vec::new();
    for _ in 0..connections {
        links.push(Link::open(&settings, Role::Producer).await?);
    }
    let end = Instant::now() + length;
    for mut link in links {
        let statement = statement.clone();
        sessions.spawn(async move {
            let mut answered = 0;
            while Instant::now() < end {
                answered += link.run("do nothing", &statement, (), |_| Ok(())).await?;
            }
            Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(ended) = sessions.join_next().await {
        answered += ended.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Server, "measure the floor of the wire", panic.to_string()))
        })?;
    }
    Ok(answered)
}
