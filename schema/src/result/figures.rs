//! The figures of a verdict, in groups.

use serde::{Deserialize, Serialize};

use super::words::*;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(default)]
    pub corrupted: u64,
    /// Claims that returned more jobs than they were allowed to (METHODOLOGY A5).
    #[serde(default)]
    pub overclaimed: u64,
    /// Acks that came after the lease had passed on.
    #[serde(default)]
    pub stale_acks: u64,
    /// Acks that never got an answer: the job may or may not be done. Settled by another delivery or by the server's own
    /// account, where one of them tells.
    #[serde(default)]
    pub unknown_acks: u64,
    /// Enqueues that the backend refused for good; these jobs are in no queue.
    #[serde(default)]
    pub refused: u64,
    /// Differences between the harness's account and the server's own, one sentence each (METHODOLOGY A3); empty when they
    /// agree.
    #[serde(default)]
    pub reconciliation: Vec<String>,
    /// Why the verdict is not `ok`, one sentence each.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// Whether the figures may be ranked (METHODOLOGY L6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// True when no gate tripped and the audit is `ok`.
    pub valid: bool,
    /// Every gate that tripped: what, the figure, the threshold.
    pub reasons: Vec<String>,
    /// Whose doing each reason is, in the order of `reasons`; empty where nobody has said.
    #[serde(default)]
    pub blame: Vec<Blame>,
}

impl Validity {
    /// What these reasons leave of a run: without one it is valid.
    pub fn of(reasons: impl IntoIterator<Item = (Blame, String)>) -> Self {
        let (blame, reasons): (Vec<Blame>, Vec<String>) = reasons.into_iter().unzip();
        Validity { valid: reasons.is_empty(), reasons, blame }
    }

    /// Whether the machine alone spoiled the run, so that it says nothing about the queue, for or against.
    pub fn is_spoiled_by_the_host_alone(&self) -> bool {
        !self.valid && !self.blame.is_empty() && self.blame.iter().all(|blame| *blame == Blame::Host)
    }
}

/// That p99.9 and the maximum of `end_to_end` are not the queue's, because a pause lies behind them (METHODOLOGY M7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoiledTail {
    /// Who paused.
    pub by: Blame,
    /// The sentence: how long, when, and which figures.
    pub reason: String,
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
    /// This harness, without its meters of hiccups.
    pub harness: Option<f64>,
    /// The meters of hiccups (METHODOLOGY M7), and the relay of `delay` where there is one. Absent in results from before they had a figure of their own; there they are in `harness`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<f64>,
    /// Adapter processes, which run a queue library on the harness's behalf; absent for backends without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<f64>,
    /// Background load (pgbench, and the server it runs on where that is not the one under test).
    pub background: Option<f64>,
    /// The kernel, on behalf of all of them: its own threads (writeback, journal, block devices), and idle cores that woke up for an
    /// interrupt or a task. Absent where its threads are not visible, as in a container.
    #[serde(default)]
    pub kernel: Option<f64>,
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
    /// Growth of the memory of the jobs in Valkey, or in NATS where it stores in memory, over the phase, per job, in bytes; near zero
    /// where done jobs are deleted.
    pub server_memory_bytes: Option<f64>,
    /// Context switches of the server's processes.
    pub server_ctx_switches: Option<f64>,
    /// Context switches of the harness, without those of its meter of hiccups.
    pub harness_ctx_switches: Option<f64>,
}

/// How often the server looked after itself within the measured phase. A run in which none of it fell says nothing about what it costs.
/// Empty where the engine has no such thing or this version of it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Checkpoints that PostgreSQL began.
    pub checkpoints: Option<u64>,
    /// Times that PostgreSQL's autovacuum finished with one of the queue's tables.
    pub autovacuums: Option<u64>,
    /// Snapshots (RDB) that Valkey finished.
    pub snapshots: Option<u64>,
    /// Rewrites of Valkey's append-only file that it finished.
    pub log_rewrites: Option<u64>,
}

impl Maintenance {
    /// What was counted after `before`.
    #[must_use]
    pub fn since(self, before: Maintenance) -> Maintenance {
        let grown = |before: Option<u64>, after: Option<u64>| after?.checked_sub(before?);
        Maintenance {
            checkpoints: grown(before.checkpoints, self.checkpoints),
            autovacuums: grown(before.autovacuums, self.autovacuums),
            snapshots: grown(before.snapshots, self.snapshots),
            log_rewrites: grown(before.log_rewrites, self.log_rewrites),
        }
    }
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

/// Jobs per second between start and end of the measured phase, counted at three places. Jobs that were put into the queue
/// beforehand are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Handed to the backend.
    pub sent_jobs_s: f64,
    /// Confirmed by it.
    pub enqueued_jobs_s: f64,
    /// Acked as done, of the jobs of the phase itself.
    pub completed_jobs_s: f64,
    /// Acked as done, of the jobs put into the queue beforehand.
    #[serde(default)]
    pub prefilled_completed_jobs_s: f64,
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
    /// The latest wake-up that the meter in a process of its own had on any core in this second; absent where it did not run.
    #[serde(default)]
    pub hiccup_host_max_ms: Option<f64>,
    /// The latest wake-up of the meter in the harness.
    #[serde(default)]
    pub hiccup_harness_max_ms: Option<f64>,
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

/// What the client costs on this host (METHODOLOGY M8), measured just before the load: requests that do nothing (`SELECT 1`, `PING`), one
/// after the other on each producer's connection, on the threads of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct WireFloor {
    /// Connections that asked.
    pub connections: u32,
    /// Answers per second on all of them together.
    pub requests_s: f64,
    /// Mean time of one request, in microseconds, while all of them ask.
    pub request_us: f64,
    /// CPU of the harness per request, in microseconds.
    pub harness_cpu_us_per_request: f64,
}

/// How long a request takes that does nothing, on one connection while nothing else is asked, before the load and after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// Just before the load; absent where it could not be measured.
    pub before: Option<RoundTrip>,
    /// Just after it; likewise.
    pub after: Option<RoundTrip>,
}

impl RoundTrips {
    /// Median in milliseconds, over both ends of the run.
    pub fn p50_ms(&self) -> Option<f64> {
        let ends: Vec<f64> = [self.before, self.after].into_iter().flatten().map(|end| end.p50).collect();
        (!ends.is_empty()).then(|| ends.iter().sum::<f64>() / ends.len() as f64 / 1e3)
    }
}

/// The host of the server, where an observer watched it there; figures over the measured phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerHost {
    /// Its name.
    pub host: String,
    /// Which machine it is: a short hash.
    pub host_id: String,
    /// The address at which the server is reached.
    pub address: String,
    /// Version of the observer's program.
    pub version: String,
    /// Git revision that it was built from.
    pub git_revision: String,
    /// Its logical cores.
    pub cores: u32,
    /// Its clock (the one that people read) less that of the harness's host, before the load. No latency depends on it.
    pub clock_offset_ms: f64,
    /// The same after the load; absent where it could not be read any more.
    pub clock_offset_after_ms: Option<f64>,
    /// How far the two monotonic clocks went apart between these readings. Instants of the observer's rows are off by no more than this
    /// and the uncertainty.
    pub clock_drift_us: Option<f64>,
    /// What each of these offsets may be wrong by: half a round trip of the channel, the larger one of before and after.
    pub clock_uncertain_us: f64,
    /// All its busy time, 100 is one core.
    pub cpu_pct: Option<f64>,
    /// The observer's part of it.
    pub cpu_observer_pct: Option<f64>,
    /// CPU of server, observer, meters and kernel as a share of its busy time, in percent.
    pub cpu_roles_of_host_pct: Option<f64>,
    /// Time that the hypervisor took from it, 100 is all cores.
    pub steal_pct: Option<f64>,
    /// How late it wakes somebody who only sleeps, as `hiccup_ms` is for the harness's host.
    pub hiccup_ms: Option<Percentiles>,
}

/// Requests that do nothing, one after the other. Microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// How many.
    pub requests: u64,
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
