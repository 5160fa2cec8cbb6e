//! What came of a load.

use qbench_backends::Census;
use qbench_schema::latency::LatencyHistogram;
use qbench_schema::result::{Backlog, ClaimOrder, Rates, TimelineRow, WakeCounts};

use super::ledger::{Counts, Totals};
use crate::record::Recording;

/// How the load ended, which decides what can be said of the jobs that were not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The queue was emptied to the end: what is missing is lost.
    Drained,
    /// The user stopped it: workers finished what they ran and handed back the rest, so what is not completed must be in the
    /// queue, to be counted there.
    Stopped,
    /// Time ran out or something broke: what is missing may only be late.
    Undrained,
}

/// What came of the load.
pub struct LoadOutcome {
    /// The account of every job.
    pub totals: Totals,
    /// Histograms and per-worker counts of the measured phase.
    pub recording: Recording,
    /// Jobs handed over, confirmed and completed between start and end of the measured phase, whatever phase they are of:
    /// what the cost of that phase was spent on.
    pub in_window: Counts,
    /// Requests to the server in that time.
    pub round_trips: u64,
    /// How workers learned of work in that time; absent where the queue is asked by processes that do not tell.
    pub wake: Option<WakeCounts>,
    /// CPU of the busiest thread of producers and workers in that time, 100 is one core; absent where the system does not
    /// tell.
    pub busiest_thread_pct: Option<f64>,
    /// Jobs of `in_window` per second.
    pub rates: Rates,
    /// Jobs that were in the queue when the measured phase began, put there on purpose.
    pub prefilled: u64,
    /// Jobs in the system over the measured phase.
    pub backlog: Backlog,
    /// The measured phase and the drain, second by second.
    pub timeline: Vec<TimelineRow>,
    /// From handing over to the confirmation, of the measured jobs.
    pub confirm_time: LatencyHistogram,
    /// Order of first deliveries.
    pub claim_order: ClaimOrder,
    /// Start of the measured phase in microseconds of the run's clock; `None` when it was never reached.
    pub measured_start_us: Option<u64>,
    /// Its end: as planned, or when it was cut short.
    pub measured_end_us: u64,
    /// From the end of the measured phase to the last ack, or to giving up.
    pub drain_s: f64,
    /// Whether the queue was emptied to the end, so that what is missing now is lost.
    pub drained: bool,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// The server's own account, or why there is none.
    pub census: Result<Census, String>,
}

impl LoadOutcome {
    /// How the load ended.
    pub fn end(&self) -> End {
        match (self.drained, self.interrupted) {
            (true, _) => End::Drained,
            (false, true) => End::Stopped,
            (false, false) => End::Undrained,
        }
    }
}
