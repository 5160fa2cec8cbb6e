//! The queues on PostgreSQL, and what they share.
//!
//! A backend here is one file of SQL (`schema/sql/<id>.sql`) and one file of Rust that runs it. Everything else is common:
//!
//! * [`backend`]: the seam, with a design filled in;
//! * [`leased`]: claims and acks of the designs whose jobs stay in their table (`schema/sql/leased.sql`);
//! * [`target`]: where the queue is and how sessions are set up there;
//! * [`statements`]: the SQL with the schema's name filled in;
//! * [`link`]: one connection that bounds every round trip and reconnects by itself;
//! * [`failure`]: what an error of the server or the driver means to the harness;
//! * [`rows`]: leases out of rows, ids out of leases;
//! * [`waiting`]: a claim that waits for work, by polling or as [`notify`] tells it;
//! * [`producer`] and [`admin`]: the same for every design (`schema/sql/queue.sql`); [`namespace`], [`describe`] and [`depth`]
//!   are the admin's larger parts.
//!
//! A producer has a connection of its own. A consumer has one that its claimer and its acker share through a lock, which
//! is held for a round trip and never while waiting for work.

mod admin;
mod advisory_lock;
mod backend;
mod batch_sql;
mod delete_returning;
mod depth;
mod describe;
mod failure;
mod leased;
mod link;
mod namespace;
mod notify;
mod partitioned;
mod producer;
mod rows;
mod skip_locked;
mod statements;
mod target;
mod waiting;

pub(crate) use advisory_lock::ENTRY as ADVISORY_LOCK;
pub(crate) use batch_sql::ENTRY as BATCH_SQL;
pub(crate) use delete_returning::ENTRY as DELETE_RETURNING;
pub(crate) use partitioned::ENTRY as PARTITIONED;
pub(crate) use skip_locked::ENTRY as SKIP_LOCKED;

use std::num::NonZeroU32;

use crate::capability::{Capabilities, Wake};

/// Largest batch of any kind. PostgreSQL has no limit of its own here, because a batch is one array; this one bounds the
/// memory of a statement and how long it keeps its rows locked.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// The ways to wait that the backends of this engine know.
const WAKES: &[Wake] = &[Wake::Poll, Wake::Notify];

/// What the designs have in common that hold jobs by leases.
const CONTRACT: Capabilities = Capabilities::leased(WAKES, MAX_BATCH);
