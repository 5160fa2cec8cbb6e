//! How far a run is, for whoever watches it.

use qbench_ground::clock::RunPhase;

/// Where a run says how far it is.
pub trait Progress: Send {
    /// A step of preparation or conclusion begins.
    fn step(&mut self, text: &str);
    /// The load goes on; called about ten times a second.
    fn load(&mut self, phase: RunPhase, done_s: f64, total_s: f64, backlog: u64);
}
