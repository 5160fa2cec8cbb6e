//! The exact account of every job (METHODOLOGY A1), kept at full speed: one slot per job, plain atomics.

mod totals;

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use qbench_backends::Lease;
use qbench_schema::latency::LatencyHistogram;
use qbench_schema::record::Phase;
use qbench_schema::result::ClaimOrder;
use qbench_schema::shard::{AccountRecord, EnqueueEnd};

use super::order::OrderWatch;
use super::schedule::Schedule;

pub use totals::Totals;

/// Slots that are allocated together: 2 MB. A schedule's are all allocated before the run; a flat-out load, whose number
/// of jobs nobody knows, allocates them as it goes, once in 65,536 jobs.
const CHUNK_SLOTS: usize = 1 << 16;

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
    /// 0 until released, and where there is no schedule.
    released_us: AtomicU64,
    /// 0 until sent; the clock has passed 0 long before the first job.
    sent_us: AtomicU64,
    /// 0 until confirmed.
    enqueued_us: AtomicU64,
    enqueue: AtomicU8,
    /// Deliveries that a worker saw.
    deliveries: AtomicU8,
    /// Highest delivery count that the backend told; it knows of deliveries whose answer never arrived.
    attempts: AtomicU8,
    /// Deliveries given back before their work began.
    handed_back: AtomicU8,
    completions: AtomicU8,
    /// Acks as failed.
    failures: AtomicU8,
    /// Of these, after a panic.
    panics: AtomicU8,
    /// Acks without an answer.
    unknown_acks: AtomicU8,
}

/// Account of all jobs of one run.
#[derive(Debug)]
pub struct Ledger {
    schedule: Arc<Schedule>,
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
    order: OrderWatch,
    counts: Counters,
    unexpected: AtomicU64,
    /// Whether other generators put their jobs into the same queue.
    has_company: bool,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    /// Enqueues that ended, in whatever way.
    answered: AtomicU64,
    confirmed: AtomicU64,
    completed: AtomicU64,
    /// Of these, jobs of the measured phase.
    measured_completed: AtomicU64,
    failed: AtomicU64,
}

/// How far the jobs of a run are, over all phases. What workers did counts for jobs of other generators, too, where these share the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the backend.
    pub sent: u64,
    /// Of these, with an answer, or with the certainty that none will come.
    pub answered: u64,
    /// Of these, confirmed.
    pub confirmed: u64,
    /// Distinct jobs completed.
    pub completed: u64,
    /// Of these, jobs of the measured phase.
    pub measured_completed: u64,
    /// Distinct jobs settled as failed.
    pub failed: u64,
}

impl Counts {
    /// What was counted after `before`.
    #[must_use]
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            sent: self.sent - before.sent,
            answered: self.answered - before.answered,
            confirmed: self.confirmed - before.confirmed,
            completed: self.completed - before.completed,
            measured_completed: self.measured_completed - before.measured_completed,
            failed: self.failed - before.failed,
        }
    }

    /// Distinct jobs that are over, in whatever way.
    pub fn settled(&self) -> u64 {
        self.completed + self.failed
    }
}

/// A job's instants up to its delivery, for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentJob {
    /// Phase that it belongs to.
    pub phase: Phase,
    /// When the schedule wanted it sent; when it was sent where there is no schedule.
    pub intended_us: u64,
    /// When the pacer released it; when it was sent where there is no schedule.
    pub released_us: u64,
    /// When a producer handed it over.
    pub sent_us: u64,
    /// When the backend's confirmation reached the producer, if it has.
    pub confirmed_us: Option<u64>,
}

impl SentJob {
    /// What is known here of a job that another generator sent.
    fn elsewhere(phase: Phase) -> Self {
        SentJob { phase, intended_us: 0, released_us: 0, sent_us: 0, confirmed_us: None }
    }
}

impl Ledger {
    /// An empty account of every job in `schedule`. All memory for jobs whose number is known is taken (and touched) here.
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let chunks = (schedule.end_job() as usize).div_ceil(CHUNK_SLOTS);
        let ledger = Ledger {
            schedule,
            chunks: std::iter::repeat_with(OnceLock::new).take(chunks).collect(),
            order: OrderWatch::default(),
            counts: Counters::default(),
            unexpected: AtomicU64::new(0),
            has_company: false,
        };
        let measured = ledger.schedule.measured();
        let known = if measured.is_flat_out() { measured.first_job() } else { measured.end_job() };
        for chunk in 0..(known as usize).div_ceil(CHUNK_SLOTS) {
            ledger.chunk(chunk);
        }
        ledger
    }

    /// The same where other generators put the rest of the schedule into the same queue: their jobs are worked on here, counted, and accounted for by
    /// them.
    #[must_use]
    pub fn in_company(self) -> Self {
        Ledger { has_company: true, ..self }
    }

    fn chunk(&self, chunk: usize) -> &[Slot] {
        self.chunks[chunk].get_or_init(|| std::iter::repeat_with(Slot::default).take(CHUNK_SLOTS).collect())
    }

    /// The slot of `job`, or `None` for a number that no producer can have had.
    fn slot(&self, job: u64) -> Option<&Slot> {
        if job >= self.schedule.end_job() {
            return None;
        }
        self.chunks[job as usize / CHUNK_SLOTS].get().map(|slots| &slots[job as usize % CHUNK_SLOTS])
    }

    fn slots(&self, jobs: &Range<u64>) -> impl Iterator<Item = &Slot> {
        let (first, last) = (jobs.start as usize, jobs.end as usize);
        (first / CHUNK_SLOTS..last.div_ceil(CHUNK_SLOTS)).flat_map(move |chunk| {
            let start = chunk * CHUNK_SLOTS;
            &self.chunk(chunk)[first.saturating_sub(start)..(last - start).min(CHUNK_SLOTS)]
        })
    }

    /// Every slot that a job may have had, with its number.
    fn all_slots(&self) -> impl Iterator<Item = (u64, &Slot)> {
        let chunks = self.chunks.iter().enumerate();
        chunks.flat_map(|(chunk, slots)| {
            let first = (chunk * CHUNK_SLOTS) as u64;
            slots.get().into_iter().flatten().enumerate().map(move |(index, slot)| (first + index as u64, slot))
        })
    }

    /// The slot of the job that has this number in the whole schedule.
    fn slot_of(&self, job: u64) -> Option<&Slot> {
        self.slot(self.schedule.share().own_of(job)?)
    }

    /// Phase of a job that another generator put into the same queue; `None` where it is ours, and where there cannot be such a one.
    fn phase_elsewhere(&self, job: u64) -> Option<Phase> {
        let elsewhere = self.has_company && self.schedule.share().own_of(job).is_none();
        elsewhere.then(|| self.schedule.phase_in_whole(job)).flatten()
    }

    /// Jobs are about to be released to the producers.
    pub fn released(&self, jobs: &Range<u64>, at_us: u64) {
        self.slots(jobs).for_each(|slot| slot.released_us.store(at_us, Ordering::Relaxed));
    }

    /// Jobs are about to be handed to the backend.
    pub fn sent(&self, jobs: &Range<u64>, at_us: u64) {
        for slot in self.slots(jobs) {
            slot.sent_us.store(at_us, Ordering::Relaxed);
            slot.enqueue.store(Enqueue::Attempted as u8, Ordering::Release);
        }
        self.counts.sent.fetch_add(jobs.end - jobs.start, Ordering::AcqRel);
    }

    /// The backend confirmed them.
    pub fn confirmed(&self, jobs: &Range<u64>, at_us: u64) {
        for slot in self.slots(jobs) {
            slot.enqueued_us.store(at_us, Ordering::Relaxed);
            slot.enqueue.store(Enqueue::Confirmed as u8, Ordering::Release);
        }
        self.counts.confirmed.fetch_add(jobs.end - jobs.start, Ordering::AcqRel);
        self.counts.answered.fetch_add(jobs.end - jobs.start, Ordering::AcqRel);
    }

    /// Their enqueue ended without an answer.
    pub fn unknown(&self, jobs: &Range<u64>) {
        self.without_confirmation(jobs, Enqueue::Unknown);
    }

    /// The backend refused them for good.
    pub fn refused(&self, jobs: &Range<u64>) {
        self.without_confirmation(jobs, Enqueue::Refused);
    }

    fn without_confirmation(&self, jobs: &Range<u64>, state: Enqueue) {
        for slot in self.slots(jobs) {
            slot.enqueue.store(state as u8, Ordering::Release);
        }
        self.counts.answered.fetch_add(jobs.end - jobs.start, Ordering::AcqRel);
    }

    /// A worker was handed `lease`. `None` when no such job was ever attempted: it is counted as unexpected. Of a job of another generator only the
    /// phase is known, and whether it was attempted is for that one to say.
    pub fn delivered(&self, lease: &Lease) -> Option<SentJob> {
        let found = self.schedule.share().own_of(lease.job.0).and_then(|job| {
            let slot = self.slot(job).filter(|slot| {
                let state = slot.enqueue.load(Ordering::Acquire);
                state != Enqueue::NotAttempted as u8 && state != Enqueue::Refused as u8
            });
            Some((job, slot?, self.schedule.of_job(job)?))
        });
        let Some((job, slot, (phase, intended_us))) = found else {
            let foreign = self.phase_elsewhere(lease.job.0).map(SentJob::elsewhere);
            if foreign.is_none() {
                self.unexpected.fetch_add(1, Ordering::AcqRel);
            }
            return foreign;
        };
        if saturating_increment(&slot.deliveries) == 0 && phase == Phase::Measured {
            self.order.saw(job);
        }
        if lease.attempt > 1 {
            slot.attempts.fetch_max(lease.attempt.min(u32::from(u8::MAX)) as u8, Ordering::AcqRel);
        }
        let confirmed_us = slot.enqueued_us.load(Ordering::Relaxed);
        let sent_us = slot.sent_us.load(Ordering::Relaxed);
        let released_us = slot.released_us.load(Ordering::Relaxed);
        Some(SentJob {
            phase,
            intended_us: intended_us.unwrap_or(sent_us),
            released_us: if released_us == 0 { sent_us } else { released_us },
            sent_us,
            confirmed_us: (confirmed_us != 0).then_some(confirmed_us),
        })
    }

    /// A delivery was given back before its work began: whoever gets the job next is the first to have it.
    pub fn handed_back(&self, lease: &Lease) {
        if let Some(slot) = self.slot_of(lease.job.0) {
            saturating_increment(&slot.handed_back);
        }
    }

    /// A job's ack was confirmed.
    pub fn completed(&self, job: u64) {
        let is_measured = match self.slot_of(job) {
            Some(slot) if saturating_increment(&slot.completions) > 0 => return,
            Some(_) => {
                let own = self.schedule.share().own_of(job);
                own.is_some_and(|own| own >= self.schedule.measured().first_job())
            }
            None => match self.phase_elsewhere(job) {
                Some(phase) => phase == Phase::Measured,
                None => return,
            },
        };
        if is_measured {
            self.counts.measured_completed.fetch_add(1, Ordering::AcqRel);
        }
        self.counts.completed.fetch_add(1, Ordering::AcqRel);
    }

    /// A job's ack as failed was confirmed; its work returned an error, or `panicked`.
    pub fn failed(&self, job: u64, panicked: bool) {
        let Some(slot) = self.slot_of(job) else {
            self.counts.failed.fetch_add(u64::from(self.phase_elsewhere(job).is_some()), Ordering::AcqRel);
            return;
        };
        if panicked {
            saturating_increment(&slot.panics);
        }
        if saturating_increment(&slot.failures) == 0 {
            self.counts.failed.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A job's ack ended without an answer: it may have happened or not.
    pub fn ack_unknown(&self, job: u64) {
        if let Some(slot) = self.slot_of(job) {
            saturating_increment(&slot.unknown_acks);
        }
    }

    /// How far the jobs are now.
    pub fn counts(&self) -> Counts {
        // In this order a job is never seen further than it was sent.
        let failed = self.counts.failed.load(Ordering::Acquire);
        let completed = self.counts.completed.load(Ordering::Acquire);
        let measured_completed = self.counts.measured_completed.load(Ordering::Acquire);
        let confirmed = self.counts.confirmed.load(Ordering::Acquire);
        let answered = self.counts.answered.load(Ordering::Acquire);
        Counts {
            sent: self.counts.sent.load(Ordering::Acquire),
            answered,
            confirmed,
            completed,
            measured_completed,
            failed,
        }
    }

    /// Jobs in the system now: confirmed and not settled. An estimate while jobs move; exact when they rest. Says nothing where other generators share
    /// the queue.
    pub fn backlog(&self) -> u64 {
        let counts = self.counts();
        counts.confirmed.saturating_sub(counts.settled())
    }

    /// True when every confirmed job is settled. Scans only when the counters say that it may be so.
    pub fn drained(&self) -> bool {
        self.backlog() == 0 && self.all_slots().all(|(_, slot)| !is_unaccounted_for(slot))
    }

    /// Order of the first deliveries of measured jobs.
    pub fn claim_order(&self) -> ClaimOrder {
        let first = self.schedule.measured().first_job();
        let delivered = |slot: &Slot| slot.deliveries.load(Ordering::Acquire) > 0;
        let deliveries = self.all_slots().filter(|(job, slot)| *job >= first && delivered(slot)).count();
        self.order.figures(deliveries as u64)
    }

    /// From handing over to the confirmation, of every measured job that was confirmed. Exact once all is quiet.
    pub fn confirm_time(&self) -> LatencyHistogram {
        let first = self.schedule.measured().first_job();
        let mut histogram = LatencyHistogram::new();
        for (_, slot) in self.all_slots().filter(|(job, _)| *job >= first) {
            let (sent_us, confirmed_us) =
                (slot.sent_us.load(Ordering::Relaxed), slot.enqueued_us.load(Ordering::Relaxed));
            if confirmed_us != 0 {
                // A day is more than any call may take.
                let _ = histogram.record_us(confirmed_us.saturating_sub(sent_us));
            }
        }
        histogram
    }

    /// Measured jobs below number `end_job` that were intended in each second since `start_us`.
    pub fn intended_by_second(&self, start_us: u64, end_job: u64) -> Vec<u64> {
        let measured = self.schedule.measured();
        let mut seconds = Vec::new();
        for job in measured.first_job()..end_job.min(measured.end_job()) {
            let intended_us = match measured.is_flat_out() {
                false => measured.intended_us(job - measured.first_job()),
                true => match self.slot(job).map(|slot| slot.sent_us.load(Ordering::Relaxed)) {
                    Some(sent_us) if sent_us > 0 => sent_us,
                    _ => continue,
                },
            };
            let second = (intended_us.saturating_sub(start_us) / 1_000_000) as usize;
            if seconds.len() <= second {
                seconds.resize(second + 1, 0);
            }
            seconds[second] += 1;
        }
        seconds
    }

    /// What is known of each job here, in the order of their numbers. Exact once all is quiet.
    pub fn account(&self) -> impl Iterator<Item = AccountRecord> {
        let known = self.all_slots().take_while(|(job, _)| *job < self.schedule.end_job());
        known.filter_map(|(job, slot)| {
            let (phase, intended_us) = self.schedule.of_job(job)?;
            let (sent_us, state) = (slot.sent_us.load(Ordering::Relaxed), slot.enqueue.load(Ordering::Acquire));
            let count = |counter: &AtomicU8| counter.load(Ordering::Acquire);
            Some(AccountRecord {
                job: self.schedule.share().job_of(job),
                phase,
                enqueue: match state {
                    state if state == Enqueue::NotAttempted as u8 => EnqueueEnd::NotAttempted,
                    state if state == Enqueue::Confirmed as u8 => EnqueueEnd::Confirmed,
                    state if state == Enqueue::Refused as u8 => EnqueueEnd::Refused,
                    _ => EnqueueEnd::Unknown,
                },
                intended_us: intended_us.unwrap_or(sent_us),
                released_us: slot.released_us.load(Ordering::Relaxed),
                sent_us,
                confirmed_us: slot.enqueued_us.load(Ordering::Relaxed),
                deliveries: count(&slot.deliveries),
                attempts: count(&slot.attempts),
                handed_back: count(&slot.handed_back),
                completions: count(&slot.completions),
                failures: count(&slot.failures),
                panics: count(&slot.panics),
                unknown_acks: count(&slot.unknown_acks),
            })
        })
    }

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
            totals.handed_back += u64::from(settlements == 0 && handed_back > 0 && deliveries == handed_back);
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

/// Confirmed and not settled for certain.
fn is_unaccounted_for(slot: &Slot) -> bool {
    slot.enqueue.load(Ordering::Acquire) == Enqueue::Confirmed as u8
        && slot.completions.load(Ordering::Acquire) == 0
        && slot.failures.load(Ordering::Acquire) == 0
}

/// Adds one without wrapping to zero, which would turn 256 duplicates into none. Returns the value before.
fn saturating_increment(counter: &AtomicU8) -> u8 {
    match counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_add(1)) {
        Ok(before) | Err(before) => before,
    }
}

#[cfg(test)]
mod tests;
