//! The load of one run, every value within its limits.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use qbench_schema::load::{Arrivals, AskedWake, Tuning, WorkerSettings};

use crate::error::{Error, Result};
use crate::units::{format_duration, grouped};

/// Highest rate that may be asked for, far above what any queue carries: catches slipped zeros.
pub const MAX_RATE_JOBS_S: f64 = 1_000_000.0;
/// Longest measured phase.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// Longest delay that may be added to a round trip: that to a satellite, and a half.
pub const MAX_DELAY: Duration = Duration::from_secs(1);
/// Most jobs of one run, warm-up included: the auditor keeps an account of every one in memory.
pub const MAX_JOBS: u64 = 100_000_000;
/// Most jobs in progress at once over all workers; each is a task, a buffer, and possibly a connection.
pub const MAX_SLOTS: u64 = 100_000;
/// Largest payload.
pub const MAX_PAYLOAD_BYTES: u64 = 16 << 20;

/// A rate above zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct JobsPerSecond(f64);

impl JobsPerSecond {
    /// A rate above 0 and at most [`MAX_RATE_JOBS_S`].
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn new(rate_jobs_s: f64) -> Result<Self, String> {
        if rate_jobs_s.is_nan() || rate_jobs_s <= 0.0 {
            return Err("the rate must be above 0 jobs/s: an open-loop run without arrivals measures nothing".into());
        }
        if rate_jobs_s > MAX_RATE_JOBS_S {
            return Err(format!("the rate must be at most {} jobs/s", grouped(MAX_RATE_JOBS_S)));
        }
        Ok(JobsPerSecond(rate_jobs_s))
    }

    /// The figure.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whole jobs that arrive within `duration` on a constant schedule.
    pub fn jobs_in(self, duration: Duration) -> u64 {
        (self.0 * duration.as_secs_f64()).floor() as u64
    }
}

impl fmt::Display for JobsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share of the jobs in percent, 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// None of the jobs.
    pub const NONE: Percent = Percent(0.0);

    /// A share from 0 to 100 percent; `None` beyond that, and for what is no number.
    pub fn new(pct: f64) -> Option<Self> {
        (0.0..=100.0).contains(&pct).then_some(Percent(pct))
    }

    /// The figure.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The same as a number from 0 to 1.
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The load of one run and the client strategy that carries it; the same for every backend.
///
/// Made by [`crate::resolve`], which holds every value to its limits and all of them together to [`Workload::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Arrivals per second in the measured phase.
    pub rate: JobsPerSecond,
    /// Length of the measured phase.
    pub duration: Duration,
    /// Length of the warm-up before it; zero for none.
    pub warmup: Duration,
    /// Arrivals per second in the warm-up.
    pub warmup_rate: JobsPerSecond,
    /// Spacing of the arrivals, warm-up included.
    pub arrivals: Arrivals,
    /// Seed of everything random.
    pub seed: u64,
    /// Concurrent producers, each with one enqueue in flight.
    pub producers: NonZeroU32,
    /// Most jobs in one enqueue.
    pub enqueue_batch: NonZeroU32,
    /// Bytes of one job's payload.
    pub payload_bytes: u64,
    /// Workers, each with a consumer of its own.
    pub workers: NonZeroU32,
    /// How each of them handles jobs.
    pub worker: WorkerSettings,
    /// Simulated work of one job.
    pub work: Duration,
    /// Share of the jobs whose work fails.
    pub fail_pct: Percent,
    /// Share of the jobs whose work panics.
    pub panic_pct: Percent,
    /// How a worker learns that there is work; `None` leaves it to the backend.
    pub wake: Option<AskedWake>,
    /// Interval of polling, and of the fallback beside notifications; `None` leaves it to the way of waking up.
    pub poll_interval: Option<Duration>,
    /// Least time between two notifications; zero for one with each batch of jobs.
    pub notify_limit: Duration,
    /// How servers of ours and the queue's tables are set.
    pub tuning: Tuning,
    /// What is added to each round trip between clients and server.
    pub delay: Duration,
    /// How long a claim stays with a worker that does not answer any more.
    pub lease: Duration,
    /// How long the run waits after the last arrival for the last completion.
    pub drain_deadline: Duration,
    /// Whether a utilisation of 0.9 or more is permitted.
    pub allow_overload: bool,
    /// Producers and workers go as fast as they can instead of following a schedule: figures of capacity.
    pub saturate: bool,
    /// Jobs in the system at which flat-out producers wait for the workers, so that a run can be drained and audited.
    pub max_backlog: u64,
    /// Jobs put into the queue before the measured phase, for its workers to find.
    pub prefill: u64,
}

impl Default for Workload {
    /// What holds where no profile, scenario, file, variable or flag says otherwise: the smallest of everything.
    fn default() -> Self {
        Workload {
            rate: JobsPerSecond(100.0),
            duration: Duration::from_secs(10),
            warmup: Duration::ZERO,
            warmup_rate: JobsPerSecond(100.0),
            arrivals: Arrivals::Constant,
            seed: 1,
            producers: NonZeroU32::MIN,
            enqueue_batch: NonZeroU32::MIN,
            payload_bytes: 512,
            workers: NonZeroU32::MIN,
            worker: WorkerSettings::default(),
            work: Duration::ZERO,
            fail_pct: Percent::NONE,
            panic_pct: Percent::NONE,
            wake: None,
            poll_interval: None,
            notify_limit: Duration::ZERO,
            tuning: Tuning::Stock,
            delay: Duration::ZERO,
            lease: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(60),
            allow_overload: false,
            saturate: false,
            // A second's worth for the fastest of these queues, and drained in a few seconds by the slowest.
            max_backlog: 20_000,
            prefill: 0,
        }
    }
}

impl Workload {
    /// Jobs that all workers together work on at a time.
    pub fn slots(&self) -> u64 {
        u64::from(self.workers.get()) * u64::from(self.worker.concurrency.get())
    }

    /// Arrivals of the measured phase on a constant schedule; the expected number on a Poisson one.
    pub fn measured_jobs(&self) -> u64 {
        self.rate.jobs_in(self.duration)
    }

    /// Arrivals of the warm-up, likewise.
    pub fn warmup_jobs(&self) -> u64 {
        self.warmup_rate.jobs_in(self.warmup)
    }

    /// Longest time that a worker should hold a job that it claimed: it is the last of all that the worker holds, and waits
    /// for its ack.
    fn longest_hold(&self) -> Duration {
        let rounds = self.worker.held_most().div_ceil(self.worker.concurrency.get());
        self.work.saturating_mul(rounds) + self.worker.linger()
    }

    /// Whether the work of some jobs is meant to fail or to panic.
    pub fn has_failures(&self) -> bool {
        self.fail_pct > Percent::NONE || self.panic_pct > Percent::NONE
    }

    /// Checks that the values are possible together. Load against capacity is [`crate::Capacity`]'s to judge.
    ///
    /// # Errors
    /// [`Error::Together`] with the arithmetic.
    pub fn check(&self) -> Result<()> {
        // Flat-out producers make jobs as they go; the limit then holds while they do.
        let jobs = if self.saturate { 0 } else { self.measured_jobs() };
        if jobs == 0 && !self.saturate {
            return Err(Error::Together(format!(
                "{} jobs/s for {} is less than one job: raise --rate or --duration",
                grouped(self.rate.get()),
                format_duration(self.duration)
            )));
        }
        let all = jobs.saturating_add(self.warmup_jobs()).saturating_add(self.prefill);
        if all > MAX_JOBS {
            return Err(Error::Together(format!(
                "{} jobs/s for {} is {} jobs with warm-up and prefill, and a run may have {} because each is audited in \
                 memory: lower --rate, --duration or --prefill",
                grouped(self.rate.get()),
                format_duration(self.duration),
                grouped(all as f64),
                grouped(MAX_JOBS as f64)
            )));
        }
        if self.slots() > MAX_SLOTS {
            return Err(Error::Together(format!(
                "{} workers x {} is {} jobs in progress at once, and a run may have {}: lower --workers or --concurrency",
                self.workers,
                self.worker.concurrency,
                grouped(self.slots() as f64),
                grouped(MAX_SLOTS as f64)
            )));
        }
        if self.fail_pct.get() + self.panic_pct.get() > 100.0 {
            return Err(Error::Together(format!(
                "work that fails in {} % of the jobs and panics in {} % is more than all of them: lower --fail-pct or --panic-pct",
                self.fail_pct, self.panic_pct
            )));
        }
        // Without prefetch there is nothing to refill, and the setting means nothing: it may stay while prefetch is varied.
        if let Some(refill) =
            self.worker.refill.filter(|refill| self.worker.prefetch > 0 && *refill >= self.worker.prefetch)
        {
            return Err(Error::Together(format!(
                "a buffer for {} prefetched jobs is refilled when {refill} are left in it, which is always: lower --refill \
                 below --prefetch",
                self.worker.prefetch
            )));
        }
        let hold = self.longest_hold();
        if self.lease <= hold {
            return Err(Error::Together(format!(
                "a lease of {} ends before the work does: a worker holds up to {} jobs (concurrency {} + prefetch {}, or a \
                 claim of {} where that is more), and on {2} slots with {} of work and {} of ack linger the last of them takes \
                 up to {}: raise --lease above it",
                format_duration(self.lease),
                self.worker.held_most(),
                self.worker.concurrency,
                self.worker.prefetch,
                self.worker.claim_batch,
                format_duration(self.work),
                format_duration(self.worker.linger()),
                format_duration(hold)
            )));
        }
        Ok(())
    }
}
