//! Turns what happened into the verdict's figures.

use std::sync::atomic::Ordering;

use qbench_backends::Capabilities;
use qbench_schema::record::Stage;
use qbench_schema::result::{BackgroundLoad, CpuUsPerJob, RunIdentity, RunResult, RunStatus, WorkerShare};

use super::host;
use crate::audit;
use crate::driver::incidents::Incidents;
use crate::driver::phases::LoadOutcome;
use crate::monitor::MonitorSummary;
use crate::validity::{self, Evidence};

/// What the run left behind, once everything has stopped.
pub(super) struct Evidences<'a> {
    pub(super) capabilities: &'a Capabilities,
    pub(super) incidents: &'a Incidents,
    pub(super) load: LoadOutcome,
    pub(super) monitors: MonitorSummary,
    /// For scenarios with background load: its report, or why there is none.
    pub(super) background: Option<Result<BackgroundLoad, String>>,
    pub(super) notes: Vec<String>,
}

/// The verdict of a run whose load was driven, to its end or not.
pub(super) fn conclude(identity: RunIdentity, evidences: Evidences<'_>) -> RunResult {
    let Evidences { capabilities, incidents, load, monitors, background, notes } = evidences;
    let audit = audit::judge(&load.totals, incidents, &load.census, load.drained, capabilities);
    let histograms = &load.recording.histograms;
    let measured_start_us = load.measured_start_us.unwrap_or(load.measured_end_us);
    let measured_s = load.measured_end_us.saturating_sub(measured_start_us) as f64 / 1e6;
    let until_us = load.recording.last_acked_us.max(load.measured_end_us);
    let completed = load.totals.measured.completed;
    // In overload many measured jobs complete after the window that the CPU time is of.
    let in_window = load.completed_in_window;
    let per_job = |cpu_s: Option<f64>| cpu_s.filter(|_| in_window > 0).map(|cpu_s| cpu_s * 1e6 / in_window as f64);

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
    let validity = validity::judge(
        &Evidence {
            audit: &audit,
            intended: load.totals.measured.intended,
            sent: load.totals.measured.sent,
            end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
            schedule_lag_ms: histograms.percentiles_ms(Stage::ScheduleLag),
            backlog: load.backlog,
            measured_s,
            regime: identity.regime,
            harness_cpu_pct: monitors.cpu_pct.harness,
            cores: host::cores(),
            steal_pct: monitors.steal_pct,
            dropped_records: incidents.dropped_records.load(Ordering::Relaxed),
            overflows: histograms.overflows(),
            background_covered_s: background.as_ref().map(|background| background.covered_s),
            recording_error: load.recording.error.as_deref(),
        },
        before_figures,
    );
    let workers = load.recording.completed_by_worker.iter().enumerate();
    RunResult {
        status,
        error,
        measured_s,
        throughput_jobs_s: match until_us.saturating_sub(measured_start_us) {
            0 => 0.0,
            elapsed_us => completed as f64 * 1e6 / elapsed_us as f64,
        },
        jobs: load.totals.measured,
        end_to_end_ms: histograms.percentiles_ms(Stage::EndToEnd),
        schedule_lag_ms: histograms.percentiles_ms(Stage::ScheduleLag),
        enqueue_time_ms: histograms.percentiles_ms(Stage::EnqueueTime),
        queue_wait_ms: histograms.percentiles_ms(Stage::QueueWait),
        local_wait_ms: histograms.percentiles_ms(Stage::LocalWait),
        work_time_ms: histograms.percentiles_ms(Stage::WorkTime),
        ack_time_ms: histograms.percentiles_ms(Stage::AckTime),
        workers: workers
            .map(|(worker, completed)| WorkerShare { worker: worker as u32, completed: *completed })
            .collect(),
        audit,
        validity,
        backlog: load.backlog,
        drain_s: load.drain_s,
        cpu_pct: monitors.cpu_pct,
        cpu_us_per_job: CpuUsPerJob {
            server: per_job(monitors.cpu_s.server),
            harness: per_job(monitors.cpu_s.harness),
        },
        rss_server_bytes: monitors.rss_server_bytes,
        rss_harness_bytes: monitors.rss_harness_bytes,
        errors: incidents.errors(),
        deadlocks: monitors.deadlocks,
        background,
        notes: notes.into_iter().chain(monitors.notes).collect(),
        ..RunResult::without_figures(identity, status, "")
    }
}
