//! `<run>_result.json`: the verdict of one run.

mod figures;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use figures::*;
pub use words::*;

use crate::variant::RunVariant;

/// The verdict of one run; also what `qbench run --json` prints.
///
/// The default is a run that has just begun and of which nothing is known: every figure is zero or absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// How far the run came.
    #[serde(default = "RunStatus::of_the_silent")]
    pub status: RunStatus,
    /// Why it broke, when it did.
    pub error: Option<String>,
    /// What the run is. Its keys stand beside the others, not in an object of their own.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// Jobs of the measured phase that were completed before its end, per second of it (METHODOLOGY M9). Where a backlog is
    /// worked off: the jobs of that backlog. Where no worker ran: the jobs enqueued. What completes later, while the queue is
    /// drained, does not count.
    pub throughput_jobs_s: f64,
    /// Jobs per second between start and end of the measured phase, at three places.
    #[serde(default)]
    pub rates: Rates,
    /// Counts of the measured phase.
    pub jobs: JobCounts,
    /// Jobs put into the queue before the measured phase, for its workers to find.
    #[serde(default)]
    pub prefilled: u64,
    /// `acked - intended`.
    pub end_to_end_ms: Percentiles,
    /// `sent - intended`: the two that follow, together.
    pub schedule_lag_ms: Percentiles,
    /// `released - intended`: how late pacer and machine were. All zeros where the writer did not know it yet.
    #[serde(default)]
    pub release_lag_ms: Percentiles,
    /// `sent - released`: the wait for a free producer.
    #[serde(default)]
    pub producer_wait_ms: Percentiles,
    /// Confirmation of the enqueue `- sent`, of every measured job that was confirmed. Not a stage: unlike `enqueue_time_ms` it is not
    /// cut where a worker had the job first.
    #[serde(default)]
    pub confirm_time_ms: Percentiles,
    /// `enqueued - sent`.
    pub enqueue_time_ms: Percentiles,
    /// `claimed - enqueued`.
    pub queue_wait_ms: Percentiles,
    /// `started - claimed`.
    pub local_wait_ms: Percentiles,
    /// `finished - started`.
    pub work_time_ms: Percentiles,
    /// `acked - finished`.
    pub ack_time_ms: Percentiles,
    /// Exact account of every job.
    pub audit: Audit,
    /// Whether the figures may be ranked.
    pub validity: Validity,
    /// Jobs in the system over the measured phase.
    pub backlog: Backlog,
    /// From the end of the measured phase until the last job was acked or the deadline passed.
    pub drain_s: f64,
    /// Mean CPU by role.
    pub cpu_pct: CpuPct,
    /// CPU time per completed job by role.
    pub cpu_us_per_job: CpuUsPerJob,
    /// CPU of all roles together, the kernel's included where it is known, as a share of the host's busy time, in percent; near
    /// 100 on a machine that does nothing else.
    pub cpu_roles_of_host_pct: Option<f64>,
    /// What one job cost.
    #[serde(default)]
    pub cost_per_job: CostPerJob,
    /// How often the server looked after itself meanwhile.
    #[serde(default)]
    pub maintenance: Maintenance,
    /// How workers learned of work; absent where the queue lives in the harness's own process.
    #[serde(default)]
    pub wake: Option<WakeCounts>,
    /// Order of first deliveries.
    #[serde(default)]
    pub claim_order: ClaimOrder,
    /// Evenness of the shares.
    #[serde(default)]
    pub skew: Skew,
    /// Jobs per partition; empty for a backend without partitions.
    #[serde(default)]
    pub partitions: Vec<PartitionShare>,
    /// Largest resident memory of the server under test, in bytes.
    pub rss_server_bytes: Option<u64>,
    /// Largest resident memory of the harness, in bytes.
    pub rss_harness_bytes: Option<u64>,
    /// Errors of backend operations by SQLSTATE or kind.
    pub errors: BTreeMap<String, u64>,
    /// Measured jobs per worker.
    pub workers: Vec<WorkerShare>,
    /// Deadlocks that the server counted during the run; absent where the engine has none.
    pub deadlocks: Option<u64>,
    /// What the background load measured of itself.
    pub background: Option<BackgroundLoad>,
    /// The harness's own floor on this host.
    pub floor: Option<Floor>,
    /// The floor of the wire; absent where the queue has no server, or its engine no request that does nothing.
    #[serde(default)]
    pub wire_floor: Option<WireFloor>,
    /// Round trips between this host and the server, in microseconds; absent where the queue has no server, or its engine no request that
    /// does nothing.
    #[serde(default)]
    pub round_trip_us: Option<RoundTrips>,
    /// The host of the server, where that is watched by an observer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_host: Option<ServerHost>,
    /// The measured phase and the drain, second by second.
    #[serde(default)]
    pub timeline: Vec<TimelineRow>,
    /// Monitors and other helpers that failed, one sentence each; they never take a run down.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How late this host wakes somebody who only sleeps, every millisecond on each core, in a process of its own
    /// (METHODOLOGY M7); absent where that process did not run.
    #[serde(default)]
    pub hiccup_ms: Option<Percentiles>,
    /// The same from a thread of the harness on one core: the host's hiccups and the harness's own.
    #[serde(default)]
    pub hiccup_harness_ms: Option<Percentiles>,
    /// Whose p99.9 and maximum of `end_to_end` are, where a pause makes them somebody else's than the queue's.
    #[serde(default)]
    pub tail_spoiled: Option<SpoiledTail>,
}

/// What a run is: known before anything of it is measured, but for what the live server corrects.
///
/// Defaults of words are those that promise least.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Unique name of this execution.
    pub run_id: String,
    /// Backend id, for instance `skip_locked`.
    pub backend: String,
    /// Server product as it names itself, for instance `postgresql`, `valkey`, `redis`, `sqlite`, `in_process`; before it could,
    /// the kind of server that the backend needs.
    pub engine: String,
    /// The queue's design within its engine, for instance `skip_locked` or `streams`; the backend id before the backend
    /// described itself.
    pub queue_type: String,
    /// Scenario id.
    pub scenario: String,
    /// Profile id.
    pub profile: String,
    /// Durability class as read back from the live server; the one asked for in a run that did not come so far.
    pub durability: Durability,
    /// Delivery contract that the backend declared.
    #[serde(default)]
    pub delivery: Delivery,
    /// Whether the offered load was below capacity.
    pub regime: Regime,
    /// Offered load over capacity; absent where the work takes no time.
    pub utilisation: Option<f64>,
    /// Who decided when a job was sent.
    #[serde(default)]
    pub mode: LoadMode,
    /// Which sides of the queue worked in the measured phase.
    #[serde(default)]
    pub activity: Activity,
    /// Name of the machine that the harness ran on.
    #[serde(default)]
    pub host: String,
    /// Which machine that is, whatever it is called: a short hash over what the system and its network cards are known by.
    #[serde(default)]
    pub host_id: String,
    /// Which machine the server is on, where an observer there told; empty otherwise.
    #[serde(default)]
    pub server_host_id: String,
    /// Version of the server product, as it tells it.
    #[serde(default)]
    pub engine_version: String,
    /// Settings of the server that can move a figure, as read back from it. Empty before it was asked.
    #[serde(default)]
    pub server_settings: BTreeMap<String, String>,
    /// Git revision that the harness was built from.
    #[serde(default)]
    pub git_revision: String,
    /// Where the server is: `in process`, `private` (started for the run), `same host`, or `remote` and its address; with an observer, on
    /// which host; and what was put in between.
    #[serde(default)]
    pub topology: String,
    /// How idle workers wait for jobs (METHODOLOGY F8).
    #[serde(default)]
    pub waiting: Waiting,
    /// Connections to the server that a worker had open, beside those that all share; absent where a library decides.
    #[serde(default)]
    pub connections_per_worker: Option<u64>,
    /// Time between two looks of a worker that polls; absent for one that is told.
    #[serde(default)]
    pub poll_interval_ms: Option<f64>,
    /// Short hash over everything that the user may set and that can move a figure (workload, backend options,
    /// durability; not the seed, not the scenario, not addresses, not the profile's name). Runs are pooled only where it is the
    /// same, and so are machine, version and settings of the server, revision and place (METHODOLOGY F12).
    #[serde(default)]
    pub configuration_hash: String,
    /// The settings that the hash is made of, in short: `rate=500 workers=20 …`.
    #[serde(default)]
    pub configuration: String,
    /// Which variant of its matrix the run is; absent outside a matrix that varies settings.
    #[serde(default)]
    pub variant: Option<RunVariant>,
    /// Block (repeat) of the matrix, counted from 1.
    #[serde(default)]
    pub block: u32,
    /// Wall-clock start, RFC 3339 UTC; the only wall-clock value, never used to measure.
    #[serde(default)]
    pub started_at: String,
    /// Length of the measured phase; as planned, in a run that did not come to its end.
    #[serde(default)]
    pub measured_s: f64,
    /// Load asked for in the measured phase; flat out, what producers sent or, of a backlog, what workers completed.
    pub offered_jobs_s: f64,
}

impl RunResult {
    /// A result without figures: of a run that has just begun ([`RunStatus::Running`]) or that broke before it measured
    /// anything. It is not valid, and its reasons say why: `reason` is the sentence.
    pub fn without_figures(identity: RunIdentity, status: RunStatus, reason: &str) -> Self {
        RunResult {
            schema_version: crate::SCHEMA_VERSION,
            status,
            error: (status == RunStatus::Failed).then(|| reason.to_owned()),
            identity,
            audit: Audit { reasons: vec![reason.to_owned()], ..Audit::default() },
            validity: Validity::of([(Blame::Harness, reason.to_owned())]),
            ..RunResult::default()
        }
    }

    /// Why it is not valid or did not finish, one sentence each; empty for a valid one.
    pub fn reasons_against(&self) -> Vec<String> {
        let error = self.error.as_deref();
        let mut reasons = match self.status {
            RunStatus::Running => return vec!["killed: its verdict was never completed".to_owned()],
            RunStatus::Failed => return vec![format!("failed: {}", error.unwrap_or("no reason was recorded"))],
            RunStatus::Interrupted => return vec![format!("interrupted: {}", error.unwrap_or("the user stopped it"))],
            RunStatus::Finished => self.validity.reasons.clone(),
        };
        if self.audit.verdict != Verdict::Ok {
            // The gate's own sentence quotes the audit's reasons.
            let told = |reason: &str| self.validity.reasons.iter().any(|gate| gate.contains(reason));
            reasons.extend(self.audit.reasons.iter().filter(|reason| !told(reason)).cloned());
        }
        if !self.validity.valid && reasons.is_empty() {
            reasons.push("marked as not valid without a reason".to_owned());
        }
        reasons
    }
}
