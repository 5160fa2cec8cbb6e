//! What the live server is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// Oldest version: before it, a pull that does not wait could stay without an answer while others wait.
pub const OLDEST: &str = "2.12.2";

/// Fields of `/varz` that can move a number.
const VARZ_FIELDS: &[&str] =
    &["cores", "gomaxprocs", "gomemlimit", "max_connections", "max_pending", "max_payload", "write_deadline"];

/// Fields of `/varz` about JetStream.
const JETSTREAM_FIELDS: &[&str] = &["max_memory", "max_storage", "sync_always", "sync_interval"];

/// Whether a server of this version (`2.15.1`) has what we use.
pub fn is_new_enough(version: &str) -> bool {
    let number = |text: &str| -> Option<Vec<u32>> { text.split('.').map(|part| part.parse().ok()).collect() };
    number(version.split('-').next().unwrap_or_default()).is_some_and(|found| Some(found) >= number(OLDEST))
}

/// Refuses a server that lacks what we use.
///
/// # Errors
/// [`ErrorKind::Connect`] for a version that is too old, or is none.
pub(super) fn check_version(context: String, version: &str) -> Result<()> {
    if is_new_enough(version) {
        return Ok(());
    }
    let message = format!("the server is nats {version}; use NATS {OLDEST} or newer");
    Err(Error::new(ErrorKind::Connect, context, message))
}

/// The settings in a `/varz` that can move a number.
pub(super) fn settings(varz: &Value) -> BTreeMap<String, String> {
    let jetstream = &varz["jetstream"]["config"];
    let fields = VARZ_FIELDS.iter().map(|field| (*field, &varz[*field]));
    let of_jetstream = JETSTREAM_FIELDS.iter().map(|field| (*field, &jetstream[*field]));
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields
        .map(|(field, value)| (field.to_owned(), value))
        .chain(of_jetstream.map(|(field, value)| (format!("jetstream.{field}"), value)))
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field, shown(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_unknown_server_is_refused_with_what_to_use() {
        for version in ["2.12.2", "2.15.1", "3.0.0-dev"] {
            check_version(String::new(), version).expect(version);
        }
        for version in ["2.12.1", "2.10.27", "1.4", "", "new"] {
            let error = check_version("describe".to_owned(), version).expect_err(version);
            assert_eq!(error.kind(), ErrorKind::Connect);
            assert!(error.to_string().contains("use NATS 2.12.2 or newer"), "{error}");
        }
    }

    #[test]
    fn settings_are_those_that_the_server_tells() {
        let varz = serde_json::json!({"cores": 2, "jetstream": {"config": {"sync_interval": 120000000000_u64}}});
        let settings = settings(&varz);
        let shown: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(shown, [("cores", "2"), ("jetstream.sync_interval", "120000000000")]);
    }
}
