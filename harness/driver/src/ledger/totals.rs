//! The account at the end of a run.

use qbench_schema::result::JobCounts;

/// The account at the end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Confirmed by enqueue, over all phases.
    pub confirmed: u64,
    /// Enqueues without an answer.
    pub unknown: u64,
    /// Enqueues that the backend refused for good.
    pub refused: u64,
    /// Distinct jobs completed.
    pub completed: u64,
    /// Distinct jobs settled as failed.
    pub failed: u64,
    /// Distinct jobs settled whose enqueue had no answer or none yet.
    pub settled_unconfirmed: u64,
    /// Confirmed, never settled, and no ack of theirs without an answer.
    pub lost: u64,
    /// Never settled for certain, but an ack of theirs had no answer: over or not.
    pub unknown_acks: u64,
    /// Jobs settled more than once.
    pub duplicated: u64,
    /// Deliveries beyond each job's first.
    pub redelivered: u64,
    /// Jobs that are not settled, and whose every delivery was handed back.
    pub handed_back: u64,
    /// Deliveries of numbers that were never attempted.
    pub unexpected: u64,
    /// Counts of the measured phase; `intended` is what the schedule asked for, or what was sent where there is none.
    pub measured: JobCounts,
}

impl Totals {
    /// Distinct jobs that are over, in whatever way.
    pub fn settled(&self) -> u64 {
        self.completed + self.failed
    }

    /// Enqueues without an answer of which nothing has been seen since: they happened or not.
    pub fn open_enqueues(&self) -> u64 {
        self.unknown.saturating_sub(self.settled_unconfirmed)
    }
}
