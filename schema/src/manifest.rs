//! `<run>_manifest.json`: everything that is needed to run it again. Holds no secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What ran, with what, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Same as in `result.json`.
    pub run_id: String,
    /// `qbench` version.
    pub qbench_version: String,
    /// Git revision of the harness's source, with `-dirty` when it had local changes; `unknown` outside a checkout.
    pub git_revision: String,
    /// Arguments as given, passwords masked.
    pub command_line: Vec<String>,
    /// Every resolved setting, by its command-line name, with where it came from.
    pub configuration: BTreeMap<String, ConfiguredValue>,
    /// The scenario as resolved, flattened to `table.key` and the value as TOML writes it.
    pub scenario: BTreeMap<String, String>,
    /// Seed as asked for: of the order, and of what each block draws.
    pub seed: u64,
    /// What arrivals and failing jobs of this block were drawn from; made of the seed and the block's number.
    #[serde(default)]
    pub block_seed: u64,
    /// Hash of the study that the run belongs to, written down before it; absent outside of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<String>,
    /// Delivery contract, wake-ups and limits that the backend declared.
    pub capabilities: BTreeMap<String, String>,
    /// Servers, as they describe themselves.
    pub servers: Vec<ServerDescription>,
    /// The machine of the server, where that is watched by an observer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_host: Option<Host>,
    /// What lies between clients and server that a run put there, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
    /// The machine.
    pub host: Host,
    /// Clock that every instant comes from, for instance `CLOCK_MONOTONIC`, and the kernel's clock source below it.
    pub clock: String,
    /// Priorities and limits that the harness could or could not set, one sentence each.
    pub scheduling: Vec<String>,
}

/// One resolved setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredValue {
    /// Its value as the command line would take it.
    pub value: String,
    /// `flag`, `environment`, `file`, `plan`, `scenario`, `profile` or `default`.
    pub source: String,
}

/// A live server as it described itself just before the measured phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDescription {
    /// `server` (under test) or `background`.
    pub role: String,
    /// Product name, for instance `postgresql`, `valkey` or `redis`.
    pub engine: String,
    /// Version as the server tells it.
    pub version: String,
    /// True when the harness started it for this run.
    pub private: bool,
    /// Host and port or socket; never credentials.
    pub address: String,
    /// Settings that can move a number, as read back from the live server.
    pub settings: BTreeMap<String, String>,
}

/// The machine that the run was on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub hostname: String,
    /// Distribution and version.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// CPU model.
    pub cpu_model: String,
    /// Logical cores.
    pub cpu_count: u32,
    /// Physical memory in bytes.
    pub memory_bytes: u64,
    /// File system that private servers keep their data on, for instance `ext4`.
    pub data_filesystem: String,
    /// CPU frequency governor, where the host tells.
    pub cpu_governor: Option<String>,
}
