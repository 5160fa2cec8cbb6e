//! From runs to rows: one per run, one per cell, and the latency quantiles of each cell.
//!
//! A cell is a backend x scenario, kept apart by server product. Percentiles of a cell come from the merged histograms
//! of its runs; means are over runs, because the run is the unit of measurement (METHODOLOGY S1).

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use polars::prelude::*;
use qbench_schema::record::Stage;
use qbench_schema::result::{Percentiles, Regime, RunResult, RunStatus, Verdict};
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem, Result};
use crate::frame::{self, Cell};
use crate::load::Run;
use crate::metrics::LatencyHistogram;
use crate::order;
use crate::tables::SATURATION;

/// Quantiles of `distribution.csv`: those of the box plots, the headline percentiles, and both ends.
pub const QUANTILES: &[f64] = &[0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999, 1.0];

/// Word for a property in which the runs of a cell differ.
pub const MIXED: &str = "mixed";

/// Name of an engine that no run of a backend could tell.
const UNKNOWN_ENGINE: &str = "unknown";

/// What the runs of one row have in common. Different machines or settings make different rows, not one that describes
/// neither.
const CELL: [&str; 9] =
    ["engine", "backend", "scenario", "host", "plan", "variant", "configuration_hash", "mode", "activity"];

/// Rows of every table.
#[derive(Debug, Clone)]
pub struct Summary {
    /// A row per run.
    pub runs: Vec<RunRow>,
    /// A row per cell.
    pub cells: Vec<SummaryRow>,
    /// Quantiles per cell.
    pub distribution: Vec<DistributionRow>,
    /// What had to be left out of a cell.
    pub problems: Vec<Problem>,
}

/// Makes the rows of `runs`, in the order of tables and charts.
///
/// # Errors
/// [`Error::Table`] when polars cannot group the runs.
pub fn summarize(runs: &[Run]) -> Result<Summary> {
    let mut rows: Vec<RunRow> = runs.iter().map(|run| run_row(&run.result)).collect();
    name_engines(&mut rows);

    let sorted = sorted_frame(&rows, runs)?;
    let order = indices(&sorted)?;
    let mut summary = Summary {
        runs: order.iter().map(|&index| rows[index].clone()).collect(),
        cells: Vec::new(),
        distribution: Vec::new(),
        problems: Vec::new(),
    };
    // The frame is sorted, and stable groups come in the order of their first row: so cells are sorted too.
    let groups = sorted.group_by_stable(CELL)?;
    for group in groups.get_groups().iter() {
        let members: Vec<IdxSize> = match group {
            GroupsIndicator::Idx((_, members)) => members.to_vec(),
            GroupsIndicator::Slice([first, length]) => (first..first + length).collect(),
        };
        let cell = sorted.take(&IdxCa::from_vec("members".into(), members))?;
        let members: Vec<(&Run, &RunRow)> = indices(&cell)?.iter().map(|&index| (&runs[index], &rows[index])).collect();
        summarize_cell(&members, &cell, &mut summary)?;
    }
    Ok(summary)
}

/// A run that failed before it reached its server cannot name the product: it belongs to the cell of the runs of the
/// same backend that could.
fn name_engines(rows: &mut [RunRow]) {
    for index in 0..rows.len() {
        if rows[index].engine.is_empty() {
            let twin = rows.iter().find(|row| row.backend == rows[index].backend && !row.engine.is_empty());
            rows[index].engine = twin.map_or(UNKNOWN_ENGINE.to_owned(), |row| row.engine.clone());
        }
    }
}

/// The runs as a frame in the order of tables, with `index` into `runs` and the figures that only cells show.
fn sorted_frame(rows: &[RunRow], runs: &[Run]) -> Result<DataFrame> {
    let column = |name: &str, value: fn(&RunRow) -> u32| u32::column(name, rows.iter().map(value).collect());
    let mut frame = frame::of_runs(rows)?;
    frame.with_column(u32::column("index", (0..rows.len() as u32).collect()))?;
    frame.with_column(bool::column("counts", rows.iter().map(|row| row.status == "finished").collect()))?;
    frame.with_column(u64::column("backlog_max", runs.iter().map(|run| run.result.backlog.max).collect()))?;
    frame.with_column(<Option<f64>>::column(
        "background_latency_ms",
        runs.iter().map(|run| run.result.background.as_ref().map(|load| load.latency_mean_ms)).collect(),
    ))?;
    frame.with_column(column("engine_rank", |row| order::engine_rank(&row.engine)))?;
    frame.with_column(column("backend_rank", |row| order::backend_rank(&row.backend)))?;
    frame.with_column(column("scenario_rank", |row| order::scenario_rank(&row.scenario)))?;
    let by = [
        "engine_rank",
        "engine",
        "backend_rank",
        "backend",
        "scenario_rank",
        "scenario",
        "host",
        "plan",
        "place",
        "variant",
        "configuration",
        "block",
        "run_id",
    ];
    Ok(frame.sort(by, SortMultipleOptions::default())?)
}

fn indices(frame: &DataFrame) -> Result<Vec<usize>> {
    Ok(frame.column("index")?.u32()?.iter().flatten().map(|index| index as usize).collect())
}

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

fn summarize_cell(members: &[(&Run, &RunRow)], frame: &DataFrame, summary: &mut Summary) -> Result<()> {
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
        regime: if described.iter().any(|(run, _)| run.result.regime == Regime::Overload) {
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
        drain_s: counted.max("drain_s")?.unwrap_or(0.0),
        reasons: reasons.join("; "),
        plan: first.plan.clone(),
        variant: first.variant.clone(),
        place: first.place,
        climbs: first.climbs,
        deadlocks: counted.sum_known("deadlocks")?,
        workers_max_over_min: counted.max("workers_max_over_min")?,
        empty_claims_s: counted.mean("empty_claims_s")?,
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
    compare("profile", finished.iter().map(|(run, _)| run.result.profile.clone()).collect());
    // Flat out nobody asked for a rate: what was offered is what the producers sent.
    let on_schedule = finished.iter().filter(|(_, row)| row.mode != SATURATION);
    compare("offered load", on_schedule.map(|(_, row)| format!("{:.0} jobs/s", row.offered_jobs_s)).collect());
    differences
}

fn common(members: &[(&Run, &RunRow)], property: fn(&RunRow) -> &String) -> String {
    let first = property(members[0].1);
    if members.iter().all(|(_, row)| property(row) == first) { first.clone() } else { MIXED.to_owned() }
}

/// Where the latency figures of a cell come from.
enum Latency {
    /// The job records of its runs, merged.
    Records(Box<LatencyHistogram>),
    /// The verdict of one run.
    Verdict(Percentiles),
}

impl Latency {
    fn percentiles(&self) -> Percentiles {
        match self {
            Latency::Records(histogram) => histogram.percentiles(),
            Latency::Verdict(percentiles) => *percentiles,
        }
    }

    fn quantiles(&self) -> Vec<(f64, f64)> {
        match self {
            Latency::Records(histogram) => QUANTILES.iter().map(|&q| (q, histogram.quantile_ms(q))).collect(),
            Latency::Verdict(p) => vec![(0.5, p.p50), (0.95, p.p95), (0.99, p.p99), (0.999, p.p999), (1.0, p.max)],
        }
    }
}

/// End-to-end latency of a cell. Runs without job records cannot be merged: they are left out when others have some; when
/// none has, the run with the median p99 stands for all.
fn cell_latency(finished: &[(&Run, &RunRow)], problems: &mut Vec<Problem>) -> Option<Latency> {
    let with_jobs: Vec<_> = finished.iter().filter(|(run, _)| run.result.jobs.completed > 0).collect();
    let mut merged = LatencyHistogram::new();
    let mut without = Vec::new();
    for (run, _) in &with_jobs {
        match &run.metrics {
            Some(metrics) => merged.merge(metrics.stage(Stage::EndToEnd)),
            None => without.push(*run),
        }
    }
    if merged.count() > 0 {
        for run in without {
            let message =
                format!("its job records are missing, so the percentiles of {} leave it out", run.files.run());
            problems.push(Problem::new(run.files.result(), message));
        }
        return Some(Latency::Records(Box::new(merged)));
    }
    without.sort_by(|a, b| a.result.end_to_end_ms.p99.total_cmp(&b.result.end_to_end_ms.p99));
    let median = without.get(without.len().saturating_sub(1) / 2)?;
    if without.len() > 1 {
        let message = format!(
            "no run of {} has its job records, so percentiles cannot be merged; those of this run, the one with the median \
             p99, are shown",
            median.files.run()
        );
        problems.push(Problem::new(median.files.result(), message));
    }
    Some(Latency::Verdict(median.result.end_to_end_ms))
}

/// A row of `runs.csv`.
fn run_row(result: &RunResult) -> RunRow {
    let variant = result.variant.clone().unwrap_or_default();
    RunRow {
        run_id: result.run_id.clone(),
        engine: result.engine.clone(),
        backend: result.backend.clone(),
        queue_type: result.queue_type.clone(),
        scenario: result.scenario.clone(),
        block: result.block,
        status: word(result.status),
        offered_jobs_s: result.offered_jobs_s,
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
        regime: word(result.regime),
        durability: word(result.durability),
        delivery: word(result.delivery),
        drain_s: result.drain_s,
        deadlocks: result.deadlocks,
        background_tps: result.background.as_ref().map(|load| load.tps),
        mode: word(result.mode),
        activity: word(result.activity),
        host: result.host.clone(),
        configuration_hash: result.configuration_hash.clone(),
        configuration: result.configuration.clone(),
        log_bytes_per_job: result.cost_per_job.log_bytes,
        fsyncs_per_job: result.cost_per_job.fsyncs,
        round_trips_per_job: result.cost_per_job.round_trips,
        dead_tuples_per_job: result.cost_per_job.dead_tuples,
        server_memory_bytes_per_job: result.cost_per_job.server_memory_bytes,
        backlog_slope_jobs_s: result.backlog.slope_jobs_s,
        reasons: reasons(result).join("; "),
        plan: variant.plan,
        variant: variant.name,
        place: variant.place,
        climbs: variant.climbs,
        workers_max_over_min: result.skew.workers_max_over_min,
        empty_claims_s: result
            .wake
            .filter(|_| result.measured_s > 0.0)
            .map(|wake| wake.empty_claims as f64 / result.measured_s),
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
        reasons.extend(result.audit.reasons.iter().filter(|reason| !result.validity.reasons.contains(reason)).cloned());
    }
    if !result.validity.valid && reasons.is_empty() {
        reasons.push("marked as not valid without a reason".to_owned());
    }
    reasons
}

/// A value of a closed set as result files spell it.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `summary.json`.
///
/// # Errors
/// [`Error::Json`] when a row cannot be serialised.
pub fn to_json(cells: &[SummaryRow]) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(cells)?;
    json.push(b'\n');
    Ok(json)
}

/// Reads a `summary.csv`.
///
/// # Errors
/// [`Error::Input`] when it cannot be read, lacks a column, or has no rows.
pub fn read_cells(path: &Path) -> Result<Vec<SummaryRow>> {
    let content = fs::read(path).map_err(|error| Error::Input {
        path: path.to_path_buf(),
        reason: match error.kind() {
            ErrorKind::NotFound => "there is no such file; `qbench analyze` writes it".to_owned(),
            _ => error.to_string(),
        },
    })?;
    let cells: Vec<SummaryRow> = parse(path, &content)?;
    if cells.is_empty() {
        return Err(Error::Input {
            path: path.to_path_buf(),
            reason: "it has no rows; run `qbench analyze` on folders with results".to_owned(),
        });
    }
    Ok(cells)
}

/// Reads a `distribution.csv`; `None` when there is none.
///
/// # Errors
/// [`Error::Input`] when it is there and cannot be read or lacks a column.
pub fn read_distribution(path: &Path) -> Result<Option<Vec<DistributionRow>>> {
    match fs::read(path) {
        Ok(content) => parse(path, &content).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Input { path: path.to_path_buf(), reason: error.to_string() }),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, content: &[u8]) -> Result<Vec<T>> {
    csv::Reader::from_reader(content).into_deserialize().collect::<Result<_, _>>().map_err(|error| Error::Input {
        path: path.to_path_buf(),
        reason: format!("it is not what `qbench analyze` writes ({error}); analyze the results again"),
    })
}
