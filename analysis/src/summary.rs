//! From runs to rows: one per run, one per cell, and the latency quantiles of each cell.
//!
//! A cell is a backend x scenario, kept apart by server product. Percentiles of a cell come from the merged histograms
//! of its runs; means are over runs, because the run is the unit of measurement (METHODOLOGY S1).

mod cell;
mod files;
mod latency;

use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

pub use self::files::{read_cells, read_distribution, to_json};
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
    /// Quantiles per cell.
    pub distribution: Vec<DistributionRow>,
    /// What had to be left out of a cell.
    pub problems: Vec<Problem>,
}

/// Makes the rows of `runs`, in the order of tables and charts.
pub fn summarize(runs: &[Run], palette: &Palette) -> Summary {
    let mut rows: Vec<RunRow> = runs.iter().map(|run| RunRow::of(&run.result)).collect();
    name_engines(&mut rows);
    let mut pairs: Vec<(&Run, &RunRow)> = runs.iter().zip(&rows).collect();
    pairs.sort_by_cached_key(|(_, row)| {
        (
            (palette.engine_rank(&row.engine, &row.backend), row.engine.clone()),
            (palette.backend_rank(&row.backend), row.backend.clone()),
            (order::scenario_rank(&row.scenario), row.scenario.clone()),
            (row.host.clone(), row.plan.clone(), row.place, row.variant.clone(), row.configuration.clone()),
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
        distribution: Vec::new(),
        problems: Vec::new(),
    };
    for members in &cells {
        cell::summarize_cell(members, &mut summary);
    }
    summary
}

/// Whether two runs are of one row. Different machines or settings make different rows, not one that describes neither.
fn is_one_cell(a: &RunRow, b: &RunRow) -> bool {
    (&a.engine, &a.backend, &a.scenario) == (&b.engine, &b.backend, &b.scenario)
        && (&a.host, &a.plan, &a.variant, &a.configuration_hash)
            == (&b.host, &b.plan, &b.variant, &b.configuration_hash)
        && (a.mode, a.activity) == (b.mode, b.activity)
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
