//! Every job of the whole run: accounted for by the driver's own ledger, and recorded as if one generator had seen all of its instants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{JobId, Lease, LeaseToken};
use qbench_driver::ledger::Ledger;
use qbench_driver::order::OrderWatch;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_schema::record::{JobRecord, Outcome, Phase};
use qbench_schema::result::ClaimOrder;
use qbench_schema::shard::{AccountRecord, EnqueueEnd, ForeignRecord};

use super::clocks::Clocks;
use super::shards::ShardSet;
use super::told::Told;

/// The whole run.
pub(super) struct Whole {
    /// Numbers of all jobs; what is measured begins where the measured phase does. Without instants of its own: each job has brought its own.
    pub(super) schedule: Arc<Schedule>,
    pub(super) ledger: Ledger,
    /// Deliveries of measured jobs, in the order of their acks, on one clock, with workers numbered over all shards.
    pub(super) records: Vec<JobRecord>,
    /// What is known of the enqueue of every measured job, on one clock.
    pub(super) measured: Vec<AccountRecord>,
    /// Workers of all shards.
    pub(super) workers: u32,
    /// Measured jobs that another shard completed than the one that sent them.
    pub(super) foreign_completed: u64,
    /// By how much an instant of a job that crossed seemed to lie before the one that it follows, at most.
    pub(super) moved_max_us: u64,
}

/// Puts together what the shards of `set` told; the measured phase begins at `start_us`.
pub(super) fn put_together(set: &ShardSet, told: &[Told], clocks: &Clocks, start_us: u64, duration: Duration) -> Whole {
    let accounts = told.iter().flat_map(|told| &told.account);
    let jobs_measured = accounts.clone().filter(|line| line.phase == Phase::Measured).count() as u64;
    let jobs_before = accounts.count() as u64 - jobs_measured;
    let schedule =
        Arc::new(Schedule::new(None, jobs_before, MeasuredLoad::FlatOut { duration, jobs_max: jobs_measured }));
    schedule.measured().begin(start_us);
    let ledger = Ledger::new(Arc::clone(&schedule));

    // What producers did comes first: whoever delivers a job must find it attempted.
    let mut measured = Vec::with_capacity(jobs_measured as usize);
    for (place, told) in told.iter().enumerate() {
        for line in &told.account {
            let line = on_one_clock(clocks, place, line);
            enqueue(&ledger, &line);
            if line.phase == Phase::Measured {
                measured.push(line);
            }
        }
    }
    let mut whole = Whole {
        schedule,
        ledger,
        records: Vec::with_capacity(jobs_measured as usize),
        measured,
        workers: 0,
        foreign_completed: 0,
        moved_max_us: 0,
    };
    for (place, shard) in set.shards.iter().enumerate() {
        let first_worker = whole.workers;
        whole.workers += shard.result.workers.len() as u32;
        whole.settle_own(told, place, clocks, first_worker);
        whole.settle_foreign(told, place, clocks, first_worker);
    }
    whole.records.sort_unstable_by_key(|record| (record.acked_us, record.job));
    whole.measured.sort_unstable_by_key(|line| line.job);
    whole
}

impl Whole {
    /// What workers of the shard at `place` did to its own jobs. Of measured ones the records tell how they ended, which are published; of the others
    /// the account alone.
    fn settle_own(&mut self, told: &[Told], place: usize, clocks: &Clocks, first_worker: u32) {
        for line in &told[place].account {
            for delivery in 1..=line.deliveries {
                let attempt = if delivery == line.deliveries { line.attempts.max(1) } else { 1 };
                self.ledger.delivered(&lease(line.job, u32::from(attempt)));
            }
            (0..line.handed_back).for_each(|_| self.ledger.handed_back(&lease(line.job, 1)));
            (0..line.unknown_acks).for_each(|_| self.ledger.ack_unknown(line.job));
            if line.phase != Phase::Measured {
                (0..line.completions).for_each(|_| self.ledger.completed(line.job));
                (0..line.failures).for_each(|failure| self.ledger.failed(line.job, failure < line.panics));
            }
        }
        for record in &told[place].own {
            // A record without a delivery in the account is of a number that the shard does not have.
            let (owner, own) = (record.job % told.len() as u64, (record.job / told.len() as u64) as usize);
            let line = told[place].account.get(own).filter(|_| owner == place as u64);
            if line.is_none_or(|line| line.deliveries == 0) {
                self.ledger.delivered(&lease(record.job, record.attempt));
            }
            self.settle(record.job, record.outcome);
            let whole_us = |at_us| clocks.whole_us(place, at_us);
            self.records.push(JobRecord {
                worker: first_worker + record.worker,
                intended_us: whole_us(record.intended_us),
                released_us: whole_us(record.released_us),
                sent_us: whole_us(record.sent_us),
                enqueued_us: whole_us(record.enqueued_us),
                claimed_us: whole_us(record.claimed_us),
                started_us: whole_us(record.started_us),
                finished_us: whole_us(record.finished_us),
                acked_us: whole_us(record.acked_us),
                ..*record
            });
        }
    }

    /// What workers of the shard at `place` did to jobs of others.
    fn settle_foreign(&mut self, told: &[Told], place: usize, clocks: &Clocks, first_worker: u32) {
        let of = told.len() as u64;
        for record in &told[place].foreign {
            if self.ledger.delivered(&lease(record.job, record.attempt)).is_none() {
                continue;
            }
            self.settle(record.job, record.outcome);
            let owner = (record.job % of) as usize;
            let line = told[owner].account.get((record.job / of) as usize);
            if let Some(line) = line.filter(|line| line.phase == Phase::Measured) {
                let sent = on_one_clock(clocks, owner, line);
                let (crossed, moved_us) = joined(&sent, record, |at_us| clocks.whole_us(place, at_us));
                self.foreign_completed += u64::from(record.outcome == Outcome::Acked);
                self.moved_max_us = self.moved_max_us.max(moved_us);
                self.records.push(JobRecord { worker: first_worker + record.worker, ..crossed });
            }
        }
    }

    fn settle(&self, job: u64, outcome: Outcome) {
        match outcome {
            Outcome::Acked => self.ledger.completed(job),
            Outcome::Failed => self.ledger.failed(job, false),
            Outcome::Panicked => self.ledger.failed(job, true),
            Outcome::Stale | Outcome::Unknown => {}
        }
    }

    /// Order of first deliveries over all shards.
    pub(super) fn claim_order(&self) -> ClaimOrder {
        let mut claims: Vec<(u64, u64)> = self.records.iter().map(|record| (record.claimed_us, record.job)).collect();
        claims.sort_unstable();
        let first_job = self.schedule.measured().first_job();
        let mut seen = vec![false; self.measured.len()];
        let watch = OrderWatch::default();
        let mut deliveries = 0;
        for (_, job) in claims {
            let place = job.checked_sub(first_job).and_then(|place| seen.get_mut(place as usize));
            if place.is_some_and(|seen| !std::mem::replace(seen, true)) {
                watch.saw(job);
                deliveries += 1;
            }
        }
        watch.figures(deliveries)
    }
}

fn lease(job: u64, attempt: u32) -> Lease {
    Lease { job: JobId(job), attempt, payload: Bytes::new(), token: LeaseToken([0, 0]) }
}

/// The instants of a shard's job on the clock of the whole.
fn on_one_clock(clocks: &Clocks, place: usize, line: &AccountRecord) -> AccountRecord {
    let whole_us = |at_us| clocks.whole_us(place, at_us);
    AccountRecord {
        intended_us: whole_us(line.intended_us),
        released_us: whole_us(line.released_us),
        sent_us: whole_us(line.sent_us),
        confirmed_us: whole_us(line.confirmed_us),
        ..*line
    }
}

/// What a producer did with a job.
fn enqueue(ledger: &Ledger, line: &AccountRecord) {
    let job = line.job..line.job + 1;
    match line.enqueue {
        EnqueueEnd::NotAttempted => return,
        EnqueueEnd::Confirmed | EnqueueEnd::Unknown | EnqueueEnd::Refused => ledger.sent(&job, line.sent_us),
    }
    match line.enqueue {
        EnqueueEnd::Confirmed => ledger.confirmed(&job, line.confirmed_us),
        EnqueueEnd::Unknown => ledger.unknown(&job),
        EnqueueEnd::Refused => ledger.refused(&job),
        EnqueueEnd::NotAttempted => {}
    }
}

/// The way of a job that one shard sent and another worked on. Where the two clocks let it be claimed before it was sent, that is moved up to the sending;
/// returns by how much, too.
fn joined(sent: &AccountRecord, worked: &ForeignRecord, whole_us: impl Fn(u64) -> u64) -> (JobRecord, u64) {
    let claimed_us = whole_us(worked.claimed_us);
    let moved_us = sent.sent_us.saturating_sub(claimed_us);
    let claimed_us = claimed_us.max(sent.sent_us);
    let started_us = whole_us(worked.started_us).max(claimed_us);
    let finished_us = whole_us(worked.finished_us).max(started_us);
    let confirmed_us = if sent.confirmed_us == 0 { claimed_us } else { sent.confirmed_us };
    let record = JobRecord {
        job: worked.job,
        worker: worked.worker,
        attempt: worked.attempt,
        intended_us: sent.intended_us,
        released_us: sent.released_us,
        sent_us: sent.sent_us,
        enqueued_us: confirmed_us.min(claimed_us),
        claimed_us,
        started_us,
        finished_us,
        acked_us: whole_us(worked.acked_us).max(finished_us),
        phase: sent.phase,
        outcome: worked.outcome,
    };
    (record, moved_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> AccountRecord {
        AccountRecord {
            job: 4,
            phase: Phase::Measured,
            enqueue: EnqueueEnd::Confirmed,
            intended_us: 1_000,
            released_us: 1_010,
            sent_us: 1_020,
            confirmed_us: 1_300,
            deliveries: 0,
            attempts: 0,
            handed_back: 0,
            completions: 0,
            failures: 0,
            panics: 0,
            unknown_acks: 0,
        }
    }

    fn worked(claimed_us: u64) -> ForeignRecord {
        ForeignRecord {
            job: 4,
            worker: 2,
            attempt: 1,
            claimed_us,
            started_us: claimed_us + 1,
            finished_us: claimed_us + 10,
            acked_us: claimed_us + 20,
            outcome: Outcome::Acked,
        }
    }

    #[test]
    fn a_job_that_crossed_has_the_instants_of_both_and_they_never_decrease() {
        let (record, moved_us) = joined(&sent(), &worked(5_200), |at_us| at_us - 4_000);
        assert_eq!(
            (record.sent_us, record.enqueued_us, record.claimed_us, record.acked_us),
            (1_020, 1_200, 1_200, 1_220)
        );
        assert_eq!(moved_us, 0);
        let (record, moved_us) = joined(&sent(), &worked(5_015), |at_us| at_us - 4_000);
        assert_eq!(
            (record.sent_us, record.enqueued_us, record.claimed_us),
            (1_020, 1_020, 1_020),
            "claimed before it was sent"
        );
        assert_eq!((record.started_us, record.acked_us, moved_us), (1_020, 1_035, 5));
    }
}
