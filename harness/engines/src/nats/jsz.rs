//! What the monitoring endpoint says of the server, and of the backend's streams.

use qbench_backends::ServerUrl;
use qbench_backends::nats::{Address, read_monitoring};
use serde_json::Value;

use crate::monitor::server::ANSWER_LIMIT;
use crate::services::given::said;

/// Streams of all accounts with their consumers: which account is ours, the server does not tell.
const STREAMS: &str = "/jsz?accounts=true&streams=true&consumers=true&config=true";

/// What streams hold, and what of it is with consumers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamUse {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Of these, in memory; `None` where they are in files.
    pub(super) memory_bytes: Option<u64>,
    pub(super) ready: u64,
    pub(super) in_flight: u64,
    pub(super) redelivered: u64,
    pub(super) waiting_pulls: u64,
}

/// Asks the server at `url` for its account of JetStream.
///
/// # Errors
/// What went wrong.
pub(super) async fn read(url: &ServerUrl) -> Result<Value, String> {
    document(url, STREAMS).await
}

/// Asks the server at `url` for one of its documents.
///
/// # Errors
/// What went wrong.
pub(super) async fn document(url: &ServerUrl, path: &str) -> Result<Value, String> {
    read_monitoring(&Address::parse(url).map_err(said)?, path, ANSWER_LIMIT).await
}

/// The field at `pointer` as a count, zero where there is none.
pub(super) fn count(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The backend's `streams` together; `None` while there is none.
pub(super) fn use_of(jsz: &Value, streams: &[String]) -> Option<StreamUse> {
    fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
        value[key].as_array().map_or(&[], Vec::as_slice)
    }
    let mut total = None;
    for account in list(jsz, "account_details") {
        for stream in list(account, "stream_detail") {
            if !stream["name"].as_str().is_some_and(|name| streams.iter().any(|ours| ours == name)) {
                continue;
            }
            let sum: &mut StreamUse = total.get_or_insert_default();
            sum.messages += count(stream, "/state/messages");
            sum.bytes += count(stream, "/state/bytes");
            if stream["config"]["storage"] == "memory" {
                *sum.memory_bytes.get_or_insert_default() += count(stream, "/state/bytes");
            }
            for consumer in list(stream, "consumer_detail") {
                sum.ready += count(consumer, "/num_pending");
                sum.in_flight += count(consumer, "/num_ack_pending");
                sum.redelivered += count(consumer, "/num_redelivered");
                sum.waiting_pulls += count(consumer, "/num_waiting");
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_streams_count_whatever_their_account() {
        let consumer =
            |pending: u64| serde_json::json!({"num_pending": pending, "num_ack_pending": 2, "num_waiting": 1});
        let stream = |name: &str| {
            serde_json::json!({
                "name": name,
                "config": {"storage": if name == "ours" { "memory" } else { "file" }},
                "state": {"messages": 7, "bytes": 700},
                "consumer_detail": [consumer(5)],
            })
        };
        let jsz = serde_json::json!({"account_details": [
            {"stream_detail": [stream("theirs")]},
            {"stream_detail": [stream("ours"), stream("other")]},
            {},
        ]});
        let expected = StreamUse {
            messages: 7,
            bytes: 700,
            memory_bytes: Some(700),
            ready: 5,
            in_flight: 2,
            redelivered: 0,
            waiting_pulls: 1,
        };
        assert_eq!(use_of(&jsz, &["ours".to_owned()]), Some(expected));
        assert_eq!(use_of(&jsz, &["other".to_owned()]).map(|other| other.memory_bytes), Some(None), "it is in files");
        assert_eq!(use_of(&jsz, &["nobody's".to_owned()]), None);
    }
}
