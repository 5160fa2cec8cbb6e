//! What the workers can carry, and what to expect of a load (METHODOLOGY L5, Little's law).

use std::num::NonZeroU32;
use std::time::Duration;

use qbench_schema::result::Regime;

use crate::error::{Error, Result};
use crate::units::{about_duration, format_duration, grouped};
use crate::workload::{JobsPerSecond, Workload};

/// Utilisation from which on queues grow out of proportion and percentiles describe the length of the run.
pub const OVERLOAD_UTILISATION: f64 = 0.9;

/// Capacity of the workers against the load asked of them. The queue's own capacity is what the run is to find out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Generators that share the load out between them, each with as many workers.
    pub generators: NonZeroU32,
    /// `generators x workers x concurrency / work`; `None` where the work takes no time.
    pub capacity_jobs_s: Option<f64>,
    /// Measured rate over capacity.
    pub utilisation: Option<f64>,
    /// Warm-up rate over capacity, where there is a warm-up.
    pub warmup_utilisation: Option<f64>,
    /// [`Regime::Overload`] when one of the two reaches [`OVERLOAD_UTILISATION`]: a backlog of the warm-up burdens the
    /// measured phase.
    pub regime: Regime,
    /// Jobs in the system to expect when the measured phase ends: what piled up, and what is being worked on.
    pub backlog_end_jobs: f64,
    /// Time to expect from then until the last completion.
    pub drain: Duration,
    /// Time to expect for warm-up, measured phase and drain; setup of servers is not in it.
    pub wall: Duration,
}

fn is_below_overload(utilisation: f64) -> bool {
    utilisation < OVERLOAD_UTILISATION
}

impl Capacity {
    /// The arithmetic of `workload` where so many generators share it.
    pub fn of(workload: &Workload, generators: NonZeroU32) -> Self {
        let slots = workload.slots() as f64 * f64::from(generators.get());
        let capacity_jobs_s = (!workload.work.is_zero()).then(|| slots / workload.work.as_secs_f64());
        let over = |rate: JobsPerSecond| capacity_jobs_s.map(|capacity| rate.get() / capacity);
        // Flat out, the offered load is what the queue takes: the run is to find it out.
        let utilisation = if workload.saturate { None } else { over(workload.rate) };
        let warmup_utilisation = if workload.warmup.is_zero() { None } else { over(workload.warmup_rate) };
        let overloaded = |utilisation: Option<f64>| utilisation.is_some_and(|rho| !is_below_overload(rho));
        let regime = if workload.saturate || overloaded(utilisation) || overloaded(warmup_utilisation) {
            Regime::Overload
        } else {
            Regime::Normal
        };

        let (backlog_end_jobs, drain) = match capacity_jobs_s {
            _ if workload.saturate => (workload.max_backlog as f64, Duration::ZERO),
            None => (0.0, Duration::ZERO),
            Some(capacity) => {
                let piled = |before: f64, rate: JobsPerSecond, length: Duration| {
                    (before + (rate.get() - capacity) * length.as_secs_f64()).max(0.0)
                };
                let after_warmup = piled(0.0, workload.warmup_rate, workload.warmup);
                let waiting = piled(after_warmup, workload.rate, workload.duration);
                let in_progress = workload.rate.get().min(capacity) * workload.work.as_secs_f64();
                (waiting + in_progress, Duration::from_secs_f64(waiting / capacity) + workload.work)
            }
        };
        let wall = workload.warmup + workload.duration + drain.min(workload.drain_deadline);
        Capacity { generators, capacity_jobs_s, utilisation, warmup_utilisation, regime, backlog_end_jobs, drain, wall }
    }

    /// Refuses an overload that nobody asked for.
    ///
    /// # Errors
    /// [`Error::Overload`] with the arithmetic and what to do.
    pub fn check(&self, workload: &Workload) -> Result<()> {
        let asked_for =
            workload.allow_overload || (workload.saturate && self.warmup_utilisation.is_none_or(is_below_overload));
        if self.regime == Regime::Normal || asked_for {
            return Ok(());
        }
        let measured = self.utilisation.is_some_and(|rho| !is_below_overload(rho));
        let (what, rate, rate_flag, rho) = if measured {
            ("asked for", workload.rate, "--rate", self.utilisation)
        } else {
            ("the warm-up asks for", workload.warmup_rate, "--warmup-rate", self.warmup_utilisation)
        };
        Err(Error::Overload(format!(
            "{}; {what} {} jobs/s (utilisation {:.2}). From {OVERLOAD_UTILISATION} on, latency measures how long the run is, \
             not the queue: lower {rate_flag} or raise --workers or --concurrency; or use --allow-overload, and the result \
             is marked",
            self.arithmetic(workload),
            grouped(rate.get()),
            rho.unwrap_or_default(),
        )))
    }

    /// What to expect, in three lines, to print before the run.
    pub fn summary(&self, workload: &Workload) -> String {
        let warmup = match workload.warmup {
            Duration::ZERO => "no warm-up".to_owned(),
            length => format!(
                "after {} of warm-up at {} jobs/s ({} jobs)",
                format_duration(length),
                grouped(workload.warmup_rate.get()),
                grouped(workload.warmup_jobs() as f64)
            ),
        };
        if workload.saturate {
            return format!(
                "load      flat out for {}, {warmup}; {} jobs put there before\n\
                 capacity  {}; the run finds out what the queue carries\n\
                 expected  backlog of up to {} jobs: producers wait for workers there; latency describes the backlog\n",
                format_duration(workload.duration),
                grouped(workload.prefill as f64),
                self.arithmetic(workload),
                grouped(workload.max_backlog.max(workload.prefill) as f64),
            );
        }
        let utilisation = match self.utilisation {
            Some(rho) => format!(
                "utilisation {rho:.2} ({})",
                match self.regime {
                    Regime::Normal => "normal",
                    Regime::Overload => "overload: end-to-end latency will describe the length of the run",
                }
            ),
            None => "no limit on the workers' side".to_owned(),
        };
        let cut = match self.drain > workload.drain_deadline {
            true => format!(
                ", cut off by the drain deadline of {}, so the audit will be inconclusive",
                format_duration(workload.drain_deadline)
            ),
            false => String::new(),
        };
        format!(
            "load      {} jobs/s for {} ({} jobs), {warmup}\n\
             capacity  {}; {utilisation}\n\
             expected  backlog of about {} jobs at the end, drained in {}{cut}; {} in all, setup not counted\n",
            grouped(workload.rate.get()),
            format_duration(workload.duration),
            grouped(workload.measured_jobs() as f64),
            self.arithmetic(workload),
            grouped(self.backlog_end_jobs.round()),
            about_duration(self.drain),
            about_duration(self.wall),
        )
    }

    /// `20 workers x 1 / 10ms = 2,000 jobs/s`.
    fn arithmetic(&self, workload: &Workload) -> String {
        let workers = match workload.workers.get() {
            1 => "1 worker".to_owned(),
            workers => format!("{} workers", grouped(f64::from(workers))),
        };
        let workers = match self.generators.get() {
            1 => workers,
            generators => format!("{generators} shards x {workers}"),
        };
        match self.capacity_jobs_s {
            Some(capacity) => format!(
                "{workers} x {} / {} = {} jobs/s",
                workload.worker.concurrency,
                format_duration(workload.work),
                grouped(capacity)
            ),
            None => format!("{workers} x {} without work", workload.worker.concurrency),
        }
    }
}
