//! The one place that knows backends by name.

use std::sync::Arc;

use crate::config::BackendConfig;
use crate::error::Result;
use crate::seam::Backend;

/// What a backend must be given a server of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// A PostgreSQL server, 15 or newer.
    Postgres,
    /// A Valkey server, 8 or newer, or a Redis that speaks the same protocol.
    Valkey,
    /// Nothing: it lives in this process.
    InProcess,
}

/// One option of a backend, set with `--set KEY=VALUE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its key.
    pub key: &'static str,
    /// Value when it is not given.
    pub default: &'static str,
    /// One sentence: what it does and which values it takes.
    pub help: &'static str,
}

/// A backend that can be opened by name.
pub struct Entry {
    /// Its id on the command line and in every file.
    pub id: &'static str,
    /// What it must be given.
    pub engine: EngineKind,
    /// One sentence for `qbench list backends`.
    pub summary: &'static str,
    /// Its own options.
    pub options: &'static [OptionSpec],
    /// Opens it with a configuration. Does not connect.
    pub open: fn(&BackendConfig) -> Result<Arc<dyn Backend>>,
}

/// Every backend, in the order in which tables and charts show them.
pub static BACKENDS: &[Entry] = &[];

/// The entry of `id`, if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    BACKENDS.iter().find(|entry| entry.id == id)
}
