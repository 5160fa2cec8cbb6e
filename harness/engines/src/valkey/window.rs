//! Valkey's counters at one end of the measured window.

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_schema::result::Maintenance;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value, from_redis_value};

use super::info::{Info, connect};
use crate::monitor::server::{ServerCounters, WindowReader};

/// Asks for them.
pub(super) struct ValkeyCounters {
    url: ServerUrl,
    keys: Vec<String>,
    connection: Option<MultiplexedConnection>,
}

impl ValkeyCounters {
    /// `keys` are the backend's.
    pub(super) fn new(url: ServerUrl, keys: Vec<String>) -> Self {
        ValkeyCounters { url, keys, connection: None }
    }
}

#[async_trait]
impl WindowReader for ValkeyCounters {
    async fn connect(&mut self) -> Result<(), String> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.url).await.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    async fn read(&mut self, at_us: u64) -> Result<ServerCounters, String> {
        let Some(mut connection) = self.connection.take() else { return Err("not connected".to_owned()) };
        // After an error the connection is given up.
        let (info, keys_bytes) = ask(&mut connection, &self.keys).await.map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok(ServerCounters {
            log: info.log_size(at_us),
            memory_bytes: Some(keys_bytes),
            maintenance: Maintenance {
                snapshots: info.get("rdb_saves"),
                log_rewrites: info.get("aof_rewrites"),
                ..Maintenance::default()
            },
            ..ServerCounters::default()
        })
    }
}

/// INFO, and the memory of all keys together. A key that is not there yet takes none.
async fn ask(connection: &mut MultiplexedConnection, keys: &[String]) -> Result<(Info, u64), RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("INFO").arg("persistence");
    for key in keys {
        // With the default number of samples this costs microseconds, however long the stream.
        pipeline.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let mut replies: Vec<Value> = pipeline.query_async(connection).await?;
    let bytes: Vec<Option<u64>> = replies.drain(1..).map(from_redis_value).collect::<Result<_, _>>()?;
    let info: String = from_redis_value(replies.remove(0))?;
    Ok((Info::parse(&info), bytes.into_iter().flatten().sum()))
}
