//! What the live server is, and what it promises.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// Settings that can move a number (`CONFIG GET`); those that a version does not know are simply absent.
pub(super) const SETTINGS: &[&str] = &[
    "activedefrag",
    "aof-use-rdb-preamble",
    "appendfsync",
    "appendonly",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "dynamic-hz",
    "hz",
    "io-threads",
    "io-threads-do-reads",
    "latency-monitor-threshold",
    "latency-tracking",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "maxmemory",
    "maxmemory-policy",
    "no-appendfsync-on-rewrite",
    "rdbcompression",
    "save",
    "server_cpulist",
    "slowlog-log-slower-than",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "tcp-backlog",
];

/// Fields of `INFO` that belong in the same table.
pub(super) const INFO_FIELDS: &[&str] = &["gcc_version", "mem_allocator", "multiplexing_api", "os", "server_mode"];

/// `INFO`, field by field.
pub(super) fn parse_info(info: &str) -> BTreeMap<String, String> {
    info.lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .collect()
}

/// A server product and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    /// `valkey` or `redis`.
    pub(super) engine: &'static str,
    /// As the server tells it.
    pub(super) version: String,
}

/// Product behind an `INFO`. A Valkey also tells a `redis_version`, the one that it is compatible with; its own is what counts.
///
/// # Errors
/// [`ErrorKind::Connect`] for a product or version that lacks what we use (XAUTOCLAIM with deleted ids, ENTRIESREAD).
pub(super) fn identify(context: String, info: &BTreeMap<String, String>) -> Result<Product> {
    let (engine, version, oldest) = match (info.get("valkey_version"), info.get("redis_version")) {
        (Some(version), _) => ("valkey", version, 8),
        (None, Some(version)) => ("redis", version, 7),
        (None, None) => {
            let message =
                "the server names neither a Valkey nor a Redis version; use Valkey 8 or newer, or Redis 7 or newer";
            return Err(Error::new(ErrorKind::Connect, context, message));
        }
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
    if major < oldest {
        let message = format!("the server is {engine} {version}; use Valkey 8 or newer, or Redis 7 or newer");
        return Err(Error::new(ErrorKind::Connect, context, message));
    }
    Ok(Product { engine, version: version.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valkey_is_not_called_a_redis() {
        let info = parse_info("# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n");
        let product = identify(String::new(), &info).expect("new enough");
        assert_eq!((product.engine, product.version.as_str()), ("valkey", "8.0.1"));
        let info = parse_info("redis_version:7.4.2\r\n");
        assert_eq!(identify(String::new(), &info).expect("new enough").engine, "redis");
    }

    #[test]
    fn an_old_or_unknown_server_is_refused_with_what_to_use() {
        for info in ["redis_version:6.2.1\r\n", "valkey_version:7.2.5\r\nredis_version:7.2.4\r\n", "other:1\r\n"] {
            let error = identify("describe".to_owned(), &parse_info(info)).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Connect);
            assert!(error.to_string().contains("use Valkey 8 or newer"), "{error}");
        }
    }
}
