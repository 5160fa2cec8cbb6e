//! What the tests of this folder share.

use std::time::Duration;

use qbench_backends::{BackendConfig, BackendOptions, ClientCounters, Wake};
use qbench_schema::result::Durability;

/// A configuration for backends that live in this process.
pub fn in_process() -> BackendConfig {
    BackendConfig {
        url: None,
        namespace: "qbench_test".to_owned(),
        durability: Durability::D0,
        lease: Duration::from_secs(30),
        wake: Wake::Block,
        poll_interval: Duration::from_millis(10),
        workers: 1,
        timeout: Duration::from_secs(5),
        options: BackendOptions::default(),
        counters: ClientCounters::default(),
    }
}
