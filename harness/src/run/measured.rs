//! What a run left behind, before figures are made of it.

use std::sync::Arc;

use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_engines::monitor::MonitorSummary;
use qbench_schema::result::BackgroundLoad;
use qbench_schema::shard::ServerClock;

/// What was measured.
pub(crate) struct Measured {
    pub(crate) incidents: Arc<Incidents>,
    pub(crate) load: LoadOutcome,
    pub(crate) monitors: MonitorSummary,
    /// For scenarios with background load: its report, or why there is none.
    pub(crate) background: Option<Result<BackgroundLoad, String>>,
    /// Of a shard: its clock against the server's, where there is a server to ask.
    pub(crate) server_clock: Option<ServerClock>,
}
