//! The connection of the monitors, and what INFO says over it.

use std::collections::HashMap;

use qbench_backends::ServerUrl;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};

use crate::monitor::server::{ANSWER_LIMIT, CLIENT_NAME, CONNECT_LIMIT, LogSize};

/// Connects to the server at `url`.
pub(super) async fn connect(url: &ServerUrl) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(Some(ANSWER_LIMIT));
    let client = Client::open(url.expose())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME).exec_async(&mut connection).await?;
    Ok(connection)
}

/// The reply of INFO: fields by name.
pub(super) struct Info(HashMap<String, String>);

impl Info {
    pub(super) fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Info(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A field as a number; `None` where the server does not have it.
    pub(super) fn get<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.parse().ok()
    }

    /// A field as a count, zero where the server does not have it.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.get(name).unwrap_or(0)
    }

    /// Size of the append-only file at `at_us`; `None` while there is none.
    pub(super) fn log_size(&self, at_us: u64) -> Option<LogSize> {
        (self.count("aof_enabled") == 1).then(|| LogSize {
            at_us,
            bytes: self.count("aof_current_size"),
            rewritten_bytes: self.count("aof_base_size"),
        })
    }

    /// `field` of `cmdstat_<command>`, a line such as `calls=21,usec=175,usec_per_call=8.33`.
    pub(super) fn command(&self, command: &str, field: &str) -> u64 {
        let value = |line: &String| {
            line.split(',')
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| *name == field)
                .and_then(|(_, value)| value.parse().ok())
        };
        self.0.get(&format!("cmdstat_{command}")).and_then(value).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_gives_fields_and_the_statistics_of_commands() {
        let info = Info::parse(
            "# Memory\r\nused_memory:1024\r\n\r\n# CPU\r\nused_cpu_sys_main_thread:1.5\r\n# Commandstats\r\n\
             cmdstat_xadd:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0\r\n",
        );
        assert_eq!(info.count("used_memory"), 1024);
        assert_eq!(info.get("used_cpu_sys_main_thread"), Some(1.5));
        assert_eq!((info.command("xadd", "calls"), info.command("xadd", "usec")), (21, 175));
        assert_eq!(info.command("xdel", "calls"), 0, "a command that was never used has no line");
    }
}
