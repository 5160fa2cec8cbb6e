//! `analysis/runs.csv`, `analysis/summary.csv` and `analysis/distribution.csv`: a row per run, a row per backend x
//! scenario, and the quantiles of each of these.
//!
//! The list below is the one place that says what a column of the first two is: files and tables of a terminal are made from it,
//! and a test holds the page on formats to it. A new figure is a field of [`RunResult`] and an entry here.

mod columns;
mod reduce;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use columns::{Better, Shown, TableKind, Unless};
pub use reduce::CellRuns;
pub use value::{OrMixed, Value};

use crate::result::{Activity, Delivery, Durability, LoadMode, Regime, RunResult, RunStatus, Verdict, Waiting};
use columns::{columns, reduce, reduction};
use reduce::{Mean, Reduce};

/// A column of `runs.csv`, of `summary.csv`, or of both.
pub type Column = columns::Column<RunRow, SummaryRow>;

columns! {
    run_id, "", "Unique name of the execution." { run String = |run| run.identity.run_id.clone(); }
    engine, "", "Server product." { run String = |run| run.identity.engine.clone(); cell String = the_same; }
    backend, "", "Backend id." { run String = |run| run.identity.backend.clone(); cell String = the_same; }
    queue_type, "", "Queue design." { run String = |run| run.identity.queue_type.clone(); cell String = the_same; }
    scenario, "", "Scenario id." { run String = |run| run.identity.scenario.clone(); cell String = the_same; }
    block, "", "Block of the matrix, counted from 1." { run u32 = |run| run.identity.block; }
    status, "", "`finished`, `interrupted`, `failed` or `running` (killed)." { run RunStatus = |run| run.status; }
    runs, "runs", "Finished runs of the cell. Where it is 0 every figure is 0 and means nothing." {
        cell u32 = ("their number", |cell| cell.finished.len() as u32);
    }
    offered_jobs_s, "jobs/s", "Load asked for." {
        run f64 = |run| run.identity.offered_jobs_s;
        cell f64 = ("mean", |cell| Mean::mean(&mut cell.described.iter().map(|run| run.offered_jobs_s)));
    }
    throughput_jobs_s, "jobs/s", "Jobs of the measured phase completed in it; of a scenario without workers, enqueued in it." {
        run f64 = |run| run.throughput_jobs_s;
        cell f64 = mean;
        better More;
        unless OnSchedule;
        shown Scenario 1 "jobs/s", Capacity 1 "jobs/s", Ladder 1 "jobs/s", Scaling 1 "jobs/s";
    }
    jobs_intended, "jobs", "Measured arrivals." { run u64 = |run| run.jobs.intended; }
    jobs_completed, "jobs", "Measured jobs completed." { run u64 = |run| run.jobs.completed; }
    latency_p50_ms, "ms", "End-to-end latency, median." {
        run f64 = |run| run.end_to_end_ms.p50;
        cell f64 = median;
        better Less;
        unless Overload;
        shown Scenario 2 "p50\nms", Ladder 2 "p50\nms";
    }
    latency_p95_ms, "ms", "End-to-end latency, 95th percentile." {
        run f64 = |run| run.end_to_end_ms.p95;
        cell f64 = median;
        better Less;
        unless Overload;
        shown Scenario 3 "p95\nms";
    }
    latency_p99_ms, "ms", "End-to-end latency, 99th percentile." {
        run f64 = |run| run.end_to_end_ms.p99;
        cell f64 = median;
        better Less;
        unless Overload;
        shown Scenario 4 "p99\nms", Ladder 3 "p99\nms";
    }
    latency_p999_ms, "ms", "End-to-end latency, 99.9th percentile." {
        run f64 = |run| run.end_to_end_ms.p999;
        cell f64 = median;
        better Less;
        unless Overload;
    }
    cpu_host_pct, "%", "Host CPU, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.host;
        cell Option<f64> = mean;
    }
    cpu_server_pct, "%", "CPU of the server under test, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.server;
        cell Option<f64> = mean;
        better Less;
        unless Background;
        shown Scenario 5 "server\nCPU %";
    }
    rss_server_mb, "10^6 bytes", "Largest resident memory of the server." {
        run Option<f64> = |run| run.rss_server_bytes.map(|bytes| bytes as f64 / 1e6);
        cell Option<f64> = largest;
    }
    verdict, "", "The auditor's word." { run Verdict = |run| run.audit.verdict; }
    lost, "jobs", "Jobs lost." {
        run u64 = |run| run.audit.lost;
        cell u64 = sum;
        shown Scenario 100 "lost", Capacity 7 "lost";
    }
    duplicated, "jobs", "Jobs duplicated." {
        run u64 = |run| run.audit.duplicated;
        cell u64 = sum;
        shown Scenario 101 "dup", Capacity 8 "dup";
    }
    redelivered, "deliveries", "Deliveries beyond the first." { run u64 = |run| run.audit.redelivered; }
    valid, "", "Whether the figures may be ranked: no gate tripped, the audit is `ok`, and nothing failed." {
        run bool = |run| run.status == RunStatus::Finished && run.validity.valid;
        cell bool = ("all of them, and under the same conditions", |cell| cell.valid);
    }
    regime, "", "`normal` or `overload`." {
        run Regime = |run| run.identity.regime;
        cell Regime = ("`overload` when any is", |cell| {
            cell.described.iter().map(|run| run.regime).max().unwrap_or_default()
        });
    }
    durability, "", "Durability class." {
        run Durability = |run| run.identity.durability;
        cell OrMixed<Durability> = same_or_mixed;
    }
    delivery, "", "Delivery contract." {
        run Delivery = |run| run.identity.delivery;
        cell OrMixed<Delivery> = same_or_mixed;
    }
    cpu_harness_pct, "%", "CPU of the harness, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.harness;
        cell Option<f64> = mean;
    }
    cpu_background_pct, "%", "CPU of the background load, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.background;
        cell Option<f64> = mean;
    }
    cpu_server_us_per_job, "us/job", "Server CPU time per completed job." {
        run Option<f64> = |run| run.cpu_us_per_job.server;
        cell Option<f64> = mean;
        better Less;
        unless Background;
        shown Scenario 6 "server\nus/job", Capacity 2 "server\nus/job", Cost 1 "server\nCPU us", Ladder 4 "server\nus/job",
            Scaling 4 "server\nus/job";
    }
    cpu_harness_us_per_job, "us/job", "Harness CPU time per completed job." {
        run Option<f64> = |run| run.cpu_us_per_job.harness;
        cell Option<f64> = mean;
        shown Cost 2 "harness\nCPU us";
    }
    schedule_lag_p99_ms, "ms", "From the intended instant to the sending, 99th percentile." {
        run f64 = |run| run.schedule_lag_ms.p99;
        cell f64 = largest;
    }
    backlog_max, "jobs", "Largest backlog." {
        run u64 = |run| run.backlog.max;
        cell u64 = largest;
        shown Capacity 5 "backlog\nmax";
    }
    background_tps, "1/s", "pgbench transactions per second beside the run." {
        run Option<f64> = |run| run.background.as_ref().map(|load| load.tps);
        cell Option<f64> = mean;
        better More;
        shown Scenario 7 "pgbench\ntps";
    }
    background_latency_ms, "ms", "pgbench mean latency beside the run." {
        run Option<f64> = |run| run.background.as_ref().map(|load| load.latency_mean_ms);
        cell Option<f64> = mean;
        shown Scenario 8 "pgbench\nms";
    }
    failed_runs, "runs", "Runs of the cell that failed or never finished; they count in no figure." {
        cell u32 = ("their number", |cell| cell.failed);
    }
    mode, "", "Who decided when a job was sent: `open_loop` or `saturation`." {
        run LoadMode = |run| run.identity.mode;
        cell LoadMode = the_same;
    }
    activity, "", "Which sides of the queue worked: `both`, `enqueue` or `drain`." {
        run Activity = |run| run.identity.activity;
        cell Activity = the_same;
    }
    host, "", "Name of the machine." { run String = |run| run.identity.host.clone(); cell String = the_same; }
    configuration_hash, "", "Short hash of the settings; runs are pooled only where it is the same." {
        run String = |run| run.identity.configuration_hash.clone();
        cell String = the_same;
    }
    configuration, "", "The settings that the hash is made of, as `key=value`, separated by spaces." {
        run String = |run| run.identity.configuration.clone();
        cell String = the_same;
    }
    log_bytes_per_job, "bytes/job", "Bytes of WAL or AOF per job." {
        run Option<f64> = |run| run.cost_per_job.log_bytes;
        cell Option<f64> = mean;
        shown Capacity 4 "log bytes\n/job", Cost 4 "log\nbytes";
    }
    fsyncs_per_job, "1/job", "Flushes of that log per job." {
        run Option<f64> = |run| run.cost_per_job.fsyncs;
        cell Option<f64> = mean;
        shown Cost 5 "fsyncs";
    }
    round_trips_per_job, "1/job", "Requests per job." {
        run Option<f64> = |run| run.cost_per_job.round_trips;
        cell Option<f64> = mean;
        shown Capacity 3 "round trips\n/job", Cost 3 "round\ntrips", Ladder 5 "statements\n/job", Scaling 5 "round trips\n/job";
    }
    dead_tuples_per_job, "1/job", "Row versions to clean up per job." {
        run Option<f64> = |run| run.cost_per_job.dead_tuples;
        cell Option<f64> = mean;
        shown Cost 6 "dead\ntuples";
    }
    server_memory_bytes_per_job, "bytes/job", "Growth of the jobs' memory in Valkey, or in NATS where it stores in memory, per job." {
        run Option<f64> = |run| run.cost_per_job.server_memory_bytes;
        cell Option<f64> = mean;
        shown Cost 7 "memory\nbytes";
    }
    backlog_slope_jobs_s, "jobs/s", "Slope of the backlog over the measured phase." {
        run f64 = |run| run.backlog.slope_jobs_s;
        cell f64 = mean;
    }
    empty_claims_s, "1/s", "Looks for work that found none, per second of the measured phase, over all workers." {
        run Option<f64> = |run| {
            run.wake
                .filter(|_| run.identity.measured_s > 0.0)
                .map(|wake| wake.empty_claims as f64 / run.identity.measured_s)
        };
        cell #[serde(default)] Option<f64> = mean;
        shown Ladder 6 "idle\nqueries/s";
    }
    drain_s, "s", "Time to drain." { run f64 = |run| run.drain_s; cell f64 = largest; shown Capacity 6 "drain\ns"; }
    notifications_sent, "notifications", "Notifications sent in the measured phase." {
        run Option<u64> = |run| run.wake.map(|wake| wake.notifications_sent);
    }
    notifications_received, "notifications", "Notifications that reached the listener in the measured phase." {
        run Option<u64> = |run| run.wake.map(|wake| wake.notifications_received);
    }
    listener_reconnects, "times", "Times that the listener's connection was made anew in the measured phase." {
        run Option<u64> = |run| run.wake.map(|wake| wake.listener_reconnects);
    }
    reasons, "", "Why it is not valid, or why it failed, joined by `; `." {
        run String = |run| run.reasons_against().join("; ");
        cell String = ("all of them, and conditions in which they differ", |cell| cell.reasons.clone());
    }
    plan, "", "Plan file that it was made by; empty without." {
        run String = |run| run.identity.variant.as_ref().map_or_else(String::new, |variant| variant.plan.clone());
        cell #[serde(default)] String = the_same;
    }
    variant, "", "Variant of the matrix: the varied settings, or the name of a rung; empty without." {
        run String = |run| run.identity.variant.as_ref().map_or_else(String::new, |variant| variant.name.clone());
        cell #[serde(default)] String = the_same;
    }
    place, "", "Place of the variant among those of its matrix, counted from 1; 0 without." {
        run u32 = |run| run.identity.variant.as_ref().map_or(0, |variant| variant.place);
        cell #[serde(default)] u32 = the_same;
    }
    climbs, "", "Whether the variant is the one before it and one change." {
        run bool = |run| run.identity.variant.as_ref().is_some_and(|variant| variant.climbs);
        cell #[serde(default)] bool = the_same;
    }
    deadlocks, "deadlocks", "Deadlocks that the server counted." {
        run Option<u64> = |run| run.deadlocks;
        cell #[serde(default)] Option<u64> = sum;
        shown Scaling 2 "deadlocks";
    }
    workers_max_over_min, "", "Busiest worker over idlest." {
        run Option<f64> = |run| run.skew.workers_max_over_min;
        cell #[serde(default)] Option<f64> = largest;
        shown Scaling 3 "busiest/idlest\nworker";
    }
    climbed_keys, "", "Settings that the climb changes on some rung, separated by spaces; empty without a climb." {
        run String = |run| run.identity.variant.as_ref().map_or_else(String::new, |variant| variant.climbed_keys.join(" "));
        cell #[serde(default)] String = the_same;
    }
    release_lag_p99_ms, "ms", "Lateness of the generator and the machine, 99th percentile." {
        run f64 = |run| run.release_lag_ms.p99;
        cell #[serde(default)] f64 = largest;
    }
    producer_wait_p99_ms, "ms", "Wait for a free producer, 99th percentile." {
        run f64 = |run| run.producer_wait_ms.p99;
        cell #[serde(default)] f64 = largest;
    }
    confirm_time_p99_ms, "ms", "From the sending to the confirmation of the enqueue, 99th percentile." {
        run f64 = |run| run.confirm_time_ms.p99;
        cell #[serde(default)] f64 = largest;
    }
    engine_version, "", "Version of the server product." {
        run String = |run| run.identity.engine_version.clone();
        cell #[serde(default)] String = the_same;
    }
    git_revision, "", "Revision that the harness was built from." {
        run String = |run| run.identity.git_revision.clone();
        cell #[serde(default)] String = the_same;
    }
    host_id, "", "Which machine it was, whatever its name: a short hash." {
        run String = |run| run.identity.host_id.clone();
        cell #[serde(default)] String = the_same;
    }
    topology, "", "Where the server was: `in process`, `private`, `same host`, or `remote` and its address." {
        run String = |run| run.identity.topology.clone();
        cell #[serde(default)] String = the_same;
    }
    waiting, "", "How idle workers waited for jobs: `poll` or `push`." {
        run Waiting = |run| run.identity.waiting;
        cell #[serde(default)] Waiting = the_same;
    }
    poll_interval_ms, "ms", "Time between two looks of a worker that polls." {
        run Option<f64> = |run| run.identity.poll_interval_ms;
        cell #[serde(default)] Option<f64> = the_same;
    }
    server_settings, "", "Settings of the server that can move a figure, as `key=value`, separated by `; `." {
        run String = |run| settings_in_words(&run.identity.server_settings);
        cell #[serde(default)] String = the_same;
    }
    connections_per_worker, "connections", "Connections to the server that a worker had open." {
        run Option<u64> = |run| run.identity.connections_per_worker;
        cell #[serde(default)] Option<u64> = the_same;
        shown Cost 8 "connections\n/worker";
    }
    checkpoints, "checkpoints", "Checkpoints that fell into the measured phase." {
        run Option<u64> = |run| run.maintenance.checkpoints;
        cell #[serde(default)] Option<u64> = sum;
    }
    autovacuums, "runs", "Runs of autovacuum on the queue's tables that ended in the measured phase." {
        run Option<u64> = |run| run.maintenance.autovacuums;
        cell #[serde(default)] Option<u64> = sum;
    }
    snapshots, "snapshots", "Snapshots of Valkey that ended in the measured phase." {
        run Option<u64> = |run| run.maintenance.snapshots;
        cell #[serde(default)] Option<u64> = sum;
    }
    log_rewrites, "rewrites", "Rewrites of Valkey's append-only file that ended in the measured phase." {
        run Option<u64> = |run| run.maintenance.log_rewrites;
        cell #[serde(default)] Option<u64> = sum;
    }
    spoiled_runs, "runs", "Runs of the cell that this machine alone spoiled; they count in no figure." {
        cell #[serde(default)] u32 = ("their number", |cell| cell.spoiled);
    }
    prefilled_jobs_s, "jobs/s", "Jobs put into the queue beforehand that were completed in the measured phase." {
        run f64 = |run| run.rates.prefilled_completed_jobs_s;
        cell #[serde(default)] f64 = mean;
    }
    hiccup_p99_ms, "ms", "How late this host wakes somebody who only sleeps, 99th percentile." {
        run Option<f64> = |run| run.hiccup_ms.map(|hiccup| hiccup.p99);
        cell #[serde(default)] Option<f64> = largest;
    }
    cpu_kernel_pct, "%", "CPU of the kernel on behalf of all roles, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.kernel;
        cell Option<f64> = mean;
    }
    cpu_meter_pct, "%", "CPU of the meters of hiccups, 100 is one core." {
        run Option<f64> = |run| run.cpu_pct.meter;
        cell #[serde(default)] Option<f64> = mean;
    }
    n, "runs", "Runs that figures and intervals of the cell are made of." {
        cell #[serde(default)] u32 = ("their number", |cell| cell.finished.len() as u32);
    }
    throughput_jobs_s_low, "jobs/s", "Lower end of the 95 % interval of `throughput_jobs_s`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("throughput_jobs_s"));
    }
    throughput_jobs_s_high, "jobs/s", "Upper end of the 95 % interval of `throughput_jobs_s`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("throughput_jobs_s"));
    }
    latency_p50_ms_low, "ms", "Lower end of the 95 % interval of `latency_p50_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("latency_p50_ms"));
    }
    latency_p50_ms_high, "ms", "Upper end of the 95 % interval of `latency_p50_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("latency_p50_ms"));
    }
    latency_p95_ms_low, "ms", "Lower end of the 95 % interval of `latency_p95_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("latency_p95_ms"));
    }
    latency_p95_ms_high, "ms", "Upper end of the 95 % interval of `latency_p95_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("latency_p95_ms"));
    }
    latency_p99_ms_low, "ms", "Lower end of the 95 % interval of `latency_p99_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("latency_p99_ms"));
    }
    latency_p99_ms_high, "ms", "Upper end of the 95 % interval of `latency_p99_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("latency_p99_ms"));
    }
    latency_p999_ms_low, "ms", "Lower end of the 95 % interval of `latency_p999_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("latency_p999_ms"));
    }
    latency_p999_ms_high, "ms", "Upper end of the 95 % interval of `latency_p999_ms`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("latency_p999_ms"));
    }
    cpu_server_us_per_job_low, "us/job", "Lower end of the 95 % interval of `cpu_server_us_per_job`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("cpu_server_us_per_job"));
    }
    cpu_server_us_per_job_high, "us/job", "Upper end of the 95 % interval of `cpu_server_us_per_job`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("cpu_server_us_per_job"));
    }
    steady, "", "Whether neither throughput nor p99 nor backlog had a trend or a shift; empty for too few seconds." {
        run Option<bool> = |_run| None;
        cell #[serde(default)] Option<bool> = ("whether all that can tell are", |cell| {
            cell.finished.iter().filter_map(|run| run.steady).reduce(|all, steady| all && steady)
        });
    }
    started_at, "", "When the run began, UTC." { run String = |run| run.identity.started_at.clone(); }
    unsteady, "", "What was not steady." {
        run String = |_run| String::new();
        cell #[serde(default)] String = ("of each run", |cell| cell.unsteady.clone());
    }
    background_tps_low, "1/s", "Lower end of the 95 % interval of `background_tps`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.low("background_tps"));
    }
    background_tps_high, "1/s", "Upper end of the 95 % interval of `background_tps`; empty below three runs." {
        cell #[serde(default)] Option<f64> = ("over runs", |cell| cell.high("background_tps"));
    }
    round_trip_ms, "ms", "Round trip of a request that does nothing: the median, before and after the load." {
        run Option<f64> = |run| run.round_trip_us.and_then(|ends| ends.p50_ms());
        cell #[serde(default)] Option<f64> = median;
    }
}

/// Between two settings of a server, whose values may have spaces.
pub const BETWEEN_SETTINGS: &str = "; ";

fn settings_in_words(settings: &BTreeMap<String, String>) -> String {
    settings.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(BETWEEN_SETTINGS)
}

/// Columns of `runs.csv` that stand where they always stood; those that came later stand to the right of them.
const RUNS_CSV_BEGINS: &str = "\
    run_id engine backend queue_type scenario block status offered_jobs_s throughput_jobs_s jobs_intended \
    jobs_completed latency_p50_ms latency_p95_ms latency_p99_ms latency_p999_ms schedule_lag_p99_ms cpu_host_pct \
    cpu_server_pct cpu_harness_pct cpu_background_pct cpu_server_us_per_job cpu_harness_us_per_job rss_server_mb \
    verdict lost duplicated redelivered valid regime durability delivery drain_s deadlocks background_tps mode \
    activity host configuration_hash configuration log_bytes_per_job fsyncs_per_job round_trips_per_job \
    dead_tuples_per_job server_memory_bytes_per_job backlog_slope_jobs_s empty_claims_s notifications_sent \
    notifications_received listener_reconnects reasons plan variant place climbs workers_max_over_min climbed_keys";

/// The columns of `runs.csv`, from left to right.
pub fn run_columns() -> Vec<&'static Column> {
    let mut columns: Vec<&Column> = COLUMNS.iter().filter(|column| column.run.is_some()).collect();
    let place = |column: &&Column| RUNS_CSV_BEGINS.split_whitespace().position(|name| name == column.name);
    columns.sort_by_key(|column| place(column).unwrap_or(usize::MAX));
    columns
}

/// The columns of `summary.csv`, from left to right.
pub fn cell_columns() -> Vec<&'static Column> {
    COLUMNS.iter().filter(|column| column.cell.is_some()).collect()
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
