//! Queue implementations behind one seam, the registry that knows them by name, and the suite that tells whether they are right.
//!
//! Reading order: [`job`] (what travels), [`seam`] (the traits), [`capability`] (what an implementation states about
//! itself), [`registry`] (the one place with ids), then any backend module. A new backend is one file, one line in the
//! registry, and a green run of [`conformance`].

pub mod capability;
pub mod config;
pub mod conformance;
pub mod counters;
pub mod entry;
pub mod error;
pub mod external;
pub mod job;
mod memory;
mod null;
mod postgres;
pub mod registry;
pub mod seam;
mod sqlite;
mod valkey;
pub mod url;
mod waiting;

pub use capability::{AckBuffer, Capabilities, Order, Recovery, Wake};
pub use config::{BackendConfig, BackendOptions};
pub use counters::ClientCounters;
pub use entry::{EngineKind, Entry, OptionSpec};
pub use error::{Error, ErrorKind, Result};
pub use job::{JobId, Lease, LeaseToken, NewJob, ProducerId, WorkerId};
pub use seam::{AckStatus, Acker, Admin, Backend, Census, Claimer, Consumer, Depth, Description, Producer, WorkResult};
pub use url::ServerUrl;
