//! One load against one backend: what it needs.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use qbench_backends::{Backend, Capabilities, ClientCounters};
use qbench_ground::clock::{PhaseCell, RunClock};

use crate::company::Company;
use crate::incidents::Incidents;
use crate::plan::LoadPlan;

/// One load against one backend. Errors of single operations are in `incidents`; so is the reason when the run had to end
/// early ([`Incidents::fatal`]).
pub struct LoadRun<'a> {
    /// What to drive.
    pub plan: &'a LoadPlan,
    /// Threads that carry producers and workers; see [`crate::shards::threads_beside`].
    pub threads: NonZeroUsize,
    /// What to drive it against; its tables are set up.
    pub backend: Arc<dyn Backend>,
    /// What `backend` states about itself.
    pub capabilities: &'a Capabilities,
    /// What the connections of `backend` asked of the server.
    pub counters: ClientCounters,
    /// The run's clock.
    pub clock: RunClock,
    /// Where the phase is announced.
    pub phase: PhaseCell,
    /// What goes wrong.
    pub incidents: Arc<Incidents>,
    /// Set from outside to stop gracefully.
    pub interrupt: Arc<AtomicBool>,
    /// Other generators that drive the rest of the schedule at the same time; `None` in a run alone.
    pub company: Option<Arc<dyn Company>>,
}

impl LoadRun<'_> {
    /// Whether jobs of others come to the workers here.
    pub(super) fn shares_queue(&self) -> bool {
        self.company.as_ref().is_some_and(|company| company.shares_queue())
    }
}
