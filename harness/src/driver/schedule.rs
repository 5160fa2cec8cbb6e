//! Intended instants, fixed before the run and blind to completions (METHODOLOGY L1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qbench_schema::record::Phase;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp};

/// When the jobs of one segment are due, as offsets from the segment's start in microseconds.
#[derive(Debug)]
enum Offsets {
    /// Job `i` at `i / rate`; computed, never accumulated, so no rounding error builds up.
    Constant { rate_jobs_s: f64 },
    /// One offset per job, non-decreasing.
    Trace(Box<[u64]>),
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Equal gaps.
    Constant,
    /// Independent exponential gaps from a seed: a Poisson process, the same one for every backend of a block.
    Poisson {
        /// Seed of the gaps.
        seed: u64,
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
    fn new(phase: Phase, first_job: u64, rate_jobs_s: f64, duration: Duration, arrivals: Arrivals) -> Self {
        let (offsets, jobs) = match arrivals {
            Arrivals::Constant => {
                let jobs = (rate_jobs_s * duration.as_secs_f64()).floor() as u64;
                (Offsets::Constant { rate_jobs_s }, jobs)
            }
            Arrivals::Poisson { seed } => {
                let trace = poisson_trace(rate_jobs_s, duration, seed ^ phase as u64);
                let jobs = trace.len() as u64;
                (Offsets::Trace(trace), jobs)
            }
        };
        Segment { phase, first_job, jobs, offsets, duration, start_us: AtomicU64::new(NOT_BEGUN) }
    }

    /// Phase of its jobs.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Number of its first job.
    pub fn first_job(&self) -> u64 {
        self.first_job
    }

    /// How many jobs it has.
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

    /// Intended instant of its job number `index`, counted from 0 within the segment.
    pub fn intended_us(&self, index: u64) -> u64 {
        let offset_us = match &self.offsets {
            Offsets::Constant { rate_jobs_s } => (index as f64 * 1e6 / rate_jobs_s) as u64,
            Offsets::Trace(trace) => trace[index as usize],
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

/// Every arrival of a run: an optional warm-up, then the measured phase. Jobs are numbered densely over both.
#[derive(Debug)]
pub struct Schedule {
    warmup: Option<Segment>,
    measured: Segment,
}

impl Schedule {
    /// A measured phase of `duration` at `rate_jobs_s` after an optional warm-up of its own rate and duration.
    pub fn new(warmup: Option<(f64, Duration)>, rate_jobs_s: f64, duration: Duration, arrivals: Arrivals) -> Self {
        let warmup = warmup.map(|(rate, duration)| Segment::new(Phase::Warmup, 0, rate, duration, arrivals));
        let first_job = warmup.as_ref().map_or(0, Segment::jobs);
        Schedule { warmup, measured: Segment::new(Phase::Measured, first_job, rate_jobs_s, duration, arrivals) }
    }

    /// The warm-up, if there is one.
    pub fn warmup(&self) -> Option<&Segment> {
        self.warmup.as_ref()
    }

    /// The measured phase.
    pub fn measured(&self) -> &Segment {
        &self.measured
    }

    /// The segment of `phase`, if there is one.
    pub fn segment(&self, phase: Phase) -> Option<&Segment> {
        match phase {
            Phase::Warmup => self.warmup.as_ref(),
            Phase::Measured => Some(&self.measured),
        }
    }

    /// All jobs of the run.
    pub fn total_jobs(&self) -> u64 {
        self.measured.first_job + self.measured.jobs
    }

    /// Phase and intended instant of `job`, or `None` for a number that no segment has.
    pub fn of_job(&self, job: u64) -> Option<(Phase, u64)> {
        let segment = match &self.warmup {
            Some(warmup) if job < warmup.jobs => warmup,
            _ => &self.measured,
        };
        let index = job.checked_sub(segment.first_job)?;
        (index < segment.jobs).then(|| (segment.phase, segment.intended_us(index)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(rate_jobs_s: f64, duration: Duration, arrivals: Arrivals) -> Schedule {
        let schedule = Schedule::new(None, rate_jobs_s, duration, arrivals);
        schedule.measured().begin(1_000);
        schedule
    }

    #[test]
    fn jobs_are_numbered_densely_over_warm_up_and_measured_phase() {
        let schedule =
            Schedule::new(Some((1000.0, Duration::from_secs(3))), 500.0, Duration::from_secs(10), Arrivals::Constant);
        assert_eq!(schedule.total_jobs(), 8_000);
        schedule.warmup().unwrap().begin(10);
        schedule.measured().begin(5_000_000);
        assert_eq!(schedule.of_job(2_999), Some((Phase::Warmup, 10 + 2_999_000)));
        assert_eq!(schedule.of_job(3_000), Some((Phase::Measured, 5_000_000)));
        assert_eq!(schedule.of_job(7_999), Some((Phase::Measured, 5_000_000 + 4_999 * 2_000)));
        assert_eq!(schedule.of_job(8_000), None);
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

    proptest! {
        #[test]
        fn a_constant_schedule_never_drifts(rate in 1.0f64..50_000.0, seconds in 1u64..30) {
            let schedule = measured(rate, Duration::from_secs(seconds), Arrivals::Constant);
            let jobs = schedule.total_jobs();
            prop_assert!((jobs as f64 - rate * seconds as f64).abs() <= 1.0);
            if jobs > 0 {
                let (_, last_us) = schedule.of_job(jobs - 1).unwrap();
                let ideal_us = 1_000.0 + (jobs - 1) as f64 * 1e6 / rate;
                prop_assert!((last_us as f64 - ideal_us).abs() <= 1.0);
            }
        }

        #[test]
        fn intended_instants_never_go_back_and_stay_in_the_phase(rate in 1.0f64..5_000.0, seed in any::<u64>()) {
            let schedule = measured(rate, Duration::from_secs(2), Arrivals::Poisson { seed });
            let mut before = 1_000;
            for job in 0..schedule.total_jobs() {
                let (_, at) = schedule.of_job(job).unwrap();
                prop_assert!(at >= before && at <= 2_001_000);
                before = at;
            }
        }
    }
}
