//! A row of `runs.csv`: the verdict of one run, flat.

use qbench_schema::result::{RunResult, RunStatus, Verdict};
use qbench_schema::summary::RunRow;
use serde::Serialize;

/// A row of `runs.csv`.
pub(super) fn run_row(result: &RunResult) -> RunRow {
    let variant = result.identity.variant.clone().unwrap_or_default();
    RunRow {
        run_id: result.identity.run_id.clone(),
        engine: result.identity.engine.clone(),
        backend: result.identity.backend.clone(),
        queue_type: result.identity.queue_type.clone(),
        scenario: result.identity.scenario.clone(),
        block: result.identity.block,
        status: word(result.status),
        offered_jobs_s: result.identity.offered_jobs_s,
        throughput_jobs_s: result.throughput_jobs_s,
        jobs_intended: result.jobs.intended,
        jobs_completed: result.jobs.completed,
        latency_p50_ms: result.end_to_end_ms.p50,
        latency_p95_ms: result.end_to_end_ms.p95,
        latency_p99_ms: result.end_to_end_ms.p99,
        latency_p999_ms: result.end_to_end_ms.p999,
        schedule_lag_p99_ms: result.schedule_lag_ms.p99,
        cpu_host_pct: result.cpu_pct.host,
        cpu_server_pct: result.cpu_pct.server,
        cpu_harness_pct: result.cpu_pct.harness,
        cpu_background_pct: result.cpu_pct.background,
        cpu_server_us_per_job: result.cpu_us_per_job.server,
        cpu_harness_us_per_job: result.cpu_us_per_job.harness,
        rss_server_mb: result.rss_server_bytes.map(|bytes| bytes as f64 / 1e6),
        verdict: word(result.audit.verdict),
        lost: result.audit.lost,
        duplicated: result.audit.duplicated,
        redelivered: result.audit.redelivered,
        valid: result.status == RunStatus::Finished && result.validity.valid,
        regime: word(result.identity.regime),
        durability: word(result.identity.durability),
        delivery: word(result.identity.delivery),
        drain_s: result.drain_s,
        deadlocks: result.deadlocks,
        background_tps: result.background.as_ref().map(|load| load.tps),
        mode: word(result.identity.mode),
        activity: word(result.identity.activity),
        host: result.identity.host.clone(),
        configuration_hash: result.identity.configuration_hash.clone(),
        configuration: result.identity.configuration.clone(),
        log_bytes_per_job: result.cost_per_job.log_bytes,
        fsyncs_per_job: result.cost_per_job.fsyncs,
        round_trips_per_job: result.cost_per_job.round_trips,
        dead_tuples_per_job: result.cost_per_job.dead_tuples,
        server_memory_bytes_per_job: result.cost_per_job.server_memory_bytes,
        backlog_slope_jobs_s: result.backlog.slope_jobs_s,
        empty_claims_s: (result.wake.filter(|_| result.identity.measured_s > 0.0))
            .map(|wake| wake.empty_claims as f64 / result.identity.measured_s),
        notifications_sent: result.wake.map(|wake| wake.notifications_sent),
        notifications_received: result.wake.map(|wake| wake.notifications_received),
        listener_reconnects: result.wake.map(|wake| wake.listener_reconnects),
        reasons: reasons(result).join("; "),
        plan: variant.plan,
        variant: variant.name,
        place: variant.place,
        climbs: variant.climbs,
        workers_max_over_min: result.skew.workers_max_over_min,
        climbed_keys: variant.climbed_keys.join(" "),
    }
}

/// Why a run is not valid or did not finish; empty for a valid one.
fn reasons(result: &RunResult) -> Vec<String> {
    let error = result.error.as_deref();
    let mut reasons = match result.status {
        RunStatus::Running => return vec!["killed: its verdict was never completed".to_owned()],
        RunStatus::Failed => return vec![format!("failed: {}", error.unwrap_or("no reason was recorded"))],
        RunStatus::Interrupted => return vec![format!("interrupted: {}", error.unwrap_or("the user stopped it"))],
        RunStatus::Finished => result.validity.reasons.clone(),
    };
    if result.audit.verdict != Verdict::Ok {
        // The gate's own sentence quotes the audit's reasons.
        let told = |reason: &str| result.validity.reasons.iter().any(|gate| gate.contains(reason));
        reasons.extend(result.audit.reasons.iter().filter(|reason| !told(reason)).cloned());
    }
    if !result.validity.valid && reasons.is_empty() {
        reasons.push("marked as not valid without a reason".to_owned());
    }
    reasons
}

/// A value of a closed set as result files spell it.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
