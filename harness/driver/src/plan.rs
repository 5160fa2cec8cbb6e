//! What to drive, fully decided.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_schema::load::WorkerSettings;
use qbench_schema::result::Activity;

use super::schedule::{Schedule, Segment};
use super::work::Failures;

/// What to drive, fully decided.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Intended instants of every job.
    pub schedule: Arc<Schedule>,
    /// Which sides of the queue work in the measured phase. For [`Activity::Drain`] the jobs of the measured phase are put
    /// into the queue before it begins.
    pub activity: Activity,
    /// Flat out: jobs in the system at which producers wait.
    pub max_backlog: u64,
    /// Producers, each with a connection and one call in flight.
    pub producers: u32,
    /// Most jobs in one enqueue call.
    pub enqueue_batch: u32,
    /// The same while the queue is filled beforehand.
    pub prefill_batch: u32,
    /// Workers.
    pub workers: u32,
    /// How each of them handles jobs, with nothing left open.
    pub worker: WorkerSettings,
    /// Simulated work.
    pub work: Duration,
    /// Which jobs' work does not succeed.
    pub failures: Failures,
    /// The payload of every job.
    pub payload: Bytes,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Limit on draining, after warm-up and after the measured phase.
    pub drain_deadline: Duration,
}

impl LoadPlan {
    /// Jobs that are put into the queue before the measured phase begins.
    pub fn beforehand(&self) -> u64 {
        match self.activity {
            Activity::Drain => self.schedule.measured().jobs(),
            Activity::Both | Activity::Enqueue => self.schedule.prefill().map_or(0, Segment::jobs),
        }
    }
}
