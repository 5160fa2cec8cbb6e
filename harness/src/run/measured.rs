//! What a run left behind, before figures are made of it.

use std::sync::Arc;

use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_engines::monitor::MonitorSummary;
use qbench_schema::result::BackgroundLoad;

/// What was measured.
pub(super) struct Measured {
    pub(super) incidents: Arc<Incidents>,
    pub(super) load: LoadOutcome,
    pub(super) monitors: MonitorSummary,
    /// For scenarios with background load: its report, or why there is none.
    pub(super) background: Option<Result<BackgroundLoad, String>>,
}
