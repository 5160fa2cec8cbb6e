//! `analysis/runs.csv`, `analysis/summary.csv` and `analysis/distribution.csv`: a row per run, a row per backend x
//! scenario, and the quantiles of each of these.

use serde::{Deserialize, Serialize};

/// A row of `summary.csv` and an entry of `summary.json`: one cell, all its repeats together. Runs of different machines or
/// with different settings are never pooled: a cell then has a row for each, and so it has for each variant of a matrix.
///
/// Percentiles come from the merged histograms of the runs, never from averaging percentiles; where only results
/// without job records were at hand, from the single run. Means (throughput, CPU) are over runs. The same backend on two
/// server products (Valkey and Redis) makes two rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// Server product.
    pub engine: String,
    /// Backend id.
    pub backend: String,
    /// Queue design.
    pub queue_type: String,
    /// Scenario id.
    pub scenario: String,
    /// Finished runs that the row is made of. Where it is 0 every figure is 0 and means nothing; `reasons` says why.
    pub runs: u32,
    /// Load asked for.
    pub offered_jobs_s: f64,
    /// Load completed, mean over runs.
    pub throughput_jobs_s: f64,
    /// End-to-end latency, median.
    pub latency_p50_ms: f64,
    /// End-to-end latency, 95th percentile.
    pub latency_p95_ms: f64,
    /// End-to-end latency, 99th percentile.
    pub latency_p99_ms: f64,
    /// End-to-end latency, 99.9th percentile.
    pub latency_p999_ms: f64,
    /// Host CPU, 100 is one core.
    pub cpu_host_pct: Option<f64>,
    /// CPU of the server under test, 100 is one core.
    pub cpu_server_pct: Option<f64>,
    /// Largest resident memory of the server, in 10^6 bytes.
    pub rss_server_mb: Option<f64>,
    /// Jobs lost, summed over runs.
    pub lost: u64,
    /// Jobs duplicated, summed over runs.
    pub duplicated: u64,
    /// True when every run of the cell is valid, none of them failed, and all ran under the same conditions.
    pub valid: bool,
    /// `normal`, or `overload` when any run was.
    pub regime: String,
    /// Durability class; `mixed` when runs differ.
    pub durability: String,
    /// Delivery contract; `mixed` when runs differ.
    pub delivery: String,
    /// CPU of the harness, 100 is one core.
    pub cpu_harness_pct: Option<f64>,
    /// CPU of the background load, 100 is one core.
    pub cpu_background_pct: Option<f64>,
    /// Server CPU time per completed job.
    pub cpu_server_us_per_job: Option<f64>,
    /// Harness CPU time per completed job.
    pub cpu_harness_us_per_job: Option<f64>,
    /// Generator's lateness, 99th percentile; the largest of the runs.
    pub schedule_lag_p99_ms: f64,
    /// Largest backlog of any run.
    pub backlog_max: u64,
    /// pgbench transactions per second beside the run, mean over runs.
    pub background_tps: Option<f64>,
    /// pgbench mean latency beside the run, mean over runs.
    pub background_latency_ms: Option<f64>,
    /// Runs of the cell that failed or never finished; they count in no figure.
    pub failed_runs: u32,
    /// Who decided when a job was sent: `open_loop` or `saturation`.
    pub mode: String,
    /// Which sides of the queue worked: `both`, `enqueue` or `drain`.
    pub activity: String,
    /// Name of the machine.
    pub host: String,
    /// Short hash of the settings; runs are pooled only where it is the same.
    pub configuration_hash: String,
    /// The settings that the hash is made of, as `key=value`, separated by spaces.
    pub configuration: String,
    /// Bytes of WAL or AOF per job.
    pub log_bytes_per_job: Option<f64>,
    /// Flushes of that log per job.
    pub fsyncs_per_job: Option<f64>,
    /// Requests per job.
    pub round_trips_per_job: Option<f64>,
    /// Row versions to clean up per job.
    pub dead_tuples_per_job: Option<f64>,
    /// Growth of Valkey's data memory per job.
    pub server_memory_bytes_per_job: Option<f64>,
    /// Slope of the backlog over the measured phase.
    pub backlog_slope_jobs_s: f64,
    /// Looks for work that found none, per second, over all workers, mean over runs.
    #[serde(default)]
    pub empty_claims_s: Option<f64>,
    /// Time to drain, the largest of the runs.
    pub drain_s: f64,
    /// Why the row is not valid, joined by `; `.
    pub reasons: String,
    /// Plan file that the runs were made by; empty without.
    #[serde(default)]
    pub plan: String,
    /// Variant of the matrix: the varied settings, or the name of a rung; empty without.
    #[serde(default)]
    pub variant: String,
    /// Place of the variant among those of its matrix, counted from 1; 0 without.
    #[serde(default)]
    pub place: u32,
    /// Whether the variant is the one before it and one change.
    #[serde(default)]
    pub climbs: bool,
    /// Deadlocks that the server counted, summed over runs.
    #[serde(default)]
    pub deadlocks: Option<u64>,
    /// Busiest worker over idlest, the largest of the runs.
    #[serde(default)]
    pub workers_max_over_min: Option<f64>,
    /// Settings that the climb changes on some rung, separated by spaces; empty without a climb.
    #[serde(default)]
    pub climbed_keys: String,
}

/// A row of `distribution.csv`: one quantile of the end-to-end latency of one cell, over all its runs together.
///
/// Only cells with at least one finished run have rows. Where no job records were at hand, only the quantiles that the
/// verdict holds are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributionRow {
    /// Server product.
    pub engine: String,
    /// Backend id.
    pub backend: String,
    /// Scenario id.
    pub scenario: String,
    /// Name of the machine.
    pub host: String,
    /// Short hash of the settings.
    pub configuration_hash: String,
    /// Share of jobs that took at most `latency_ms`, 0 to 1.
    pub quantile: f64,
    /// End-to-end latency.
    pub latency_ms: f64,
    /// Variant of the matrix; empty without.
    #[serde(default)]
    pub variant: String,
}

/// A row of `runs.csv`: one execution of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Unique name of the execution.
    pub run_id: String,
    /// Server product.
    pub engine: String,
    /// Backend id.
    pub backend: String,
    /// Queue design.
    pub queue_type: String,
    /// Scenario id.
    pub scenario: String,
    /// Block of the matrix, counted from 1.
    pub block: u32,
    /// `finished`, `interrupted`, `failed` or `running` (killed).
    pub status: String,
    /// Load asked for.
    pub offered_jobs_s: f64,
    /// Load completed.
    pub throughput_jobs_s: f64,
    /// Measured arrivals.
    pub jobs_intended: u64,
    /// Measured jobs completed.
    pub jobs_completed: u64,
    /// End-to-end latency, median.
    pub latency_p50_ms: f64,
    /// End-to-end latency, 95th percentile.
    pub latency_p95_ms: f64,
    /// End-to-end latency, 99th percentile.
    pub latency_p99_ms: f64,
    /// End-to-end latency, 99.9th percentile.
    pub latency_p999_ms: f64,
    /// Generator's lateness, 99th percentile.
    pub schedule_lag_p99_ms: f64,
    /// Host CPU, 100 is one core.
    pub cpu_host_pct: Option<f64>,
    /// Server CPU, 100 is one core.
    pub cpu_server_pct: Option<f64>,
    /// Harness CPU, 100 is one core.
    pub cpu_harness_pct: Option<f64>,
    /// Background CPU, 100 is one core.
    pub cpu_background_pct: Option<f64>,
    /// Server CPU time per completed job.
    pub cpu_server_us_per_job: Option<f64>,
    /// Harness CPU time per completed job.
    pub cpu_harness_us_per_job: Option<f64>,
    /// Largest resident memory of the server, in 10^6 bytes.
    pub rss_server_mb: Option<f64>,
    /// The auditor's word.
    pub verdict: String,
    /// Jobs lost.
    pub lost: u64,
    /// Jobs duplicated.
    pub duplicated: u64,
    /// Deliveries beyond the first.
    pub redelivered: u64,
    /// Whether the run may be ranked.
    pub valid: bool,
    /// `normal` or `overload`.
    pub regime: String,
    /// Durability class.
    pub durability: String,
    /// Delivery contract.
    pub delivery: String,
    /// Time to drain.
    pub drain_s: f64,
    /// Deadlocks that the server counted.
    pub deadlocks: Option<u64>,
    /// pgbench transactions per second beside the run.
    pub background_tps: Option<f64>,
    /// Who decided when a job was sent: `open_loop` or `saturation`.
    pub mode: String,
    /// Which sides of the queue worked: `both`, `enqueue` or `drain`.
    pub activity: String,
    /// Name of the machine.
    pub host: String,
    /// Short hash of the settings; runs are pooled only where it is the same.
    pub configuration_hash: String,
    /// The settings that the hash is made of, as `key=value`, separated by spaces.
    pub configuration: String,
    /// Bytes of WAL or AOF per job.
    pub log_bytes_per_job: Option<f64>,
    /// Flushes of that log per job.
    pub fsyncs_per_job: Option<f64>,
    /// Requests per job.
    pub round_trips_per_job: Option<f64>,
    /// Row versions to clean up per job.
    pub dead_tuples_per_job: Option<f64>,
    /// Growth of Valkey's data memory per job.
    pub server_memory_bytes_per_job: Option<f64>,
    /// Slope of the backlog over the measured phase.
    pub backlog_slope_jobs_s: f64,
    /// Looks for work that found none, per second of the measured phase, over all workers.
    pub empty_claims_s: Option<f64>,
    /// Notifications sent in the measured phase.
    pub notifications_sent: Option<u64>,
    /// Notifications that reached the listener in the measured phase.
    pub notifications_received: Option<u64>,
    /// Times that the listener's connection was made anew in the measured phase.
    pub listener_reconnects: Option<u64>,
    /// Why the run is not valid, or why it failed, joined by `; `.
    pub reasons: String,
    /// Plan file that the run was made by; empty without.
    pub plan: String,
    /// Variant of the matrix: the varied settings, or the name of a rung; empty without.
    pub variant: String,
    /// Place of the variant among those of its matrix, counted from 1; 0 without.
    pub place: u32,
    /// Whether the variant is the one before it and one change.
    pub climbs: bool,
    /// Busiest worker over idlest.
    pub workers_max_over_min: Option<f64>,
    /// Settings that the climb changes on some rung, separated by spaces; empty without a climb.
    pub climbed_keys: String,
}
