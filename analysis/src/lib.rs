//! Reads result folders, makes tables and charts of them, and knows nothing of how they came about.
//!
//! Reading order: [`load`] finds runs and reads their verdicts, [`metrics`] streams job records into histograms,
//! [`summary`] makes rows of runs and cells, [`tables`] shows them in a terminal, [`charts`] as pictures. Only file types
//! of `qbench-schema` are known here, so folders from other machines and other sessions read the same.
//!
//! This crate prints nothing and never writes into an input folder.

pub mod charts;
pub mod error;
mod frame;
mod latency_log;
pub mod load;
pub mod metrics;
mod order;
mod palette;
mod publish;
pub mod statistics;
pub mod summary;
mod sweep;
pub mod tables;
mod variant;

use std::path::{Path, PathBuf};

use qbench_schema::files;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

pub use error::{Error, Problem, Result};
pub use order::SCENARIOS;
pub use palette::{BackendStyle, Palette};

/// What an analysis found and wrote.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// A row per run, those that never finished included.
    pub runs: Vec<RunRow>,
    /// A row per cell, in the order of tables and charts.
    pub summary: Vec<SummaryRow>,
    /// Latency quantiles per cell.
    pub distribution: Vec<DistributionRow>,
    /// Files that could not be used, or only in part, and what to do about them.
    pub problems: Vec<Problem>,
    /// The comparison as text for a terminal, a block per scenario.
    pub table: String,
    /// Files written: `runs.csv`, `summary.csv`, `summary.json`, `distribution.csv`.
    pub written: Vec<PathBuf>,
}

/// Reads every run in `inputs` (result folders; `rep-NN` folders below them are read too) and writes `runs.csv`,
/// `summary.csv`, `summary.json` and `distribution.csv` into `output_dir`, which is made when it does not exist.
///
/// Rows come in the order of `palette`. A broken file becomes an entry of [`Analysis::problems`]; a run that failed becomes a
/// row that says why.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read, [`Error::NothingToAnalyze`] when no run can be read at all,
/// [`Error::Write`] when the output cannot be written.
pub fn analyze(inputs: &[PathBuf], output_dir: &Path, palette: &Palette) -> Result<Analysis> {
    let load::Loaded { runs, mut problems } = load::load(inputs)?;
    let summary = summary::summarize(&runs, palette);
    problems.extend(summary.problems);

    publish::make_dir(output_dir)?;
    let written = [
        (files::RUNS_CSV, frame::to_csv(&mut frame::of_runs(&summary.runs)?)?),
        (files::SUMMARY_CSV, frame::to_csv(&mut frame::of_cells(&summary.cells)?)?),
        (files::SUMMARY_JSON, summary::to_json(&summary.cells)?),
        (files::DISTRIBUTION_CSV, frame::to_csv(&mut frame::of_distribution(&summary.distribution)?)?),
    ]
    .into_iter()
    .map(|(name, content)| publish::publish(&output_dir.join(name), &content))
    .collect::<Result<Vec<_>>>()?;

    Ok(Analysis {
        table: tables::render(&summary.cells, &summary.runs_of_cells),
        runs: summary.runs,
        summary: summary.cells,
        distribution: summary.distribution,
        problems,
        written,
    })
}

/// Draws the six charts from `summary_csv`, and from the `distribution.csv` beside it where there is one, into
/// `output_dir`, in the colours of `palette`; and those of climbs and of numbers of workers, where such were run. Returns the
/// files, those of [`charts::NAMES`] first and in that order.
///
/// # Errors
/// [`Error::Input`] when a CSV file cannot be read or is not what `qbench analyze` writes, [`Error::Draw`] when a chart
/// cannot be drawn, [`Error::Write`] when it cannot be written.
pub fn graph(summary_csv: &Path, output_dir: &Path, palette: &Palette) -> Result<Vec<PathBuf>> {
    let cells = summary::read_cells(summary_csv)?;
    let distribution = summary::read_distribution(&summary_csv.with_file_name(files::DISTRIBUTION_CSV))?;
    publish::make_dir(output_dir)?;
    charts::draw_all(&cells, distribution.as_deref(), palette)?
        .into_iter()
        .map(|(name, png)| publish::publish(&output_dir.join(format!("{name}.png")), &png))
        .collect()
}
