//! Releases every job at its intended instant (METHODOLOGY L3, L4).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::gate::ReleaseGate;
use super::ledger::Ledger;
use super::schedule::Segment;
use qbench_ground::clock::{RunClock, sleep_until};

/// Shortest sleep. Jobs that fall due within one sleep are released together, each with its own intended instant; without
/// this bound a rate of 50,000 jobs/s would cost the harness a core in timer interrupts.
const MIN_SLEEP_US: u64 = 100;

/// Longest sleep, so that an interruption is noticed soon at any rate.
const MAX_SLEEP_US: u64 = 50_000;

/// A clock to wait on; a fake one in tests.
pub trait PacerClock {
    /// Microseconds since the start of the run.
    fn now_us(&self) -> u64;
    /// Returns at `at_us` or a little later.
    fn sleep_until(&self, at_us: u64);
}

/// The run's clock, and the kernel's sleep to an absolute instant of it.
struct KernelClock {
    clock: RunClock,
}

impl PacerClock for KernelClock {
    fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    fn sleep_until(&self, at_us: u64) {
        // One that returns early does no harm: the caller looks at the clock again.
        sleep_until(self.clock.at(at_us));
    }
}

/// What the pacer and the rest of the run tell each other.
#[derive(Debug, Default)]
pub struct PacerState {
    /// Set to stop releasing.
    stop: AtomicBool,
    /// Jobs released so far, over all segments.
    released: AtomicU64,
}

impl PacerState {
    /// Asks the pacer to stop; jobs not yet due are never released.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Permits the next segment to be released.
    pub fn go_on(&self) {
        self.stop.store(false, Ordering::Release);
    }

    /// Releases `jobs` jobs at once.
    pub fn release_now(&self, jobs: u64, gate: &ReleaseGate) {
        self.released.fetch_add(jobs, Ordering::AcqRel);
        gate.release(jobs);
    }

    /// Jobs released so far.
    pub fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }
}

/// Releases the jobs of `segment`, which has begun, until all are released or `state` says stop; `ledger` is told when. Blocks.
pub fn release_segment(
    clock: &dyn PacerClock,
    segment: &Segment,
    ledger: &Ledger,
    gate: &ReleaseGate,
    state: &PacerState,
) {
    let mut next = 0;
    while next < segment.jobs() && !state.stop.load(Ordering::Acquire) {
        let now_us = clock.now_us();
        let mut due = next;
        while due < segment.jobs() && segment.intended_us(due) <= now_us {
            due += 1;
        }
        if due > next {
            // Told first: whoever takes a job must find when it was released.
            ledger.released(&(segment.first_job() + next..segment.first_job() + due), now_us);
            gate.release(due - next);
            state.released.fetch_add(due - next, Ordering::AcqRel);
            next = due;
        }
        if next < segment.jobs() {
            let earliest_us = now_us + MIN_SLEEP_US;
            clock.sleep_until(segment.intended_us(next).clamp(earliest_us, now_us + MAX_SLEEP_US));
        }
    }
}

/// What a flat-out load may have in the system: jobs released less jobs that are out of the way again.
pub struct FlatOutLimit {
    /// Most jobs between release and `settled`.
    pub outstanding_max: u64,
    /// Jobs of the whole run that are out of the way: completed ones, or enqueued ones where nobody takes them out.
    pub settled: Box<dyn Fn() -> u64 + Send>,
}

/// How often a flat-out load is topped up: at 500,000 jobs/s that is 500 jobs, far below any sensible limit.
const TOP_UP_US: u64 = 1_000;

/// Keeps released what `limit` permits until all jobs of `segment` are released or `state` says stop; then takes back what
/// no producer has taken. Blocks.
pub fn release_flat_out(
    clock: &dyn PacerClock,
    segment: &Segment,
    limit: &FlatOutLimit,
    gate: &ReleaseGate,
    state: &PacerState,
) {
    while !state.stop.load(Ordering::Acquire) {
        let released = state.released();
        let outstanding = released.saturating_sub((limit.settled)());
        let room = limit.outstanding_max.saturating_sub(outstanding).min(segment.end_job() - released);
        if room > 0 {
            // Counted first: whoever sees a job taken must see it released.
            state.released.fetch_add(room, Ordering::AcqRel);
            gate.release(room);
        }
        clock.sleep_until(clock.now_us() + TOP_UP_US);
    }
    state.released.fetch_sub(gate.revoke(), Ordering::AcqRel);
}

/// Runs `release` on a thread of its own, which asks the system for real-time priority and falls back silently to the
/// ordinary one; [`qbench_ground::priority`] says in the manifest which it is.
///
/// # Errors
/// When the operating system gives no more threads.
pub fn spawn(
    clock: RunClock,
    release: impl FnOnce(&dyn PacerClock) + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("pacer".into()).spawn(move || {
        qbench_ground::priority::make_pacer_thread();
        release(&KernelClock { clock });
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::schedule::{MeasuredLoad, Schedule};
    use qbench_schema::load::Arrivals;

    /// A clock that only moves when it is slept on, and oversleeps by a fixed amount.
    struct FakeClock {
        now_us: Cell<u64>,
        oversleep_us: u64,
    }

    impl PacerClock for FakeClock {
        fn now_us(&self) -> u64 {
            self.now_us.get()
        }
        fn sleep_until(&self, at_us: u64) {
            self.now_us.set(self.now_us.get().max(at_us) + self.oversleep_us);
        }
    }

    fn constant(rate_jobs_s: f64, duration: Duration) -> Schedule {
        Schedule::new(
            None,
            0,
            MeasuredLoad::OnSchedule { rate_jobs_s, duration, arrivals: Arrivals::Constant, seed: 0 },
        )
    }

    fn released_after(rate_jobs_s: f64, oversleep_us: u64) -> (u64, u64) {
        let schedule = Arc::new(constant(rate_jobs_s, Duration::from_secs(2)));
        let ledger = Ledger::new(Arc::clone(&schedule));
        schedule.measured().begin(0);
        let (gate, state) = (ReleaseGate::new(), PacerState::default());
        let clock = FakeClock { now_us: Cell::new(0), oversleep_us };
        release_segment(&clock, schedule.measured(), &ledger, &gate, &state);
        assert_eq!(gate.waiting(), state.released());
        (state.released(), clock.now_us.get())
    }

    #[test]
    fn every_job_is_released_even_when_each_sleep_is_late() {
        for oversleep_us in [0, 60, 3_000, 700_000] {
            let (released, ended_us) = released_after(5_000.0, oversleep_us);
            assert_eq!(released, 10_000, "a late pacer catches up, it never skips");
            assert!(ended_us <= 2_000_000 + oversleep_us, "lateness does not add up: ended at {ended_us}");
        }
    }

    #[test]
    fn a_high_rate_is_released_in_groups_and_completely() {
        assert_eq!(released_after(50_000.0, 55).0, 100_000);
    }

    #[test]
    fn a_stopped_pacer_releases_nothing_more() {
        let schedule = Arc::new(constant(100.0, Duration::from_secs(1)));
        let ledger = Ledger::new(Arc::clone(&schedule));
        schedule.measured().begin(0);
        let (gate, state) = (ReleaseGate::new(), PacerState::default());
        state.stop();
        release_segment(
            &FakeClock { now_us: Cell::new(0), oversleep_us: 0 },
            schedule.measured(),
            &ledger,
            &gate,
            &state,
        );
        assert_eq!(state.released(), 0);
    }

    #[test]
    fn a_flat_out_load_is_never_more_than_its_limit_ahead_and_takes_back_what_nobody_took() {
        let schedule =
            Schedule::new(None, 0, MeasuredLoad::FlatOut { duration: Duration::from_secs(1), jobs_max: 10_000 });
        let (gate, state) = (Arc::new(ReleaseGate::new()), Arc::new(PacerState::default()));
        let completed = Arc::new(AtomicU64::new(0));
        // Completes ten jobs in every millisecond, and stops after a hundred of them.
        struct Consuming {
            completed: Arc<AtomicU64>,
            state: Arc<PacerState>,
        }
        impl PacerClock for Consuming {
            fn now_us(&self) -> u64 {
                0
            }
            fn sleep_until(&self, _: u64) {
                let completed = self.completed.fetch_add(10, Ordering::AcqRel) + 10;
                assert!(self.state.released() <= completed - 10 + 500);
                if completed == 1_000 {
                    self.state.stop();
                }
            }
        }
        let settled = Arc::clone(&completed);
        let limit = FlatOutLimit { outstanding_max: 500, settled: Box::new(move || settled.load(Ordering::Acquire)) };
        let clock = Consuming { completed, state: Arc::clone(&state) };
        release_flat_out(&clock, schedule.measured(), &limit, &gate, &state);
        assert_eq!((state.released(), gate.waiting()), (0, 0), "nobody took any, so all were taken back");
    }
}
