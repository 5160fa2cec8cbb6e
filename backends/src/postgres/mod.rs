//! The queues on PostgreSQL, and what they share.
//!
//! A backend here is one file of SQL (`schema/sql/<id>.sql`) and one file of Rust in `designs/` that runs it. Everything else is common:
//!
//! * `backend`: the seam, with a design filled in;
//! * `leased`: claims and acks of the designs whose jobs stay in their table (`schema/sql/leased.sql`);
//! * `settings`: what a queue is opened with; `address`: where the server is; `durability`: what a session asks of it;
//! * `sql_texts`: the SQL with the schema's name filled in;
//! * `connection`: one connection that bounds every round trip and reconnects by itself;
//! * `session_options`: who speaks to the server on it (`wire`, a client of our own, or sqlx; designs do not know which), and what its
//!   sessions are set to;
//! * `arguments`: what statements are given; `columns`: what their rows hold;
//! * `trouble`: what goes wrong on a connection; `failure`: what that means to the harness;
//! * `rows`: leases out of rows, ids out of leases;
//! * `announced`: statements that make jobs ready and say so; `listener`: the connection that hears of it;
//!   `notifier`: the one that says so for many statements at once;
//! * `producer` and `admin`: the same for every design (`schema/sql/queue.sql`); `namespace`, `ownership`, `describe` and `depth`
//!   are the admin's larger parts.
//!
//! A producer has a connection, a consumer has one for its claims and one for its acks. Where a claim is a transaction that the ack
//! ends, the two share one through a lock, which is held for a round trip and never while waiting for work.

mod address;
mod admin;
mod announced;
mod arguments;
mod backend;
mod binding;
mod columns;
mod connection;
mod depth;
mod describe;
mod designs;
mod durability;
mod failure;
mod leased;
mod listener;
mod namespace;
mod notifier;
mod ownership;
mod probe;
mod producer;
mod rows;
mod session_options;
mod settings;
mod sql_texts;
mod trouble;
mod tuning;
mod wire;

use std::num::NonZeroU32;

use crate::capability::{Capabilities, Wake};
use crate::entry::{EngineKind, Room};

/// A PostgreSQL server, 15 or newer.
pub const ENGINE: EngineKind = EngineKind {
    id: "postgresql",
    has_server: true,
    has_objects: true,
    // What the URL lacks stands in PGUSER and PGPASSWORD, which native backends find by themselves.
    for_other_processes: |url| url.with_variables(|name| std::env::var(name).ok()),
    probe: &probe::PostgresProbe,
    tuned: tuning::TUNED,
    tuned_objects: Some("the tables of the queue"),
};

/// Its queues.
pub static ROOM: Room = Room {
    engine: ENGINE,
    entries: &[
        designs::skip_locked::ENTRY,
        designs::delete_returning::ENTRY,
        designs::partitioned::ENTRY,
        designs::batch_sql::ENTRY,
        designs::advisory_lock::ENTRY,
    ],
};

/// Largest batch of any kind. PostgreSQL has no limit of its own here, because a batch is one array; this one bounds the
/// memory of a statement and how long it keeps its rows locked.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// The ways to wait that the backends of this engine know.
const WAKES: &[Wake] = &[Wake::Poll, Wake::Notify];

/// What the designs have in common that hold jobs by leases.
const CONTRACT: Capabilities = Capabilities::leased(WAKES, MAX_BATCH);
