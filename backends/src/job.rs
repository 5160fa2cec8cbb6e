//! What travels through a queue.

use bytes::Bytes;

/// Dense sequence number of a job within a run, given by the harness. A backend stores it beside the payload and hands
/// it back; it never makes one up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A worker of the run, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// A producer of the run, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub u32);

/// A job on its way in.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The harness's number for it.
    pub job: JobId,
    /// Arbitrary bytes, possibly none. Cloning shares them.
    pub payload: Bytes,
}

/// A job on its way out, held by one consumer until it is acked, nacked or its lease expires.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The number that it was enqueued with.
    pub job: JobId,
    /// Delivery count, 1 for the first. Backends that do not count ([`crate::Capabilities::counts_attempts`]) say 1.
    pub attempt: u32,
    /// The bytes that it was enqueued with.
    pub payload: Bytes,
    /// What the backend needs to find this very delivery again.
    pub token: LeaseToken,
}

/// A backend's own handle of one delivery: two words, so that no delivery costs an allocation. SQL backends keep the row
/// id and the attempt in it, Valkey the stream id and the instant of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(pub [u64; 2]);
