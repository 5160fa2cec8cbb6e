//! Everything with a fixed shape: the record type of every result file, the names of those files, and the SQL.
//!
//! Writers (the harness) and readers (analysis, orchestration) use the same types, so a file cannot drift from its
//! reader. This crate knows no other crate of the workspace and does no work beyond (de)serialising and the definition of what
//! a figure of a row is.
//!
//! Conventions: units stand last in every name; instants are microseconds on one monotonic clock, counted from the
//! start of the run; `Option` means "this machine or this engine could not tell", never zero.

pub mod calibration;
pub mod capacity;
pub mod comparison;
pub mod files;
pub mod latency;
pub mod load;
pub mod manifest;
pub mod matrix;
pub mod progress;
pub mod record;
pub mod result;
pub mod round_trip;
pub mod server_stats;
pub mod sql;
pub mod study;
pub mod summary;
pub mod system;
pub mod variant;

/// Version of the result files. It changes when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;
