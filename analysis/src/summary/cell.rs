//! A row of `summary.csv`: the runs of one cell, reduced to single figures.

use polars::prelude::*;
use qbench_schema::result::{Regime, RunStatus};
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

use super::latency::{Latency, cell_latency};
use super::run_row::word;
use super::{MIXED, Summary};
use crate::error::Result;
use crate::load::Run;
use crate::tables::SATURATION;

/// The finished runs of one cell, to be reduced to single figures.
struct Counted(DataFrame);

impl Counted {
    fn mean(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.0.column(name)?.f64()?.mean())
    }

    fn max(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.0.column(name)?.f64()?.max())
    }

    fn sum_count(&self, name: &str) -> Result<u64> {
        Ok(self.0.column(name)?.u64()?.sum().unwrap_or(0))
    }

    /// The sum of what the runs tell; nothing where none does.
    fn sum_known(&self, name: &str) -> Result<Option<u64>> {
        let column = self.0.column(name)?.u64()?;
        Ok(column.sum().filter(|_| column.null_count() < column.len()))
    }

    fn max_count(&self, name: &str) -> Result<u64> {
        Ok(self.0.column(name)?.u64()?.max().unwrap_or(0))
    }
}

/// Adds the rows of one cell to `summary`: `members` are all its runs, `frame` holds their figures.
pub(super) fn summarize_cell(members: &[(&Run, &RunRow)], frame: &DataFrame, summary: &mut Summary) -> Result<()> {
    let counted = Counted(frame.filter(frame.column("counts")?.bool()?)?);
    let finished: Vec<_> =
        members.iter().filter(|(run, _)| run.result.status == RunStatus::Finished).copied().collect();
    // A cell without a finished run still tells what was tried.
    let described = if finished.is_empty() { members } else { &finished };
    let first = described[0].1;
    let latency = cell_latency(&finished, &mut summary.problems);
    let figures = latency.as_ref().map(Latency::percentiles).unwrap_or_default();

    let mut reasons = Vec::new();
    for (_, row) in members.iter().filter(|(_, row)| !row.reasons.is_empty()) {
        let reason =
            if members.len() == 1 { row.reasons.clone() } else { format!("run {}: {}", row.block, row.reasons) };
        reasons.push(reason);
    }
    let differences = differences(&finished);
    let failed = members.iter().any(|(run, _)| run.result.status == RunStatus::Failed);
    let valid = !finished.is_empty() && finished.iter().all(|(_, row)| row.valid) && !failed && differences.is_empty();
    reasons.extend(differences);

    let cell = SummaryRow {
        engine: first.engine.clone(),
        backend: first.backend.clone(),
        queue_type: first.queue_type.clone(),
        scenario: first.scenario.clone(),
        runs: finished.len() as u32,
        offered_jobs_s: counted.mean("offered_jobs_s")?.unwrap_or(first.offered_jobs_s),
        throughput_jobs_s: counted.mean("throughput_jobs_s")?.unwrap_or(0.0),
        latency_p50_ms: figures.p50,
        latency_p95_ms: figures.p95,
        latency_p99_ms: figures.p99,
        latency_p999_ms: figures.p999,
        cpu_host_pct: counted.mean("cpu_host_pct")?,
        cpu_server_pct: counted.mean("cpu_server_pct")?,
        rss_server_mb: counted.max("rss_server_mb")?,
        lost: counted.sum_count("lost")?,
        duplicated: counted.sum_count("duplicated")?,
        valid,
        regime: if described.iter().any(|(run, _)| run.result.identity.regime == Regime::Overload) {
            word(Regime::Overload)
        } else {
            word(Regime::Normal)
        },
        durability: common(described, |row| &row.durability),
        delivery: common(described, |row| &row.delivery),
        cpu_harness_pct: counted.mean("cpu_harness_pct")?,
        cpu_background_pct: counted.mean("cpu_background_pct")?,
        cpu_server_us_per_job: counted.mean("cpu_server_us_per_job")?,
        cpu_harness_us_per_job: counted.mean("cpu_harness_us_per_job")?,
        schedule_lag_p99_ms: counted.max("schedule_lag_p99_ms")?.unwrap_or(0.0),
        backlog_max: counted.max_count("backlog_max")?,
        background_tps: counted.mean("background_tps")?,
        background_latency_ms: counted.mean("background_latency_ms")?,
        failed_runs: (members.len() - finished.len()) as u32,
        mode: common(described, |row| &row.mode),
        activity: common(described, |row| &row.activity),
        host: common(described, |row| &row.host),
        configuration_hash: common(described, |row| &row.configuration_hash),
        configuration: common(described, |row| &row.configuration),
        log_bytes_per_job: counted.mean("log_bytes_per_job")?,
        fsyncs_per_job: counted.mean("fsyncs_per_job")?,
        round_trips_per_job: counted.mean("round_trips_per_job")?,
        dead_tuples_per_job: counted.mean("dead_tuples_per_job")?,
        server_memory_bytes_per_job: counted.mean("server_memory_bytes_per_job")?,
        backlog_slope_jobs_s: counted.mean("backlog_slope_jobs_s")?.unwrap_or(0.0),
        empty_claims_s: counted.mean("empty_claims_s")?,
        drain_s: counted.max("drain_s")?.unwrap_or(0.0),
        reasons: reasons.join("; "),
        plan: first.plan.clone(),
        variant: first.variant.clone(),
        place: first.place,
        climbs: first.climbs,
        deadlocks: counted.sum_known("deadlocks")?,
        workers_max_over_min: counted.max("workers_max_over_min")?,
        climbed_keys: first.climbed_keys.clone(),
    };
    if let Some(latency) = latency {
        summary.distribution.extend(latency.quantiles().into_iter().map(|(quantile, latency_ms)| DistributionRow {
            engine: cell.engine.clone(),
            backend: cell.backend.clone(),
            scenario: cell.scenario.clone(),
            host: cell.host.clone(),
            configuration_hash: cell.configuration_hash.clone(),
            quantile,
            latency_ms,
            variant: cell.variant.clone(),
        }));
    }
    summary.cells.push(cell);
    Ok(())
}

/// Conditions in which the runs of a cell differ; such a cell describes nothing, and is not valid.
fn differences(finished: &[(&Run, &RunRow)]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, values: Vec<String>| {
        let mut distinct = values;
        distinct.sort();
        distinct.dedup();
        if distinct.len() > 1 {
            differences.push(format!("its runs differ in {what} ({})", distinct.join(", ")));
        }
    };
    compare("durability", finished.iter().map(|(_, row)| row.durability.clone()).collect());
    compare("delivery", finished.iter().map(|(_, row)| row.delivery.clone()).collect());
    compare("profile", finished.iter().map(|(run, _)| run.result.identity.profile.clone()).collect());
    // Flat out nobody asked for a rate: what was offered is what the producers sent.
    let on_schedule = finished.iter().filter(|(_, row)| row.mode != SATURATION);
    compare("offered load", on_schedule.map(|(_, row)| format!("{:.0} jobs/s", row.offered_jobs_s)).collect());
    differences
}

fn common(members: &[(&Run, &RunRow)], property: fn(&RunRow) -> &String) -> String {
    let first = property(members[0].1);
    if members.iter().all(|(_, row)| property(row) == first) { first.clone() } else { MIXED.to_owned() }
}
