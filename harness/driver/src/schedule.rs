//! Intended instants, fixed before the run and blind to completions (METHODOLOGY L1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qbench_schema::load::Arrivals;
use qbench_schema::record::Phase;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp};

use super::share::Share;

/// When the jobs of one segment are due, as offsets from the segment's start in microseconds.
#[derive(Debug)]
enum Offsets {
    /// Arrival `first + i * step` of the whole at its number over the rate; computed, never accumulated, so no rounding error builds up.
    Constant { rate_jobs_s: f64, first: u64, step: u64 },
    /// One offset per job, non-decreasing.
    Trace(Box<[u64]>),
    /// None: jobs are sent as fast as they are taken, and a job's intended instant is the one at which it was sent.
    FlatOut,
}

/// How the measured phase is loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MeasuredLoad {
    /// Arrivals at instants fixed before the run.
    OnSchedule {
        /// Mean rate.
        rate_jobs_s: f64,
        /// Length of the phase.
        duration: Duration,
        /// How arrivals are spread.
        arrivals: Arrivals,
        /// Seed of gaps that are drawn.
        seed: u64,
    },
    /// As fast as producers and workers can, at most `jobs_max` jobs.
    FlatOut {
        /// Length of the phase.
        duration: Duration,
        /// Most jobs.
        jobs_max: u64,
    },
}

/// Arrivals of one phase. Its offsets are fixed from the beginning; its start is set once, when the phase begins.
#[derive(Debug)]
pub struct Segment {
    phase: Phase,
    first_job: u64,
    jobs: u64,
    offsets: Offsets,
    duration: Duration,
    start_us: AtomicU64,
}

/// Start of a segment that has not begun.
const NOT_BEGUN: u64 = u64::MAX;

impl Segment {
    fn new(
        phase: Phase,
        first_job: u64,
        rate_jobs_s: f64,
        duration: Duration,
        (arrivals, seed): (Arrivals, u64),
    ) -> Self {
        let (offsets, jobs) = match arrivals {
            Arrivals::Constant => {
                let jobs = (rate_jobs_s * duration.as_secs_f64()).floor() as u64;
                (Offsets::Constant { rate_jobs_s, first: 0, step: 1 }, jobs)
            }
            Arrivals::Poisson => {
                let trace = poisson_trace(rate_jobs_s, duration, seed ^ phase as u64);
                let jobs = trace.len() as u64;
                (Offsets::Trace(trace), jobs)
            }
        };
        Segment { phase, first_job, jobs, offsets, duration, start_us: AtomicU64::new(NOT_BEGUN) }
    }

    fn flat_out(phase: Phase, first_job: u64, jobs: u64, duration: Duration) -> Self {
        Segment { phase, first_job, jobs, offsets: Offsets::FlatOut, duration, start_us: AtomicU64::new(NOT_BEGUN) }
    }

    /// The part of it that `share` has, at the instants that it has in the whole.
    fn shared(self, share: Share) -> Self {
        let first_job = share.among_first(self.first_job);
        let jobs = share.among_first(self.end_job()) - first_job;
        // Where its first arrival stands among those of the whole segment.
        let first = share.job_of(first_job) - self.first_job;
        let offsets = match self.offsets {
            Offsets::Constant { rate_jobs_s, .. } => Offsets::Constant { rate_jobs_s, first, step: share.step() },
            Offsets::Trace(trace) => {
                Offsets::Trace(trace.iter().skip(first as usize).step_by(share.step() as usize).copied().collect())
            }
            Offsets::FlatOut => Offsets::FlatOut,
        };
        Segment { first_job, jobs, offsets, ..self }
    }

    /// Whether its jobs have no instants of their own.
    pub fn is_flat_out(&self) -> bool {
        matches!(self.offsets, Offsets::FlatOut)
    }

    /// Number of the first job after it.
    pub fn end_job(&self) -> u64 {
        self.first_job + self.jobs
    }

    /// Phase of its jobs.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Number of its first job.
    pub fn first_job(&self) -> u64 {
        self.first_job
    }

    /// How many jobs it has; flat out, how many it may have at most.
    pub fn jobs(&self) -> u64 {
        self.jobs
    }

    /// How long it lasts, the gap after its last job included.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Sets its start. Called once, before its first job is released.
    pub fn begin(&self, start_us: u64) {
        self.start_us.store(start_us, Ordering::Release);
    }

    /// Its start in microseconds of the run's clock, or `None` before [`Segment::begin`].
    pub fn start_us(&self) -> Option<u64> {
        match self.start_us.load(Ordering::Acquire) {
            NOT_BEGUN => None,
            start_us => Some(start_us),
        }
    }

    /// Intended instant of its job number `index`, counted from 0 within the segment; its start where jobs have no
    /// instants of their own.
    pub fn intended_us(&self, index: u64) -> u64 {
        let offset_us = match &self.offsets {
            Offsets::Constant { rate_jobs_s, first, step } => {
                ((first + index * step) as f64 * 1e6 / rate_jobs_s) as u64
            }
            Offsets::Trace(trace) => trace[index as usize],
            Offsets::FlatOut => 0,
        };
        self.start_us.load(Ordering::Acquire).saturating_add(offset_us)
    }
}

/// A Poisson process over `duration`, as offsets in microseconds.
fn poisson_trace(rate_jobs_s: f64, duration: Duration, seed: u64) -> Box<[u64]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let gap_s = Exp::new(rate_jobs_s).expect("the rate is validated to be above zero");
    let horizon_s = duration.as_secs_f64();
    let mut trace = Vec::with_capacity((rate_jobs_s * horizon_s * 1.05) as usize + 16);
    let mut at_s = gap_s.sample(&mut rng);
    while at_s < horizon_s {
        trace.push((at_s * 1e6) as u64);
        at_s += gap_s.sample(&mut rng);
    }
    trace.into_boxed_slice()
}

/// Every arrival of a run: an optional warm-up, jobs that are put into the queue beforehand, then the measured phase. Jobs
/// are numbered densely over all of them.
///
/// Where several generators drive one schedule, each has its [`Share`] of it, and all numbers here are its own ones.
#[derive(Debug)]
pub struct Schedule {
    warmup: Option<Segment>,
    prefill: Option<Segment>,
    measured: Segment,
    share: Share,
    /// First number of the whole schedule that is of no such phase any more, phase by phase.
    whole: [(Phase, u64); 3],
}

impl Schedule {
    /// An optional warm-up (rate and duration, spread like the measured phase, evenly where that is flat out), `prefill` jobs
    /// that wait in the queue when the measured phase begins, and the measured phase.
    pub fn new(warmup: Option<(f64, Duration)>, prefill: u64, measured: MeasuredLoad) -> Self {
        let arrivals = match measured {
            MeasuredLoad::OnSchedule { arrivals, seed, .. } => (arrivals, seed),
            MeasuredLoad::FlatOut { .. } => (Arrivals::Constant, 0),
        };
        let warmup = warmup.map(|(rate, duration)| Segment::new(Phase::Warmup, 0, rate, duration, arrivals));
        let warmup_end = warmup.as_ref().map_or(0, Segment::end_job);
        let prefill = (prefill > 0).then(|| Segment::flat_out(Phase::Prefill, warmup_end, prefill, Duration::ZERO));
        let first_job = prefill.as_ref().map_or(warmup_end, Segment::end_job);
        let measured = match measured {
            MeasuredLoad::OnSchedule { rate_jobs_s, duration, .. } => {
                Segment::new(Phase::Measured, first_job, rate_jobs_s, duration, arrivals)
            }
            MeasuredLoad::FlatOut { duration, jobs_max } => {
                Segment::flat_out(Phase::Measured, first_job, jobs_max, duration)
            }
        };
        let whole = [(Phase::Warmup, warmup_end), (Phase::Prefill, first_job), (Phase::Measured, measured.end_job())];
        Schedule { warmup, prefill, measured, share: Share::WHOLE, whole }
    }

    /// The part of it that `share` has. All parts together are the whole, job by job and instant by instant.
    #[must_use]
    pub fn shared(self, share: Share) -> Self {
        let part = |segment: Segment| segment.shared(share);
        Schedule {
            warmup: self.warmup.map(part),
            prefill: self.prefill.map(part),
            measured: part(self.measured),
            share,
            whole: self.whole,
        }
    }

    /// Which part of the whole it is.
    pub fn share(&self) -> Share {
        self.share
    }

    /// Phase of the job with this number in the whole schedule; `None` for a number that nobody can have.
    pub fn phase_in_whole(&self, job: u64) -> Option<Phase> {
        self.whole.iter().find(|(_, end)| job < *end).map(|(phase, _)| *phase)
    }

    /// The warm-up, if there is one.
    pub fn warmup(&self) -> Option<&Segment> {
        self.warmup.as_ref()
    }

    /// Jobs put into the queue beforehand, if there are any.
    pub fn prefill(&self) -> Option<&Segment> {
        self.prefill.as_ref()
    }

    /// The measured phase.
    pub fn measured(&self) -> &Segment {
        &self.measured
    }

    /// The segment of `phase`, if there is one.
    pub fn segment(&self, phase: Phase) -> Option<&Segment> {
        match phase {
            Phase::Warmup => self.warmup.as_ref(),
            Phase::Prefill => self.prefill.as_ref(),
            Phase::Measured => Some(&self.measured),
        }
    }

    /// Number of the first job that the run cannot have.
    pub fn end_job(&self) -> u64 {
        self.measured.end_job()
    }

    /// Phase of `job`, and its intended instant where it has one of its own; `None` for a number that no segment has.
    pub fn of_job(&self, job: u64) -> Option<(Phase, Option<u64>)> {
        let segment = [self.warmup.as_ref(), self.prefill.as_ref(), Some(&self.measured)]
            .into_iter()
            .flatten()
            .find(|segment| job < segment.end_job())?;
        let intended_us = (!segment.is_flat_out()).then(|| segment.intended_us(job - segment.first_job));
        Some((segment.phase, intended_us))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qbench_schema::shard::ShardNumber;

    use super::*;

    fn measured(rate_jobs_s: f64, duration: Duration, arrivals: Arrivals, seed: u64) -> Schedule {
        let schedule = Schedule::new(None, 0, MeasuredLoad::OnSchedule { rate_jobs_s, duration, arrivals, seed });
        schedule.measured().begin(1_000);
        schedule
    }

    #[test]
    fn jobs_are_numbered_densely_over_warm_up_prefill_and_measured_phase() {
        let measured = MeasuredLoad::OnSchedule {
            rate_jobs_s: 500.0,
            duration: Duration::from_secs(10),
            arrivals: Arrivals::Constant,
            seed: 0,
        };
        let schedule = Schedule::new(Some((1000.0, Duration::from_secs(3))), 700, measured);
        assert_eq!(schedule.end_job(), 8_700);
        schedule.warmup().unwrap().begin(10);
        schedule.measured().begin(5_000_000);
        assert_eq!(schedule.of_job(2_999), Some((Phase::Warmup, Some(10 + 2_999_000))));
        assert_eq!(schedule.of_job(3_000), Some((Phase::Prefill, None)));
        assert_eq!(schedule.of_job(3_700), Some((Phase::Measured, Some(5_000_000))));
        assert_eq!(schedule.of_job(8_699), Some((Phase::Measured, Some(5_000_000 + 4_999 * 2_000))));
        assert_eq!(schedule.of_job(8_700), None);
    }

    #[test]
    fn flat_out_a_job_has_no_instant_of_its_own() {
        let flat_out = MeasuredLoad::FlatOut { duration: Duration::from_secs(5), jobs_max: 1_000 };
        let schedule = Schedule::new(None, 0, flat_out);
        assert_eq!(schedule.of_job(999), Some((Phase::Measured, None)));
        assert_eq!(schedule.of_job(1_000), None);
    }

    #[test]
    fn one_seed_gives_one_trace_and_another_seed_another() {
        let of = |seed| poisson_trace(1000.0, Duration::from_secs(5), seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_poisson_trace_has_the_mean_and_the_spread_of_its_process() {
        let trace = poisson_trace(10_000.0, Duration::from_secs(20), 7);
        // The count has standard deviation sqrt(200,000) = 447; six of them never happen.
        assert!((trace.len() as f64 - 200_000.0).abs() < 6.0 * 447.0, "{}", trace.len());
        let gaps: Vec<f64> = trace.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "an exponential gap's deviation equals its mean");
    }

    /// Number in the whole schedule, phase and instant of every job.
    fn jobs(schedule: &Schedule) -> Vec<(u64, Phase, Option<u64>)> {
        for (segment, start_us) in [(schedule.warmup(), 10), (Some(schedule.measured()), 60_000_000)] {
            segment.into_iter().for_each(|segment| segment.begin(start_us));
        }
        let numbered = |own| {
            let (phase, at_us) = schedule.of_job(own).unwrap();
            (schedule.share().job_of(own), phase, at_us)
        };
        (0..schedule.end_job()).map(numbered).collect()
    }

    #[test]
    fn a_shard_s_jobs_keep_their_phase_in_the_whole_and_beyond_the_whole_there_is_none() {
        let measured = MeasuredLoad::FlatOut { duration: Duration::from_secs(1), jobs_max: 10 };
        let schedule = Schedule::new(Some((4.0, Duration::from_secs(1))), 3, measured);
        let phases: Vec<_> = (0..18).map(|job| schedule.phase_in_whole(job)).collect();
        assert!(phases[..4].iter().all(|phase| *phase == Some(Phase::Warmup)));
        assert!(phases[4..7].iter().all(|phase| *phase == Some(Phase::Prefill)));
        assert!(phases[7..17].iter().all(|phase| *phase == Some(Phase::Measured)));
        assert_eq!(phases[17], None);
    }

    proptest! {
        #[test]
        fn the_shards_together_are_the_whole_schedule_job_by_job(
            of in 1_u32..9, rate in 1.0f64..300.0, prefill in 0_u64..50, warmup in any::<bool>(), poisson in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let whole = || Schedule::new(
                warmup.then_some((170.0, Duration::from_secs(1))),
                prefill,
                MeasuredLoad::OnSchedule { rate_jobs_s: rate, duration: Duration::from_secs(2), arrivals, seed },
            );
            let mut together: Vec<_> = (1..=of)
                .flat_map(|number| jobs(&whole().shared(Share::of_shard(ShardNumber { number, of }))))
                .collect();
            together.sort_unstable_by_key(|(job, ..)| *job);
            prop_assert_eq!(together, jobs(&whole()));
        }

        #[test]
        fn a_constant_schedule_never_drifts(rate in 1.0f64..50_000.0, seconds in 1u64..30) {
            let schedule = measured(rate, Duration::from_secs(seconds), Arrivals::Constant, 0);
            let jobs = schedule.end_job();
            prop_assert!((jobs as f64 - rate * seconds as f64).abs() <= 1.0);
            if jobs > 0 {
                let (_, last_us) = schedule.of_job(jobs - 1).unwrap();
                let ideal_us = 1_000.0 + (jobs - 1) as f64 * 1e6 / rate;
                let last_us = last_us.unwrap();
                prop_assert!((last_us as f64 - ideal_us).abs() <= 1.0);
            }
        }

        #[test]
        fn intended_instants_never_go_back_and_stay_in_the_phase(rate in 1.0f64..5_000.0, seed in any::<u64>()) {
            let schedule = measured(rate, Duration::from_secs(2), Arrivals::Poisson, seed);
            let mut before = 1_000;
            for job in 0..schedule.end_job() {
                let at = schedule.of_job(job).unwrap().1.unwrap();
                prop_assert!(at >= before && at <= 2_001_000);
                before = at;
            }
        }
    }
}
