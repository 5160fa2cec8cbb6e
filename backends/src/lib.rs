//! Queue implementations behind one seam, the registry that knows them by name, and the suite that tells whether they are right.
//!
//! Reading order: [`job`] (what travels), [`seam`] (the traits), [`capability`] (what an implementation states about
//! itself), [`entry`] (how it is known by name), then the room of any product: [`postgres`], [`valkey`], [`nats`], [`sqlite`],
//! [`in_process`], or [`external`] for programs in other languages. [`registry`] finds entries by name, and [`conformance`]
//! tells whether a backend is right. A new design is one file and one line in the list of its room; a new product is one
//! folder and two lines here.

pub mod capability;
mod claimer;
pub mod config;
pub mod conformance;
pub mod counters;
pub mod entry;
pub mod error;
pub mod external;
pub mod in_process;
pub mod job;
pub mod nats;
pub mod postgres;
pub mod probe;
pub mod registry;
pub mod seam;
pub mod sqlite;
mod sync;
pub mod url;
pub mod valkey;

pub use capability::{AckBuffer, Capabilities, Connections, Order, Recovery, Wake};
pub use config::{BackendConfig, BackendOptions};
pub use counters::ClientCounters;
pub use entry::{EngineKind, Entry, OptionSpec, Room, TunedSetting};
pub use error::{Error, ErrorKind, Result};
pub use job::{JobId, Lease, LeaseToken, NewJob, ProducerId, WorkerId};
pub use seam::{AckStatus, Acker, Admin, Backend, Census, Claimer, Consumer, Depth, Description, Producer, WorkResult};
pub use url::ServerUrl;

/// The rooms, in the order in which tables and charts show their queues.
pub static ROOMS: &[&Room] = &[&postgres::ROOM, &valkey::ROOM, &nats::ROOM, &sqlite::ROOM, &in_process::ROOM];
