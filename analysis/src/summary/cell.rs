//! A row of `summary.csv`: the runs of one cell, reduced to single figures.

use std::collections::BTreeMap;

use qbench_schema::result::{LoadMode, RunStatus, word};
use qbench_schema::summary::{COLUMNS, CellRuns, DistributionRow, RunRow, SummaryRow};

use super::Summary;
use super::latency::{Latency, cell_latency};
use crate::load::Run;
use crate::statistics::{CONFIDENCE, cell_interval};

/// Figures whose interval over the runs is a column.
const WITH_INTERVAL: [&str; 7] = [
    "throughput_jobs_s",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_p999_ms",
    "cpu_server_us_per_job",
    "background_tps",
];

/// Adds the rows of one cell to `summary`: `members` are all its runs.
pub(super) fn summarize_cell<'a>(members: &[(&Run, &'a RunRow)], summary: &mut Summary) {
    let finished: Vec<_> =
        members.iter().filter(|(run, _)| run.result.status == RunStatus::Finished).copied().collect();
    let (finished, spoiled) = without_spoiled(finished);
    let latency = cell_latency(&finished, &mut summary.problems);
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
    if spoiled > 0 {
        let all = finished.len() + spoiled as usize;
        reasons.push(format!("{} of {all} runs count: this machine alone spoiled the others", finished.len()));
    }

    let rows = |of: &[(&Run, &'a RunRow)]| of.iter().map(|(_, row)| *row).collect();
    let cell = SummaryRow::of(&CellRuns {
        // A cell without a finished run still tells what was tried.
        described: rows(if finished.is_empty() { members } else { &finished }),
        failed: members.len() as u32 - finished.len() as u32 - spoiled,
        spoiled,
        intervals: intervals(&finished),
        unsteady: unsteady(&finished),
        valid,
        reasons: reasons.join("; "),
        finished: rows(&finished),
    });
    summary.curves.push(latency.as_ref().map(Latency::curve).unwrap_or_default());
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
    summary.runs_of_cells.push(finished.iter().map(|(_, row)| (*row).clone()).collect());
}

/// A valid cell of runs that all finished, for tests of what is made of cells.
#[cfg(test)]
pub(crate) fn cell_of(runs: &[RunRow]) -> SummaryRow {
    SummaryRow::of(&CellRuns {
        finished: runs.iter().collect(),
        described: runs.iter().collect(),
        failed: 0,
        spoiled: 0,
        intervals: BTreeMap::new(),
        unsteady: String::new(),
        valid: true,
        reasons: String::new(),
    })
}

/// Both ends of the interval of each figure over the runs.
fn intervals(finished: &[(&Run, &RunRow)]) -> BTreeMap<&'static str, (f64, f64)> {
    let of = |name: &'static str| {
        let value = COLUMNS.iter().find(|column| column.name == name)?.run?;
        let values: Vec<f64> = finished.iter().filter_map(|(_, row)| value(row).number()).collect();
        Some((name, cell_interval(&values, CONFIDENCE)?.interval?))
    };
    WITH_INTERVAL.into_iter().filter_map(of).collect()
}

/// What was not steady, run by run.
fn unsteady(finished: &[(&Run, &RunRow)]) -> String {
    let told = finished.iter().filter(|(_, row)| !row.unsteady.is_empty()).map(|(_, row)| match finished.len() {
        1 => row.unsteady.clone(),
        _ => format!("run {}: {}", row.block, row.unsteady),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The runs that count, and how many were left out: those that the machine alone spoiled say nothing about the queue. They count where
/// they are half of all or more: what is left would then be a choice, and the cell is not valid.
fn without_spoiled<'r, 'a>(finished: Vec<(&'r Run, &'a RunRow)>) -> (Vec<(&'r Run, &'a RunRow)>, u32) {
    let is_spoiled = |run: &Run| run.result.validity.is_spoiled_by_the_host_alone();
    let spoiled = finished.iter().filter(|(run, _)| is_spoiled(run)).count();
    if spoiled * 2 >= finished.len() {
        return (finished, 0);
    }
    (finished.into_iter().filter(|(run, _)| !is_spoiled(run)).collect(), spoiled as u32)
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
    compare("durability", finished.iter().map(|(_, row)| word(row.durability)).collect());
    compare("delivery", finished.iter().map(|(_, row)| word(row.delivery)).collect());
    compare("profile", finished.iter().map(|(run, _)| run.result.identity.profile.clone()).collect());
    // Flat out nobody asked for a rate: what was offered is what the producers sent.
    let on_schedule = finished.iter().filter(|(_, row)| row.mode != LoadMode::Saturation);
    compare("offered load", on_schedule.map(|(_, row)| format!("{:.0} jobs/s", row.offered_jobs_s)).collect());
    differences
}
