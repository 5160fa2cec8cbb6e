//! What the tests of this folder share.

use std::time::Duration;

use qbench_backends::{BackendConfig, Wake};
use qbench_schema::result::Durability;

/// A configuration for backends that live in this process.
pub fn in_process() -> BackendConfig {
    BackendConfig {
        durability: Durability::D0,
        wake: Wake::Block,
        timeout: Duration::from_secs(5),
        ..BackendConfig::new("qbench_test")
    }
}
