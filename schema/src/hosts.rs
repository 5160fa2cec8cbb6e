//! `hosts.json`: which host makes which part of a matrix, so that it can be found again, collected and read as one.

use serde::{Deserialize, Serialize};

/// Which cells run where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Each queue on one host: PostgreSQL's on the first, Valkey's on the second.
    Split,
    /// Every queue on every host: what is of a host is told apart from what is of a queue.
    Crossover,
}

/// The record of one matrix on several hosts, in its output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsRecord {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Which cells run where.
    pub design: Design,
    /// Name of the matrix in the work folder of each host: `matrices/<key>`.
    pub key: String,
    /// The hosts.
    pub hosts: Vec<HostPart>,
}

/// What one host does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPart {
    /// Its name in `hosts.toml`.
    pub name: String,
    /// Folder of its results, beside this file.
    pub folder: String,
    /// Arguments of `qbench matrix` there; no secrets.
    pub arguments: Vec<String>,
}
