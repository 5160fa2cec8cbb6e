//! Turns what happened into the verdict's figures.

use std::sync::atomic::Ordering;

use qbench_backends::Capabilities;
use qbench_schema::record::Stage;
use qbench_schema::result::{
    Activity, Backlog, CostPerJob, CpuUsPerJob, Floor, LoadMode, PartitionShare, RunIdentity, RunResult, RunStatus,
    Skew, WorkerShare,
};

use super::host;
use super::session::Measured;
use crate::validity::{self, Evidence};
use qbench_driver::audit;

/// Below this many times the run's rate the harness itself may be what is measured (METHODOLOGY M5).
const ENOUGH_CEILING: f64 = 5.0;

/// What the run left behind, once everything has stopped.
pub(super) struct Evidences<'a> {
    /// Whether the queue lives in this process, so that its cost is the harness's own.
    pub(super) in_process: bool,
    pub(super) capabilities: &'a Capabilities,
    /// The harness's own floor, where it could be measured.
    pub(super) ceiling_jobs_s: Option<f64>,
    pub(super) notes: Vec<String>,
    pub(super) measured: Measured,
}

/// The verdict of a run whose load was driven, to its end or not.
pub(super) fn conclude(identity: RunIdentity, evidences: Evidences<'_>) -> RunResult {
    let Evidences { in_process, capabilities, ceiling_jobs_s, mut notes, measured } = evidences;
    let Measured { incidents, load, monitors, background } = measured;
    let audit = audit::judge(&load.totals, &incidents, &load.census, load.end(), capabilities);
    let histograms = &load.recording.histograms;
    let measured_start_us = load.measured_start_us.unwrap_or(load.measured_end_us);
    let measured_s = load.measured_end_us.saturating_sub(measured_start_us) as f64 / 1e6;
    let rates = load.rates;
    // What the phase was about: jobs through the queue, or into it.
    let (throughput_jobs_s, jobs_in_window) = match identity.activity {
        Activity::Both | Activity::Drain => (rates.completed_jobs_s, load.in_window.completed),
        Activity::Enqueue => (rates.enqueued_jobs_s, load.in_window.confirmed),
    };
    let offered_jobs_s = match (identity.mode, identity.activity) {
        (LoadMode::OpenLoop, _) => identity.offered_jobs_s,
        (LoadMode::Saturation, Activity::Drain) => rates.completed_jobs_s,
        (LoadMode::Saturation, _) => rates.sent_jobs_s,
    };
    let per_job = |total: f64| (jobs_in_window > 0).then(|| total / jobs_in_window as f64);
    let count_per_job = |total: Option<u64>| total.and_then(|total| per_job(total as f64));
    let cost = &monitors.cost;
    let cpu_us_per_job = CpuUsPerJob {
        server: monitors.cpu_s.server.and_then(|cpu_s| per_job(cpu_s * 1e6)),
        harness: monitors.cpu_s.harness.and_then(|cpu_s| per_job(cpu_s * 1e6)),
        adapter: monitors.cpu_s.adapter.and_then(|cpu_s| per_job(cpu_s * 1e6)),
    };

    let (status, error) = match incidents.fatal() {
        Some(reason) => (RunStatus::Failed, Some(reason.to_owned())),
        None if load.interrupted => (RunStatus::Interrupted, None),
        None => (RunStatus::Finished, None),
    };
    let mut before_figures = Vec::new();
    match status {
        RunStatus::Failed => before_figures.push(format!("the run failed: {}", error.as_deref().unwrap_or_default())),
        RunStatus::Interrupted => before_figures.push("the run was interrupted".to_owned()),
        RunStatus::Running | RunStatus::Finished => {}
    }
    if let Some(Err(reason)) = &background {
        before_figures.push(format!("the background load failed: {reason}"));
    }
    let background = background.and_then(Result::ok);
    // Flat out there is no schedule to fall behind, and a queue in this process is measured by the CPU that it takes.
    let on_schedule = identity.mode == LoadMode::OpenLoop;
    let may_be_bound = on_schedule || !in_process;
    let validity = validity::judge(
        &Evidence {
            audit: &audit,
            intended: load.totals.measured.intended,
            // A backlog that is worked off was sent before the phase.
            sent_in_phase: match identity.activity {
                Activity::Drain => load.totals.measured.sent,
                Activity::Both | Activity::Enqueue => load.in_window.sent,
            },
            end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
            schedule_lag_ms: histograms.percentiles_ms(Stage::ScheduleLag),
            backlog: if on_schedule { load.backlog } else { Backlog::default() },
            measured_s,
            regime: identity.regime,
            harness_cpu_pct: monitors.cpu_pct.harness.filter(|_| may_be_bound),
            busiest_thread_pct: load.busiest_thread_pct.filter(|_| may_be_bound),
            cores: host::cores(),
            steal_pct: monitors.steal_pct,
            dropped_records: incidents.dropped_records.load(Ordering::Relaxed),
            overflows: histograms.overflows(),
            background_covered_s: background.as_ref().map(|background| background.covered_s),
            recording_error: load.recording.error.as_deref(),
        },
        before_figures,
    );
    let floor = ceiling_jobs_s.filter(|_| throughput_jobs_s > 0.0).map(|ceiling_jobs_s| Floor {
        ceiling_jobs_s,
        ceiling_over_rate: ceiling_jobs_s / offered_jobs_s.max(throughput_jobs_s),
    });
    if let Some(floor) = floor.filter(|floor| floor.ceiling_over_rate < ENOUGH_CEILING && !in_process) {
        notes.push(format!(
            "the harness itself carries {:.0} jobs/s with these producers, workers and batches when the queue costs nothing: \
             only {:.1} times the rate of this run, and at least {ENOUGH_CEILING:.0} times are wanted",
            floor.ceiling_jobs_s, floor.ceiling_over_rate
        ));
    }
    let workers: Vec<WorkerShare> = (load.recording.completed_by_worker.iter().enumerate())
        .map(|(worker, completed)| WorkerShare { worker: worker as u32, completed: *completed })
        .collect();
    let partitions: Vec<PartitionShare> =
        load.census.as_ref().map_or_else(|_| Vec::new(), |census| census.partitions.clone());
    RunResult {
        status,
        error,
        measured_s,
        offered_jobs_s,
        throughput_jobs_s,
        rates,
        jobs: load.totals.measured,
        prefilled: load.prefilled,
        end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
        schedule_lag_ms: histograms.percentiles_ms(Stage::ScheduleLag),
        enqueue_time_ms: histograms.percentiles_ms(Stage::EnqueueTime),
        queue_wait_ms: histograms.percentiles_ms(Stage::QueueWait),
        local_wait_ms: histograms.percentiles_ms(Stage::LocalWait),
        work_time_ms: histograms.percentiles_ms(Stage::WorkTime),
        ack_time_ms: histograms.percentiles_ms(Stage::AckTime),
        skew: Skew {
            workers_max_over_min: evenness(workers.iter().map(|share| share.completed)),
            partitions_max_over_min: evenness(partitions.iter().map(|share| share.enqueued)),
        },
        workers,
        partitions,
        claim_order: load.claim_order,
        audit,
        validity,
        backlog: load.backlog,
        drain_s: load.drain_s,
        cpu_pct: monitors.cpu_pct,
        cpu_us_per_job,
        cpu_roles_of_host_pct: monitors.cpu_roles_of_host_pct,
        cost_per_job: CostPerJob {
            server_cpu_us: cpu_us_per_job.server,
            harness_cpu_us: cpu_us_per_job.harness,
            log_bytes: count_per_job(cost.wal_bytes.or(cost.aof_bytes)),
            fsyncs: count_per_job(cost.fsyncs),
            // A queue in this process may have nothing that is asked, and what an adapter's library asks is not seen.
            round_trips: count_per_job(Some(load.round_trips).filter(|asked| *asked > 0)),
            dead_tuples: count_per_job(cost.dead_tuples),
            server_memory_bytes: cost.valkey_memory_growth_bytes.and_then(|bytes| per_job(bytes as f64)),
            server_ctx_switches: count_per_job(cost.server_ctx_switches),
            harness_ctx_switches: count_per_job(cost.harness_ctx_switches),
        },
        wake: load.wake.filter(|_| !in_process),
        rss_server_bytes: monitors.rss_server_bytes,
        rss_harness_bytes: monitors.rss_harness_bytes,
        errors: incidents.errors(),
        deadlocks: monitors.deadlocks,
        background,
        floor,
        timeline: load.timeline,
        notes: notes.into_iter().chain(monitors.notes).collect(),
        ..RunResult::without_figures(identity, status, "")
    }
}

/// Largest share over the smallest; nothing where there are no shares or one of them is nothing.
fn evenness(shares: impl Iterator<Item = u64> + Clone) -> Option<f64> {
    let (least, most) = (shares.clone().min()?, shares.max()?);
    (least > 0).then(|| most as f64 / least as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenness_is_the_largest_share_over_the_smallest_where_nobody_went_without() {
        assert_eq!(evenness([10, 12, 11].into_iter()), Some(1.2));
        assert_eq!(evenness([10, 0].into_iter()), None);
        assert_eq!(evenness(std::iter::empty()), None);
    }
}
