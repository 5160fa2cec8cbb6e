//! The exact account of every job (METHODOLOGY A1), kept at full speed: one preallocated slot per job, plain atomics.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use qbench_backends::Lease;
use qbench_schema::record::Phase;
use qbench_schema::result::JobCounts;

use super::schedule::Schedule;

/// What is known of a job's enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Enqueue {
    /// No producer has touched it.
    NotAttempted = 0,
    /// Handed to the backend, no answer yet.
    Attempted = 1,
    /// The backend confirmed it: from here on it must complete.
    Confirmed = 2,
    /// The attempt ended without an answer: it may be in the queue or not.
    Unknown = 3,
    /// The backend refused it for good: it is not in the queue.
    Refused = 4,
}

#[derive(Debug, Default)]
struct Slot {
    /// 0 until sent; the clock has passed 0 long before the first job.
    sent_us: AtomicU64,
    /// 0 until confirmed.
    enqueued_us: AtomicU64,
    enqueue: AtomicU8,
    deliveries: AtomicU8,
    completions: AtomicU8,
}

/// Account of all jobs of one run.
#[derive(Debug)]
pub struct Ledger {
    schedule: Arc<Schedule>,
    slots: Box<[Slot]>,
    confirmed: AtomicU64,
    completed: AtomicU64,
    unexpected: AtomicU64,
}

/// A job's instants up to its delivery, for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentJob {
    /// Phase that it belongs to.
    pub phase: Phase,
    /// When the schedule wanted it sent.
    pub intended_us: u64,
    /// When a producer handed it over.
    pub sent_us: u64,
    /// When the backend's confirmation reached the producer, if it has.
    pub confirmed_us: Option<u64>,
}

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
    /// Distinct jobs completed whose enqueue had no answer or none yet.
    pub completed_unconfirmed: u64,
    /// Confirmed and never completed.
    pub lost: u64,
    /// Jobs completed more than once.
    pub duplicated: u64,
    /// Deliveries beyond each job's first.
    pub redelivered: u64,
    /// Deliveries of numbers that were never attempted.
    pub unexpected: u64,
    /// Counts of the measured phase; `intended` is what the schedule asked for.
    pub measured: JobCounts,
}

impl Ledger {
    /// An empty account of every job in `schedule`. All memory is taken (and touched) here.
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let slots = (0..schedule.total_jobs()).map(|_| Slot::default()).collect();
        Ledger {
            schedule,
            slots,
            confirmed: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
        }
    }

    fn slots(&self, jobs: &Range<u64>) -> &[Slot] {
        &self.slots[jobs.start as usize..jobs.end as usize]
    }

    /// Jobs are about to be handed to the backend.
    pub fn sent(&self, jobs: &Range<u64>, at_us: u64) {
        for slot in self.slots(jobs) {
            slot.sent_us.store(at_us, Ordering::Relaxed);
            slot.enqueue.store(Enqueue::Attempted as u8, Ordering::Release);
        }
    }

    /// The backend confirmed them.
    pub fn confirmed(&self, jobs: &Range<u64>, at_us: u64) {
        for slot in self.slots(jobs) {
            slot.enqueued_us.store(at_us, Ordering::Relaxed);
            slot.enqueue.store(Enqueue::Confirmed as u8, Ordering::Release);
        }
        self.confirmed.fetch_add(jobs.end - jobs.start, Ordering::AcqRel);
    }

    /// Their enqueue ended without an answer.
    pub fn unknown(&self, jobs: &Range<u64>) {
        for slot in self.slots(jobs) {
            slot.enqueue.store(Enqueue::Unknown as u8, Ordering::Release);
        }
    }

    /// The backend refused them for good.
    pub fn refused(&self, jobs: &Range<u64>) {
        for slot in self.slots(jobs) {
            slot.enqueue.store(Enqueue::Refused as u8, Ordering::Release);
        }
    }

    /// A worker was handed `lease`. `None` when no such job was ever attempted: it is counted as unexpected.
    pub fn delivered(&self, lease: &Lease) -> Option<SentJob> {
        let job = lease.job.0;
        let slot = self.slots.get(job as usize).filter(|slot| {
            let state = slot.enqueue.load(Ordering::Acquire);
            state != Enqueue::NotAttempted as u8 && state != Enqueue::Refused as u8
        });
        let (Some(slot), Some((phase, intended_us))) = (slot, self.schedule.of_job(job)) else {
            self.unexpected.fetch_add(1, Ordering::AcqRel);
            return None;
        };
        saturating_increment(&slot.deliveries);
        let confirmed_us = slot.enqueued_us.load(Ordering::Relaxed);
        Some(SentJob {
            phase,
            intended_us,
            sent_us: slot.sent_us.load(Ordering::Relaxed),
            confirmed_us: (confirmed_us != 0).then_some(confirmed_us),
        })
    }

    /// A delivery was given back before its work began: whoever gets the job next is the first to have it.
    pub fn handed_back(&self, lease: &Lease) {
        if let Some(slot) = self.slots.get(lease.job.0 as usize) {
            let one_less = |deliveries: u8| deliveries.checked_sub(1);
            // Fails only at zero, which a delivery has left behind.
            let _ = slot.deliveries.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less);
        }
    }

    /// A job's ack was confirmed.
    pub fn completed(&self, job: u64) {
        if let Some(slot) = self.slots.get(job as usize)
            && saturating_increment(&slot.completions) == 0
        {
            self.completed.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Jobs in the system now: confirmed and not completed. An estimate while jobs move; exact when they rest.
    pub fn backlog(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire).saturating_sub(self.completed.load(Ordering::Acquire))
    }

    /// Distinct jobs completed so far, over all phases.
    pub fn completed_so_far(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// True when every confirmed job has completed. Scans only when the counters say that it may be so.
    pub fn drained(&self) -> bool {
        self.backlog() == 0 && self.slots.iter().all(|slot| !is_lost(slot))
    }

    /// The account of everything up to now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { unexpected: self.unexpected.load(Ordering::Acquire), ..Totals::default() };
        let measured = self.schedule.measured();
        totals.measured.intended = measured.jobs();
        for (job, slot) in self.slots.iter().enumerate() {
            let state = slot.enqueue.load(Ordering::Acquire);
            let confirmed = state == Enqueue::Confirmed as u8;
            let completions = slot.completions.load(Ordering::Acquire);
            totals.confirmed += u64::from(confirmed);
            totals.unknown += u64::from(state == Enqueue::Unknown as u8 || state == Enqueue::Attempted as u8);
            totals.refused += u64::from(state == Enqueue::Refused as u8);
            totals.completed += u64::from(completions > 0);
            totals.completed_unconfirmed += u64::from(completions > 0 && !confirmed);
            totals.duplicated += u64::from(completions > 1);
            totals.lost += u64::from(is_lost(slot));
            totals.redelivered += u64::from(slot.deliveries.load(Ordering::Acquire).saturating_sub(1));
            if job as u64 >= measured.first_job() {
                totals.measured.sent += u64::from(state != Enqueue::NotAttempted as u8);
                totals.measured.enqueued += u64::from(confirmed);
                totals.measured.completed += u64::from(completions > 0);
            }
        }
        totals
    }
}

fn is_lost(slot: &Slot) -> bool {
    slot.enqueue.load(Ordering::Acquire) == Enqueue::Confirmed as u8 && slot.completions.load(Ordering::Acquire) == 0
}

/// Adds one without wrapping to zero, which would turn 256 duplicates into none. Returns the value before.
fn saturating_increment(counter: &AtomicU8) -> u8 {
    match counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_add(1)) {
        Ok(before) | Err(before) => before,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use qbench_backends::{JobId, LeaseToken};

    use super::*;
    use crate::driver::schedule::Arrivals;

    fn ledger(jobs: u64) -> Ledger {
        let schedule = Schedule::new(None, jobs as f64, Duration::from_secs(1), Arrivals::Constant);
        schedule.measured().begin(1);
        Ledger::new(Arc::new(schedule))
    }

    fn lease(job: u64) -> Lease {
        Lease { job: JobId(job), attempt: 1, payload: Bytes::new(), token: LeaseToken([job, 0]) }
    }

    fn through(ledger: &Ledger, jobs: Range<u64>) {
        ledger.sent(&jobs, 5);
        ledger.confirmed(&jobs, 6);
        for job in jobs {
            assert!(ledger.delivered(&lease(job)).is_some());
            ledger.completed(job);
        }
    }

    #[test]
    fn a_run_without_incident_balances() {
        let ledger = ledger(1_000);
        through(&ledger, 0..1_000);
        let totals = ledger.totals();
        assert!(ledger.drained());
        assert_eq!((totals.lost, totals.duplicated, totals.redelivered, totals.unexpected), (0, 0, 0, 0));
        assert_eq!(totals.measured, JobCounts { intended: 1_000, sent: 1_000, enqueued: 1_000, completed: 1_000 });
    }

    #[test]
    fn a_confirmed_job_that_never_completes_is_lost_even_if_another_completes_twice() {
        let ledger = ledger(10);
        through(&ledger, 0..9);
        ledger.sent(&(9..10), 5);
        ledger.confirmed(&(9..10), 6);
        ledger.completed(3);
        assert!(!ledger.drained());
        assert_eq!((ledger.totals().lost, ledger.totals().duplicated), (1, 1));
    }

    #[test]
    fn a_number_that_was_never_attempted_is_unexpected() {
        let ledger = ledger(10);
        through(&ledger, 0..5);
        assert!(ledger.delivered(&lease(7)).is_none(), "scheduled, not sent");
        assert!(ledger.delivered(&lease(10)).is_none(), "beyond the schedule");
        assert!(ledger.delivered(&lease(u64::MAX)).is_none());
        assert_eq!(ledger.totals().unexpected, 3);
    }

    #[test]
    fn an_enqueue_without_an_answer_may_surface_or_not_and_is_neither_lost_nor_unexpected() {
        let ledger = ledger(2);
        ledger.sent(&(0..2), 5);
        ledger.unknown(&(0..2));
        assert!(ledger.delivered(&lease(1)).is_some());
        ledger.completed(1);
        let totals = ledger.totals();
        assert_eq!((totals.unknown, totals.lost, totals.unexpected, totals.completed_unconfirmed), (2, 0, 0, 1));
    }

    #[test]
    fn a_delivery_that_was_handed_back_makes_the_next_one_no_redelivery() {
        let ledger = ledger(1);
        ledger.sent(&(0..1), 5);
        ledger.confirmed(&(0..1), 6);
        assert!(ledger.delivered(&lease(0)).is_some());
        ledger.handed_back(&lease(0));
        assert!(ledger.delivered(&lease(0)).is_some());
        assert_eq!(ledger.totals().redelivered, 0);
    }

    #[test]
    fn three_hundred_duplicates_do_not_wrap_to_none() {
        let ledger = ledger(1);
        through(&ledger, 0..1);
        for _ in 0..300 {
            ledger.completed(0);
        }
        assert_eq!(ledger.totals().duplicated, 1);
    }
}
