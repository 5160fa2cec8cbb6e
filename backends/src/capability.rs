//! What a backend states about itself. The harness and the conformance suite ask nothing of it that it does not state.

use std::num::NonZeroU32;
use std::time::Duration;

pub use qbench_schema::load::Wake;
use qbench_schema::result::Delivery;
use serde::Deserialize;

/// Which order a single consumer sees when nothing fails and nobody else consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Any.
    None,
    /// First in, first out over the whole queue.
    Fifo,
    /// First in, first out within a partition; any between partitions.
    FifoPerPartition,
}

/// What becomes of a job whose consumer vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Nothing: it is gone (at most once).
    None,
    /// [`crate::Claimer::reclaim`] finds it once its lease has expired.
    LeaseExpiry,
    /// The server puts it back at once when the consumer's connection ends.
    ConnectionLoss,
    /// A library's own heartbeats: a living holder keeps its jobs however long it takes, and those of one that has been silent
    /// for longer than the lease come back by ordinary claims. Such a library also keeps its own connections.
    Heartbeat,
}

/// Where finished jobs wait for others to be acked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckBuffer {
    /// Most leases in one ack.
    pub jobs: NonZeroU32,
    /// How long a finished job waits for the buffer to fill.
    pub linger: Duration,
}

impl AckBuffer {
    /// Every job is acked by itself, at once.
    pub const NONE: AckBuffer = AckBuffer { jobs: NonZeroU32::MIN, linger: Duration::ZERO };
}

/// Connections to the server that the two sides of a queue have open (METHODOLOGY F10), beside those that all share: the control
/// side, a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Of a producer.
    pub per_producer: u32,
    /// Of a worker, whatever it works on at a time.
    pub per_worker: u32,
    /// Of each slot of a worker, on top of those.
    pub per_slot: u32,
}

impl Connections {
    /// Of a queue that is asked within the process.
    pub const NONE: Connections = Connections { per_producer: 0, per_worker: 0, per_slot: 0 };
    /// One for each side of each participant: enqueues, claims and acks never wait for each other.
    pub const ONE_A_SIDE: Connections = Connections { per_producer: 1, per_worker: 2, per_slot: 0 };

    /// Those of a worker with `concurrency` slots.
    pub fn of_worker(self, concurrency: u32) -> u32 {
        self.per_worker + self.per_slot * concurrency
    }
}

/// Contract and limits of one backend in one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Contract when a worker vanishes.
    pub delivery: Delivery,
    /// What becomes of the jobs of a vanished consumer.
    pub recovery: Recovery,
    /// Supported ways to wait; the first one is the default. Never empty.
    pub wakes: &'static [Wake],
    /// Most jobs in one enqueue call.
    pub max_enqueue_batch: NonZeroU32,
    /// Most jobs in one claim call.
    pub max_claim_batch: NonZeroU32,
    /// Most leases in one ack call.
    pub max_ack_batch: NonZeroU32,
    /// True when a consumer must settle every lease of a claim before it may claim again (an open transaction). The
    /// harness then gives every concurrent slot of a worker a consumer of its own.
    pub one_claim_at_a_time: bool,
    /// Whether [`crate::Acker::nack`] puts a job back.
    pub nack: bool,
    /// Whether a late ack is told from a good one: false where a lease cannot pass on, and where the server believes every ack
    /// ([`Capabilities::believes_every_ack`]).
    pub detects_stale_ack: bool,
    /// Whether [`crate::Lease::attempt`] counts deliveries.
    pub counts_attempts: bool,
    /// Whether [`crate::Depth::in_flight`] sees claimed jobs; false where an open transaction hides them.
    pub sees_in_flight: bool,
    /// Whether a job that was given back counts as ready at once; false where the server has it in flight until it is taken again.
    pub counts_returned_as_ready: bool,
    /// Whether [`crate::Acker::ack_results`] can settle a job as failed, and [`crate::Census::dead`] counts those.
    pub records_failures: bool,
    /// The completion buffer that belongs to the design; the harness uses it where the user asks for no other.
    pub ack_buffer: AckBuffer,
    /// Order seen by a single consumer.
    pub order: Order,
    /// Connections that it has open; `None` where a library decides.
    pub connections: Option<Connections>,
}

impl Capabilities {
    /// Whether the server takes an ack from whoever sends it, whenever it comes, and says that it held.
    pub fn believes_every_ack(&self) -> bool {
        let passes_on = matches!(self.recovery, Recovery::LeaseExpiry | Recovery::Heartbeat);
        passes_on && !self.detects_stale_ack
    }

    /// The common contract: jobs are held by leases that expire, deliveries are counted, late acks are told, nothing gets
    /// lost, and one consumer sees the jobs in their order. `max_batch` is for batches of any kind.
    pub const fn leased(wakes: &'static [Wake], max_batch: NonZeroU32) -> Self {
        Capabilities {
            delivery: Delivery::AtLeastOnce,
            recovery: Recovery::LeaseExpiry,
            wakes,
            max_enqueue_batch: max_batch,
            max_claim_batch: max_batch,
            max_ack_batch: max_batch,
            one_claim_at_a_time: false,
            nack: true,
            detects_stale_ack: true,
            counts_attempts: true,
            sees_in_flight: true,
            counts_returned_as_ready: true,
            records_failures: false,
            ack_buffer: AckBuffer::NONE,
            order: Order::Fifo,
            connections: Some(Connections::ONE_A_SIDE),
        }
    }

    /// A claim takes the job out of the queue for good: whoever vanishes takes it along, and no lease can pass on.
    pub const fn taken_out(wakes: &'static [Wake], max_batch: NonZeroU32) -> Self {
        Capabilities {
            delivery: Delivery::AtMostOnce,
            recovery: Recovery::None,
            detects_stale_ack: false,
            ..Capabilities::leased(wakes, max_batch)
        }
    }

    /// The server holds a job in the connection that claimed it, until the ack or the end of the connection: one job at a
    /// time, and no count of deliveries, because the rollback takes it back.
    pub const fn held_by_connection(wakes: &'static [Wake], max_enqueue_batch: NonZeroU32) -> Self {
        Capabilities {
            recovery: Recovery::ConnectionLoss,
            max_claim_batch: NonZeroU32::MIN,
            max_ack_batch: NonZeroU32::MIN,
            one_claim_at_a_time: true,
            counts_attempts: false,
            sees_in_flight: false,
            connections: Some(Connections { per_worker: 0, per_slot: 1, ..Connections::ONE_A_SIDE }),
            ..Capabilities::leased(wakes, max_enqueue_batch)
        }
    }
}
