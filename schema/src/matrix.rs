//! `matrix.json`: what a matrix was started with, so that it can only be resumed with the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The record of one matrix, in its output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixRecord {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Seed of the order of runs.
    pub seed: u64,
    /// Blocks (repeats); 1 keeps the files flat, more give each block a folder.
    pub blocks: u32,
    /// Every setting that all runs share, by its command-line name, and what is varied between them; no secrets.
    pub configuration: BTreeMap<String, String>,
}
