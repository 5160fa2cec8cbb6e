//! The account at the end of a run.

use std::sync::atomic::Ordering;

use qbench_schema::result::JobCounts;

use super::{Enqueue, Ledger, is_unaccounted_for};

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

impl Ledger {
    /// The account of everything up to now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { unexpected: self.unexpected.load(Ordering::Acquire), ..Totals::default() };
        let measured = self.schedule.measured();
        for (job, slot) in self.all_slots() {
            let state = slot.enqueue.load(Ordering::Acquire);
            let confirmed = state == Enqueue::Confirmed as u8;
            let completions = slot.completions.load(Ordering::Acquire);
            let failures = slot.failures.load(Ordering::Acquire);
            let settlements = u32::from(completions) + u32::from(failures);
            let unknown_ack = settlements == 0 && slot.unknown_acks.load(Ordering::Acquire) > 0;
            let deliveries = slot.deliveries.load(Ordering::Acquire).max(slot.attempts.load(Ordering::Acquire));
            let handed_back = slot.handed_back.load(Ordering::Acquire);
            totals.confirmed += u64::from(confirmed);
            totals.unknown += u64::from(state == Enqueue::Unknown as u8 || state == Enqueue::Attempted as u8);
            totals.refused += u64::from(state == Enqueue::Refused as u8);
            totals.completed += u64::from(completions > 0);
            totals.failed += u64::from(failures > 0);
            totals.settled_unconfirmed += u64::from(settlements > 0 && !confirmed);
            totals.duplicated += u64::from(settlements > 1);
            totals.unknown_acks += u64::from(unknown_ack);
            totals.lost += u64::from(is_unaccounted_for(slot) && !unknown_ack);
            totals.redelivered += u64::from(deliveries.saturating_sub(handed_back).saturating_sub(1));
            if job >= measured.first_job() {
                totals.measured.sent += u64::from(state != Enqueue::NotAttempted as u8);
                totals.measured.enqueued += u64::from(confirmed);
                totals.measured.completed += u64::from(completions > 0);
                totals.measured.failed += u64::from(failures > 0);
                totals.measured.panicked += u64::from(slot.panics.load(Ordering::Acquire) > 0);
            }
        }
        totals.measured.intended = if measured.is_flat_out() { totals.measured.sent } else { measured.jobs() };
        totals
    }
}
