//! Values out of replies.

use std::collections::BTreeMap;

use redis::Value;

/// The members of an array reply.
pub(super) fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(members) => Some(members),
        _ => None,
    }
}

/// A reply as text.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// A reply as a count.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Int(count) => u64::try_from(*count).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// A flat list of names and values as a table; values that are neither text nor number are left out.
pub(super) fn fields(list: Vec<Value>) -> BTreeMap<String, String> {
    list.chunks_exact(2)
        .filter_map(|pair| {
            let value = match &pair[1] {
                Value::Int(number) => number.to_string(),
                other => text(other)?.to_owned(),
            };
            Some((text(&pair[0])?.to_owned(), value))
        })
        .collect()
}
