//! One clock for every instant of a run (METHODOLOGY M1), and the phase that the run is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

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
