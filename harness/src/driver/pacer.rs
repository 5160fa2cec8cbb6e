//! Releases every job at its intended instant (METHODOLOGY L3, L4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use qbench_schema::record::Phase;

use super::gate::ReleaseGate;
use super::schedule::{Schedule, Segment};
use crate::clock::RunClock;

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

/// Sleeps on the kernel's monotonic clock to an absolute instant: a late wake-up is not added to the next one, and no
/// 1 ms timer wheel rounds it up.
struct KernelClock {
    clock: RunClock,
}

impl PacerClock for KernelClock {
    fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    fn sleep_until(&self, at_us: u64) {
        let wait = Duration::from_micros(at_us.saturating_sub(self.clock.now_us()));
        let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
            thread::sleep(wait);
            return;
        };
        let at = now + TimeSpec::from_duration(wait);
        // EINTR only means an early return, and the caller looks at the clock again.
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &at);
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

    /// Jobs released so far.
    pub fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }
}

/// Releases the jobs of `segment`, which has begun, until all are released or `state` says stop. Blocks.
pub fn release_segment(clock: &dyn PacerClock, segment: &Segment, gate: &ReleaseGate, state: &PacerState) {
    let mut next = 0;
    while next < segment.jobs() && !state.stop.load(Ordering::Acquire) {
        let now_us = clock.now_us();
        let mut due = next;
        while due < segment.jobs() && segment.intended_us(due) <= now_us {
            due += 1;
        }
        if due > next {
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

/// Runs [`release_segment`] on a thread of its own, which asks the system for real-time priority and falls back silently
/// to the ordinary one; [`crate::priority`] says in the manifest which it is.
///
/// # Errors
/// When the operating system gives no more threads.
pub fn spawn(
    clock: RunClock,
    schedule: Arc<Schedule>,
    phase: Phase,
    gate: Arc<ReleaseGate>,
    state: Arc<PacerState>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("pacer".into()).spawn(move || {
        crate::priority::make_pacer_thread();
        if let Some(segment) = schedule.segment(phase) {
            release_segment(&KernelClock { clock }, segment, &gate, &state);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::driver::schedule::Arrivals;

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

    fn released_after(rate_jobs_s: f64, oversleep_us: u64) -> (u64, u64) {
        let schedule = Schedule::new(None, rate_jobs_s, Duration::from_secs(2), Arrivals::Constant);
        schedule.measured().begin(0);
        let (gate, state) = (ReleaseGate::new(), PacerState::default());
        let clock = FakeClock { now_us: Cell::new(0), oversleep_us };
        release_segment(&clock, schedule.measured(), &gate, &state);
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
        let schedule = Schedule::new(None, 100.0, Duration::from_secs(1), Arrivals::Constant);
        schedule.measured().begin(0);
        let (gate, state) = (ReleaseGate::new(), PacerState::default());
        state.stop();
        release_segment(&FakeClock { now_us: Cell::new(0), oversleep_us: 0 }, schedule.measured(), &gate, &state);
        assert_eq!(state.released(), 0);
    }
}
