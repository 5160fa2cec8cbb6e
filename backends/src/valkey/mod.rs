//! The queues on Valkey (or Redis), and what they share.
//!
//! A backend here is one file of Rust in `designs/` with its scripts in a folder of the same name:
//!
//! * `streams`: `valkey_streams`, one stream with a consumer group;
//! * `list`: `valkey_list`, a list of what is ready and a list per consumer of what it holds.
//!
//! Everything else is common:
//!
//! * `settings`: what a queue is opened with, and the names of its keys;
//! * `connection`: a connection that mends itself, over a `socket`, and `resp`: how a reply is read from its bytes;
//! * `failure`: what an error of the server means to the harness;
//! * `control`: the part of the control side that is the same for every design; `ownership`: whose keys they are;
//! * `describe`: what the server is; `durability`: what its settings promise;
//! * `reply`: values out of replies.
//!
//! All keys of a queue start with `<namespace>:<id>:`, but for `<namespace>:owner`, which says that the others are ours.
//! Nothing else on the server is touched, ever.

mod connection;
mod control;
mod describe;
mod designs;
mod durability;
mod failure;
mod ownership;
mod probe;
mod reply;
mod resp;
mod settings;
mod socket;
mod tuning;

use std::num::NonZeroU32;

use crate::capability::{Capabilities, Wake};
use crate::entry::{EngineKind, Room};

/// A Valkey server, 8 or newer, or a Redis that speaks the same protocol.
pub const ENGINE: EngineKind = EngineKind {
    id: "valkey",
    has_server: true,
    has_objects: true,
    for_other_processes: std::convert::identity,
    probe: &probe::ValkeyProbe,
    tuned: tuning::TUNED,
    tuned_objects: None,
};

/// Its queues.
pub static ROOM: Room = Room { engine: ENGINE, entries: &[designs::streams::ENTRY, designs::list::ENTRY] };

/// Most jobs per call: keeps one pipeline's request and reply within some tens of megabytes at ordinary payloads.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// The ways to wait that the backends of this engine know.
const WAKES: &[Wake] = &[Wake::Block, Wake::Poll];

/// The contract of these designs.
const CONTRACT: Capabilities = Capabilities::leased(WAKES, MAX_BATCH);
