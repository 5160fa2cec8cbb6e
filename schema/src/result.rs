//! `<run>_result.json`: the verdict of one run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::variant::RunVariant;

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Written when the run starts. If it still stands later, the run was killed.
    Running,
    /// The run came to its end; whether it is *valid* is another question.
    Finished,
    /// The user stopped it; the files hold what happened until then.
    Interrupted,
    /// It broke; `error` says why, the files hold what happened until then.
    Failed,
}

/// Whether the offered load could be carried at all (METHODOLOGY L5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Utilisation below 0.9: latency percentiles describe the queue.
    Normal,
    /// Utilisation 0.9 or more: end-to-end percentiles describe how long the run was.
    Overload,
}

/// What survives a crash of the server once an enqueue was confirmed (METHODOLOGY F1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing: unlogged tables; no AOF and no snapshots.
    D0,
    /// All but a bounded tail: `synchronous_commit = off`; AOF synced every second.
    D1,
    /// Everything: the reply waits for the disk.
    D2,
}

/// How often a job may reach a worker when nothing but a worker fails (METHODOLOGY F2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A job whose worker vanishes is gone.
    AtMostOnce,
    /// A job whose worker vanishes comes back.
    AtLeastOnce,
}

/// The auditor's word on a run (METHODOLOGY A1, A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every job is accounted for and the backend kept its contract.
    Ok,
    /// Something was lost, invented or doubled against the contract.
    Violated,
    /// The queue was not drained to the end, so nothing can be said.
    Inconclusive,
}

/// Who decides when a job is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// A schedule, blind to completions (METHODOLOGY L1). The only mode whose latencies describe the queue.
    OpenLoop,
    /// Producers and workers go as fast as they can: figures of capacity. A job's intended instant is its actual one.
    Saturation,
}

/// Which sides of the queue work during the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Producers and workers.
    Both,
    /// Producers alone; workers empty the queue afterwards. Throughput is that of enqueues.
    Enqueue,
    /// Workers alone, on jobs that were put there before. Throughput is that of completions.
    Drain,
}

/// Percentiles of one latency stage over all measured jobs of the run, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest value seen.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

/// Jobs of the measured phase, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// Arrivals that the schedule asked for.
    pub intended: u64,
    /// Jobs that a producer handed to the backend.
    pub sent: u64,
    /// Jobs whose enqueue the backend confirmed.
    pub enqueued: u64,
    /// Distinct jobs that were acked as done.
    pub completed: u64,
    /// Distinct jobs that were acked as failed: neither completed nor lost.
    #[serde(default)]
    pub failed: u64,
    /// Of these, jobs whose work panicked.
    #[serde(default)]
    pub panicked: u64,
}

/// Exact account of every job of the run, warm-up included (METHODOLOGY A1 to A3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The word on the whole run.
    pub verdict: Verdict,
    /// Confirmed by enqueue and never settled, as done or as failed.
    pub lost: u64,
    /// Settled more than once.
    pub duplicated: u64,
    /// Delivered though never attempted.
    pub unexpected: u64,
    /// Deliveries with an attempt above one.
    pub redelivered: u64,
    /// Enqueues without an answer: the job may or may not be in the queue.
    pub unknown_outcome: u64,
    /// Deliveries whose payload was not what was enqueued.
    pub corrupted: u64,
    /// Claims that returned more jobs than they were allowed to (A5).
    pub overclaimed: u64,
    /// Acks that came after the lease had passed on.
    pub stale_acks: u64,
    /// Acks that never got an answer: the job may or may not be done. Settled by another delivery or by the server's own
    /// account, where one of them tells.
    pub unknown_acks: u64,
    /// Enqueues that the backend refused for good; these jobs are in no queue.
    pub refused: u64,
    /// Differences between the harness's account and the server's own, one sentence each (A3); empty when they agree.
    pub reconciliation: Vec<String>,
    /// Why the verdict is not `ok`, one sentence each.
    pub reasons: Vec<String>,
}

/// Whether the figures may be ranked (METHODOLOGY L6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// True when no gate tripped and the audit is `ok`.
    pub valid: bool,
    /// Every gate that tripped: what, the figure, the threshold.
    pub reasons: Vec<String>,
}

/// Jobs in the system (ready and in flight) over the measured phase, from the harness's own count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Backlog {
    /// At the start of the measured phase.
    pub start: u64,
    /// At its end, before draining.
    pub end: u64,
    /// Largest value sampled.
    pub max: u64,
    /// Least-squares slope over the measured phase; jobs per second that pile up.
    pub slope_jobs_s: f64,
}

/// Mean CPU over the measured phase, where 100 is one core (host: all cores busy is 100 x cores).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuPct {
    /// All busy time of the host.
    pub host: Option<f64>,
    /// The server under test with all its processes.
    pub server: Option<f64>,
    /// This harness.
    pub harness: Option<f64>,
    /// Adapter processes, which run a queue library on the harness's behalf; absent for backends without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<f64>,
    /// Background load (pgbench, and the server it runs on where that is not the one under test).
    pub background: Option<f64>,
}

/// CPU time over the measured phase, per job completed within it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuUsPerJob {
    /// Spent by the server under test.
    pub server: Option<f64>,
    /// Spent by the harness.
    pub harness: Option<f64>,
    /// Spent by adapter processes; absent for backends without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<f64>,
}

/// What one job cost, on one scale for every engine (METHODOLOGY M6): totals over the measured phase, divided by the jobs
/// completed within it (by the jobs enqueued within it where no worker ran). Empty where the engine has no such thing or
/// this version of it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CostPerJob {
    /// CPU time of the server under test, in microseconds.
    pub server_cpu_us: Option<f64>,
    /// CPU time of the harness, in microseconds.
    pub harness_cpu_us: Option<f64>,
    /// Bytes appended to the log that makes jobs durable: PostgreSQL's WAL, Valkey's AOF.
    pub log_bytes: Option<f64>,
    /// Flushes of that log to disk.
    pub fsyncs: Option<f64>,
    /// Requests that the harness sent and waited for an answer to; a pipeline is one.
    pub round_trips: Option<f64>,
    /// Row versions that PostgreSQL will have to clean up (updates and deletes).
    pub dead_tuples: Option<f64>,
    /// Growth of Valkey's data memory over the phase, per job, in bytes; near zero where done jobs are deleted.
    pub server_memory_bytes: Option<f64>,
    /// Context switches of the server's processes.
    pub server_ctx_switches: Option<f64>,
    /// Context switches of the harness.
    pub harness_ctx_switches: Option<f64>,
}

/// What waiting for work cost and what notifications did, over the measured phase. All of them are counted by the harness.
///
/// Looks that found none, per second and worker, are `empty_claims / measured_s / workers`: what an idle worker asks of the
/// server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeCounts {
    /// Changes that told waiting consumers of jobs that had become ready: one for a batch that was enqueued or given back.
    pub notifications_sent: u64,
    /// Notifications that reached the listener.
    pub notifications_received: u64,
    /// Looks for work that found none, by claims and reclaims; a blocking read that ran out is one.
    pub empty_claims: u64,
    /// Times that the listener's connection was lost and made anew.
    pub listener_reconnects: u64,
}

impl WakeCounts {
    /// What was counted after `before`.
    #[must_use]
    pub fn since(self, before: WakeCounts) -> WakeCounts {
        WakeCounts {
            notifications_sent: self.notifications_sent - before.notifications_sent,
            notifications_received: self.notifications_received - before.notifications_received,
            empty_claims: self.empty_claims - before.empty_claims,
            listener_reconnects: self.listener_reconnects - before.listener_reconnects,
        }
    }
}

/// Jobs per second in the measured phase, counted at three places between its start and its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Handed to the backend.
    pub sent_jobs_s: f64,
    /// Confirmed by it.
    pub enqueued_jobs_s: f64,
    /// Acked as done.
    pub completed_jobs_s: f64,
}

/// In which order jobs were claimed, against the order in which they were sent (METHODOLOGY A6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimOrder {
    /// Share of the first deliveries that came after a job with a higher number had been delivered already.
    pub inversion_pct: f64,
    /// Largest number of places by which a delivered job lay behind the highest one delivered before it.
    pub max_displacement: u64,
}

/// How evenly work was shared out (METHODOLOGY A6): the largest share over the smallest; empty where a share was nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// Between workers.
    pub workers_max_over_min: Option<f64>,
    /// Between partitions, for a backend that has them.
    pub partitions_max_over_min: Option<f64>,
}

/// Jobs that one partition was sent, for a backend that has partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionShare {
    /// Partition, counted from 0.
    pub partition: u32,
    /// Jobs that ever entered it, warm-up included.
    pub enqueued: u64,
    /// Workers that serve it.
    pub workers: u32,
}

/// One second of the measured phase and of the drain after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Seconds since the start of the measured phase at which this one begins.
    pub at_s: u32,
    /// Jobs that the schedule intended in it.
    pub intended: u64,
    /// Jobs acked in it.
    pub completed: u64,
    /// Jobs in the system at its end.
    pub backlog: u64,
    /// End-to-end latency of the jobs *intended* in it: median. Zero while there is none.
    pub end_to_end_p50_ms: f64,
    /// 99th percentile of the same.
    pub end_to_end_p99_ms: f64,
    /// Largest of the same.
    pub end_to_end_max_ms: f64,
}

/// The harness's own floor on this host, measured just before the run: the `null` backend through the identical path
/// (METHODOLOGY M5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Jobs per second that the harness can send, claim, ack, record and audit when the queue costs nothing.
    pub ceiling_jobs_s: f64,
    /// The ceiling over the rate of this run; below 5 a note says so.
    pub ceiling_over_rate: f64,
}

/// Share of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerShare {
    /// Worker, counted from 0.
    pub worker: u32,
    /// Measured jobs that it completed.
    pub completed: u64,
}

/// What the background load measured of itself: what the queue does to pgbench (METHODOLOGY F4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackgroundLoad {
    /// Program and version, for instance `pgbench (PostgreSQL) 15.18`.
    pub program: String,
    /// Concurrent clients.
    pub clients: u32,
    /// pgbench scale factor.
    pub scale: u32,
    /// Transactions per second over the measured phase.
    pub tps: f64,
    /// Mean transaction latency over the measured phase.
    pub latency_mean_ms: f64,
    /// Seconds of the measured phase that its progress reports cover.
    pub covered_s: f64,
}

/// The verdict of one run; also what `qbench run --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`crate::SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Unique name of this execution.
    pub run_id: String,
    /// How far the run came.
    pub status: RunStatus,
    /// Why it broke, when it did.
    pub error: Option<String>,
    /// Backend id, for instance `skip_locked`.
    pub backend: String,
    /// Server product as it names itself, for instance `postgresql`, `valkey`, `redis`, `sqlite`, `in_process`.
    pub engine: String,
    /// The queue's design within its engine, for instance `skip_locked` or `streams`.
    pub queue_type: String,
    /// Scenario id.
    pub scenario: String,
    /// Profile id.
    pub profile: String,
    /// Durability class as read back from the live server.
    pub durability: Durability,
    /// Delivery contract that the backend declared.
    pub delivery: Delivery,
    /// Whether the offered load was below capacity.
    pub regime: Regime,
    /// Offered load over capacity; absent where the work takes no time.
    pub utilisation: Option<f64>,
    /// Who decided when a job was sent.
    pub mode: LoadMode,
    /// Which sides of the queue worked in the measured phase.
    pub activity: Activity,
    /// Name of the machine that the harness ran on.
    pub host: String,
    /// Short hash over everything that the user may set and that can move a figure (workload, backend options,
    /// durability; not the seed, not the scenario, not addresses, not the profile's name). Runs of one cell are pooled only
    /// where it is the same.
    pub configuration_hash: String,
    /// The settings that the hash is made of, in short: `rate=500 workers=20 …`.
    pub configuration: String,
    /// Which variant of its matrix the run is; absent outside a matrix that varies settings.
    #[serde(default)]
    pub variant: Option<RunVariant>,
    /// Block (repeat) of the matrix, counted from 1.
    pub block: u32,
    /// Wall-clock start, RFC 3339 UTC; the only wall-clock value, never used to measure.
    pub started_at: String,
    /// Length of the measured phase.
    pub measured_s: f64,
    /// Load asked for in the measured phase.
    pub offered_jobs_s: f64,
    /// Measured jobs completed, over the time from the start of the measured phase to its end or to the last of these
    /// acks, whichever is later.
    pub throughput_jobs_s: f64,
    /// Jobs per second between start and end of the measured phase, at three places.
    pub rates: Rates,
    /// Counts of the measured phase.
    pub jobs: JobCounts,
    /// Jobs put into the queue before the measured phase, for its workers to find.
    pub prefilled: u64,
    /// `acked - intended`.
    pub end_to_end_ms: Percentiles,
    /// `sent - intended`.
    pub schedule_lag_ms: Percentiles,
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
    /// CPU of all roles together as a share of the host's busy time, in percent; near 100 on a machine that does nothing
    /// else.
    pub cpu_roles_of_host_pct: Option<f64>,
    /// What one job cost.
    pub cost_per_job: CostPerJob,
    /// How workers learned of work; absent where the queue lives in the harness's own process.
    #[serde(default)]
    pub wake: Option<WakeCounts>,
    /// Order of first deliveries.
    pub claim_order: ClaimOrder,
    /// Evenness of the shares.
    pub skew: Skew,
    /// Jobs per partition; empty for a backend without partitions.
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
    /// The measured phase and the drain, second by second.
    pub timeline: Vec<TimelineRow>,
    /// Monitors and other helpers that failed, one sentence each; they never take a run down.
    pub notes: Vec<String>,
}

/// What a run is, known before anything of it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct RunIdentity {
    /// Unique name of this execution.
    pub run_id: String,
    /// Backend id.
    pub backend: String,
    /// Server product; its kind (`postgresql`, `valkey`, `sqlite`, `in_process`) before the live server named itself.
    pub engine: String,
    /// The queue's design; the backend id before the backend described itself.
    pub queue_type: String,
    /// Scenario id.
    pub scenario: String,
    /// Profile id.
    pub profile: String,
    /// Durability class asked for, or read back where the run came so far.
    pub durability: Durability,
    /// Delivery contract of the backend.
    pub delivery: Delivery,
    /// Whether the offered load is below capacity.
    pub regime: Regime,
    /// Offered load over capacity.
    pub utilisation: Option<f64>,
    /// Who decides when a job is sent.
    pub mode: LoadMode,
    /// Which sides of the queue work in the measured phase.
    pub activity: Activity,
    /// Name of this machine.
    pub host: String,
    /// See [`RunResult::configuration_hash`].
    pub configuration_hash: String,
    /// See [`RunResult::configuration`].
    pub configuration: String,
    /// See [`RunResult::variant`].
    pub variant: Option<RunVariant>,
    /// Block of the matrix, counted from 1.
    pub block: u32,
    /// Wall-clock start, RFC 3339 UTC.
    pub started_at: String,
    /// Length of the measured phase as planned.
    pub measured_s: f64,
    /// Load asked for.
    pub offered_jobs_s: f64,
}

impl RunResult {
    /// A result without figures: of a run that has just begun ([`RunStatus::Running`]) or that broke before it measured
    /// anything. It is not valid, and its reasons say why: `reason` is the sentence.
    pub fn without_figures(identity: RunIdentity, status: RunStatus, reason: &str) -> Self {
        let none = Percentiles::default();
        RunResult {
            schema_version: crate::SCHEMA_VERSION,
            run_id: identity.run_id,
            status,
            error: (status == RunStatus::Failed).then(|| reason.to_owned()),
            backend: identity.backend,
            engine: identity.engine,
            queue_type: identity.queue_type,
            scenario: identity.scenario,
            profile: identity.profile,
            durability: identity.durability,
            delivery: identity.delivery,
            regime: identity.regime,
            utilisation: identity.utilisation,
            mode: identity.mode,
            activity: identity.activity,
            host: identity.host,
            configuration_hash: identity.configuration_hash,
            configuration: identity.configuration,
            variant: identity.variant,
            block: identity.block,
            started_at: identity.started_at,
            measured_s: identity.measured_s,
            offered_jobs_s: identity.offered_jobs_s,
            throughput_jobs_s: 0.0,
            rates: Rates::default(),
            jobs: JobCounts::default(),
            prefilled: 0,
            end_to_end_ms: none,
            schedule_lag_ms: none,
            enqueue_time_ms: none,
            queue_wait_ms: none,
            local_wait_ms: none,
            work_time_ms: none,
            ack_time_ms: none,
            audit: Audit {
                verdict: Verdict::Inconclusive,
                lost: 0,
                duplicated: 0,
                unexpected: 0,
                redelivered: 0,
                unknown_outcome: 0,
                corrupted: 0,
                overclaimed: 0,
                stale_acks: 0,
                unknown_acks: 0,
                refused: 0,
                reconciliation: Vec::new(),
                reasons: vec![reason.to_owned()],
            },
            validity: Validity { valid: false, reasons: vec![reason.to_owned()] },
            backlog: Backlog::default(),
            drain_s: 0.0,
            cpu_pct: CpuPct::default(),
            cpu_us_per_job: CpuUsPerJob::default(),
            cpu_roles_of_host_pct: None,
            cost_per_job: CostPerJob::default(),
            wake: None,
            claim_order: ClaimOrder::default(),
            skew: Skew::default(),
            partitions: Vec::new(),
            rss_server_bytes: None,
            rss_harness_bytes: None,
            errors: BTreeMap::new(),
            workers: Vec::new(),
            deadlocks: None,
            background: None,
            floor: None,
            timeline: Vec::new(),
            notes: Vec::new(),
        }
    }
}
