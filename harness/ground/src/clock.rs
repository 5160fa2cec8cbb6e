//! One clock for every instant of a run (METHODOLOGY M1), and the phase that the run is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// Monotonic clock of one run. Copies share the same start.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    start: Instant,
}

impl RunClock {
    /// Starts the clock of a run; this instant is 0.
    pub fn start() -> Self {
        RunClock { start: Instant::now() }
    }

    /// The clock of a run that began at `at_ns` of this host's [`monotonic_ns`]: for a process that did not see it begin. One that
    /// should have begun in the future, or before this host, begins now.
    pub fn begun_at(at_ns: u64) -> Self {
        let now = Instant::now();
        let ago = monotonic_ns().and_then(|now_ns| now_ns.checked_sub(at_ns)).map(Duration::from_nanos);
        RunClock { start: ago.and_then(|ago| now.checked_sub(ago)).unwrap_or(now) }
    }

    /// When it began, as [`monotonic_ns`] of this host; `None` where the system does not tell.
    pub fn start_ns(&self) -> Option<u64> {
        monotonic_ns()?.checked_sub(u64::try_from(self.start.elapsed().as_nanos()).ok()?)
    }

    /// Microseconds since the start.
    #[inline]
    pub fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// The instant that lies `us` microseconds after the start.
    #[inline]
    pub fn at(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us)
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a host share.
pub fn monotonic_ns() -> Option<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    Some(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Sleeps on the kernel's monotonic clock to an absolute instant (METHODOLOGY L4): a late wake-up is not added to the next one, and
/// no 1 ms timer wheel rounds it up. Returns at `at` or a little later; earlier where a signal comes.
pub fn sleep_until(at: Instant) {
    let wait = at.saturating_duration_since(Instant::now());
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        thread::sleep(wait);
        return;
    };
    let at = now + TimeSpec::from_duration(wait);
    // EINTR only means an early return, and whoever must not be early looks at the clock again.
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &at);
}

/// Part of a run, as `system.csv` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RunPhase {
    /// Servers, tables, connections.
    Setup = 0,
    /// Load that is not reported.
    Warmup = 1,
    /// Jobs are put into the queue for the measured window to find.
    Prefill = 2,
    /// The measured window.
    Measured = 3,
    /// No more arrivals; waiting for the last completion.
    Drain = 4,
}

impl RunPhase {
    /// Every one, in order.
    pub const ALL: [RunPhase; 5] =
        [RunPhase::Setup, RunPhase::Warmup, RunPhase::Prefill, RunPhase::Measured, RunPhase::Drain];

    /// The word in files and on progress lines.
    pub fn name(self) -> &'static str {
        match self {
            RunPhase::Setup => "setup",
            RunPhase::Warmup => "warmup",
            RunPhase::Prefill => "prefill",
            RunPhase::Measured => "measured",
            RunPhase::Drain => "drain",
        }
    }
}

/// The phase that a run is in now; the driver sets it, monitors and progress read it.
#[derive(Debug, Clone, Default)]
pub struct PhaseCell(Arc<AtomicU8>);

impl PhaseCell {
    /// Enters `phase`.
    #[inline]
    pub fn enter(&self, phase: RunPhase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// The phase now.
    #[inline]
    pub fn current(&self) -> RunPhase {
        match self.0.load(Ordering::Acquire) {
            0 => RunPhase::Setup,
            1 => RunPhase::Warmup,
            2 => RunPhase::Prefill,
            3 => RunPhase::Measured,
            _ => RunPhase::Drain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_told_when_a_run_began_shows_the_same_time() {
        let clock = RunClock::start();
        sleep_until(Instant::now() + Duration::from_millis(20));
        let told = RunClock::begun_at(clock.start_ns().unwrap());
        let (before_us, told_us, after_us) = (clock.now_us(), told.now_us(), clock.now_us());
        assert!(before_us >= 20_000, "{before_us}");
        // The two readings behind `start_ns`, and behind `begun_at`, are some nanoseconds apart, or a pause of the host.
        assert!(told_us + 1_000_000 > before_us && told_us < after_us + 1_000_000, "{before_us} {told_us} {after_us}");
    }
}
