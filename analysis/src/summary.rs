//! From runs to rows: one per run, one per cell, and the latency quantiles of each cell.
//!
//! A cell is a backend x scenario, kept apart by server product. Percentiles of a cell come from the merged histograms
//! of its runs; means are over runs, because the run is the unit of measurement (METHODOLOGY S1).

mod cell;
mod files;
mod latency;
mod run_row;

use polars::prelude::*;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

pub use self::files::{read_cells, read_distribution, to_json};
use crate::error::{Problem, Result};
use crate::frame::{self, Cell};
use crate::load::Run;
use crate::order;
use crate::palette::Palette;

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
/// [`crate::Error::Table`] when polars cannot group the runs.
pub fn summarize(runs: &[Run], palette: &Palette) -> Result<Summary> {
    let mut rows: Vec<RunRow> = runs.iter().map(|run| run_row::run_row(&run.result)).collect();
    name_engines(&mut rows);

    let sorted = sorted_frame(&rows, runs, palette)?;
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
        cell::summarize_cell(&members, &cell, &mut summary)?;
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
fn sorted_frame(rows: &[RunRow], runs: &[Run], palette: &Palette) -> Result<DataFrame> {
    let column = |name: &str, value: &dyn Fn(&RunRow) -> u32| u32::column(name, rows.iter().map(value).collect());
    let mut frame = frame::of_runs(rows)?;
    frame.with_column(u32::column("index", (0..rows.len() as u32).collect()))?;
    frame.with_column(bool::column("counts", rows.iter().map(|row| row.status == "finished").collect()))?;
    frame.with_column(u64::column("backlog_max", runs.iter().map(|run| run.result.backlog.max).collect()))?;
    frame.with_column(<Option<f64>>::column(
        "background_latency_ms",
        runs.iter().map(|run| run.result.background.as_ref().map(|load| load.latency_mean_ms)).collect(),
    ))?;
    frame.with_column(column("engine_rank", &|row| palette.engine_rank(&row.engine, &row.backend)))?;
    frame.with_column(column("backend_rank", &|row| palette.backend_rank(&row.backend)))?;
    frame.with_column(column("scenario_rank", &|row| order::scenario_rank(&row.scenario)))?;
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
