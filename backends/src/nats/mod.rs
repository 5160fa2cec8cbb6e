//! The queue on a NATS server with JetStream, and what a second one would share with it.
//!
//! * `settings`: what a queue is opened with, and the names of what it keeps on the server;
//! * `address`: the parts of a URL; `monitoring`: the server's own account of itself, over HTTP;
//! * `connection`: a connection that mends itself; `failure`: what an answer of the server means to the harness;
//! * `ownership`: whose a stream is; `describe`: what the server is; `durability`: what it promises;
//! * `designs/`: the queue.
//!
//! Everything of a queue is one stream, named `<namespace>-<id>`, with its only consumer. The lock of a run on a server that was given
//! is another one, `<namespace>-lock`. Nothing else on the server is touched, ever.

mod address;
mod connection;
mod describe;
mod designs;
mod durability;
mod failure;
mod monitoring;
mod ownership;
mod probe;
mod settings;
mod tuning;

use std::num::NonZeroU32;

use crate::capability::Wake;
use crate::entry::{EngineKind, Room};

pub use address::Address;
/// The client library, for the harness's side of this room.
pub use async_nats as client;
pub use connection::connect;
pub use describe::{OLDEST, is_new_enough};
pub use monitoring::read as read_monitoring;

/// A NATS server, 2.12.2 or newer, with JetStream.
pub const ENGINE: EngineKind = EngineKind {
    id: "nats",
    has_server: true,
    has_objects: true,
    for_other_processes: Address::without_system,
    probe: &probe::NatsProbe,
    tuned: tuning::TUNED,
    tuned_objects: None,
};

/// Its queue.
pub static ROOM: Room = Room { engine: ENGINE, entries: &[designs::jetstream::ENTRY] };

/// Most jobs per call. In D2 the server syncs message by message, so that a call of thousands would outlast its limit; and the
/// server takes only some thousands of messages that it has not stored yet.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// The ways to wait that the backends of this engine know.
const WAKES: &[Wake] = &[Wake::Block, Wake::Poll];
