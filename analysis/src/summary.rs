//! From runs to rows: one per run, one per cell, and the latency quantiles of each cell.
//!
//! A cell is a backend x scenario, kept apart by server product. Its figures are medians and means over its runs, because the run is
//! the unit of measurement (METHODOLOGY S1); the merged histograms of the runs draw its distribution.

pub(crate) mod cell;
mod files;
mod latency;
mod steady;

use qbench_schema::result::{RunResult, RunStatus};
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

pub use self::files::{read_cells, read_comparison, read_distribution, read_runs, to_json};
use crate::error::Problem;
use crate::load::Run;
use crate::order;
use crate::palette::Palette;

/// Quantiles of `distribution.csv`: those of the box plots, the headline percentiles, and both ends.
pub const QUANTILES: &[f64] = &[0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 0.999, 1.0];

/// Name of an engine that no run of a backend could tell.
const UNKNOWN_ENGINE: &str = "unknown";

/// Rows of every table.
#[derive(Debug, Clone)]
pub struct Summary {
    /// A row per run.
    pub runs: Vec<RunRow>,
    /// A row per cell.
    pub cells: Vec<SummaryRow>,
    /// The finished runs of each of them.
    pub runs_of_cells: Vec<Vec<RunRow>>,
    /// Quantiles per cell.
    pub distribution: Vec<DistributionRow>,
    /// A curve per cell through the latencies of its jobs: quantile and milliseconds, finer than `distribution`.
    pub curves: Vec<Vec<(f64, f64)>>,
    /// What had to be left out of a cell.
    pub problems: Vec<Problem>,
}

/// Makes the rows of `runs`, in the order of tables and charts.
pub fn summarize(runs: &[Run], palette: &Palette) -> Summary {
    let mut rows: Vec<RunRow> = runs.iter().map(|run| row_of(&run.result)).collect();
    name_servers(&mut rows);
    let mut pairs: Vec<(&Run, &RunRow)> = runs.iter().zip(&rows).collect();
    pairs.sort_by_cached_key(|(_, row)| {
        (
            (palette.engine_rank(&row.engine, &row.backend), row.engine.clone()),
            (palette.backend_rank(&row.backend), row.backend.clone()),
            (order::scenario_rank(&row.scenario), row.scenario.clone()),
            (row.host.clone(), row.plan.clone(), row.place, row.variant.clone(), row.configuration.clone()),
            (row.host_id.clone(), row.engine_version.clone(), row.git_revision.clone(), row.topology.clone()),
            (row.server_settings.clone(), row.waiting),
            (row.block, row.run_id.clone()),
        )
    });
    let mut cells: Vec<Vec<(&Run, &RunRow)>> = Vec::new();
    for pair in &pairs {
        match cells.iter_mut().find(|cell| is_one_cell(cell[0].1, pair.1)) {
            Some(cell) => cell.push(*pair),
            None => cells.push(vec![*pair]),
        }
    }
    let mut summary = Summary {
        runs: pairs.iter().map(|(_, row)| (*row).clone()).collect(),
        cells: Vec::new(),
        runs_of_cells: Vec::new(),
        distribution: Vec::new(),
        curves: Vec::new(),
        problems: Vec::new(),
    };
    for members in &cells {
        cell::summarize_cell(members, &mut summary);
    }
    summary
}

/// What was not steady in a run, in words; empty where all was, or where its seconds cannot tell.
pub(crate) fn unsteady(result: &RunResult) -> String {
    steady::changes(result).unwrap_or_default().join(", ")
}

/// The row of one run, with what its seconds say about its state.
fn row_of(result: &RunResult) -> RunRow {
    let mut row = RunRow::of(result);
    if let Some(changes) = steady::changes(result) {
        row.steady = Some(changes.is_empty());
        row.unsteady = changes.join(", ");
    }
    row
}

/// What makes a row of its own, of a run and of a cell alike. What differs in any of these is not pooled into one row that describes neither
/// (METHODOLOGY F12).
macro_rules! identity {
    ($row:expr) => {{
        let row = $row;
        let words = [
            &row.backend,
            &row.scenario,
            &row.plan,
            &row.variant,
            &row.configuration_hash,
            &row.engine,
            &row.engine_version,
            &row.server_settings,
            &row.topology,
            &row.host,
            &row.host_id,
            &row.git_revision,
        ];
        (words, row.mode, row.activity, row.waiting)
    }};
}

/// Whether two runs are of one row.
fn is_one_cell(a: &RunRow, b: &RunRow) -> bool {
    identity!(a) == identity!(b)
}

/// Whether a run is one of the row `cell` of `summary.csv`.
pub(crate) fn is_of_cell(run: &RunRow, cell: &SummaryRow) -> bool {
    identity!(run) == identity!(cell)
}

/// A run that failed before it reached its server cannot tell product, version and settings: it belongs to the cell of the
/// runs of the same backend that could.
fn name_servers(rows: &mut [RunRow]) {
    for index in 0..rows.len() {
        let row = &rows[index];
        if row.status != RunStatus::Finished && row.engine_version.is_empty() {
            let of_its_kind = |other: &&RunRow| {
                other.backend == row.backend && other.topology == row.topology && !other.engine_version.is_empty()
            };
            // Best one of its own machine and configuration.
            let is_closer = |other: &&RunRow| {
                (&other.host_id, &other.configuration_hash, &other.git_revision)
                    == (&row.host_id, &row.configuration_hash, &row.git_revision)
            };
            let twin = rows.iter().filter(of_its_kind).find(is_closer).or_else(|| rows.iter().find(of_its_kind));
            if let Some(twin) = twin.cloned() {
                (rows[index].engine, rows[index].engine_version) = (twin.engine, twin.engine_version);
                rows[index].server_settings = twin.server_settings;
            }
        }
        if rows[index].engine.is_empty() {
            let twin = rows.iter().find(|row| row.backend == rows[index].backend && !row.engine.is_empty());
            rows[index].engine = twin.map_or(UNKNOWN_ENGINE.to_owned(), |row| row.engine.clone());
        }
    }
}
