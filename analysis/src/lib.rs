//! Reads result folders, makes tables and charts of them, and knows nothing of how they came about.
//!
//! Reading order: [`load`] finds runs and reads their verdicts, [`metrics`] streams job records into histograms,
//! [`summary`] makes rows of runs and cells, [`statistics`] says what several runs allow to be said, [`tables`] shows them in a terminal, [`charts`] as pictures. Only file types
//! of `qbench-schema` are known here, so folders from other machines and other sessions read the same.
//!
//! This crate prints nothing and never writes into an input folder.

pub mod charts;
mod class;
mod compare;
pub mod error;
mod frame;
mod latency_log;
pub mod load;
pub mod metrics;
mod order;
mod palette;
mod publish;
mod report;
pub mod statistics;
pub mod summary;
mod sweep;
pub mod tables;
mod timeline;
mod variant;

use std::path::{Path, PathBuf};

use qbench_schema::capacity::CapacityRow;
use qbench_schema::comparison::ComparisonRow;
use qbench_schema::files;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

pub use compare::Across;
pub use error::{Error, Problem, Result};
pub use order::SCENARIOS;
pub use palette::{BackendStyle, Palette};
pub use report::report;

/// What an analysis found and wrote.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// A row per run, those that never finished included.
    pub runs: Vec<RunRow>,
    /// A row per cell, in the order of tables and charts.
    pub summary: Vec<SummaryRow>,
    /// Latency quantiles per cell.
    pub distribution: Vec<DistributionRow>,
    /// Every cell against the reference, figure by figure.
    pub comparison: Vec<ComparisonRow>,
    /// Files that could not be used, or only in part, and what to do about them.
    pub problems: Vec<Problem>,
    /// The comparison as text for a terminal, a block per scenario.
    pub table: String,
    /// Files written: `runs.csv`, `summary.csv`, `summary.json`, `distribution.csv`, `comparison.csv`.
    pub written: Vec<PathBuf>,
}

/// Reads every run in `inputs` (result folders; `rep-NN` folders below them are read too) and writes `runs.csv`,
/// `summary.csv`, `summary.json`, `distribution.csv` and `comparison.csv` into `output_dir`, which is made when it does not exist.
/// Cells are compared with those of backend `reference`; without one, with those of the first backend.
///
/// Rows come in the order of `palette`. A broken file becomes an entry of [`Analysis::problems`]; a run that failed becomes a
/// row that says why.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read, [`Error::NothingToAnalyze`] when no run can be read at all,
/// [`Error::Reference`] when the reference is not among the runs, [`Error::Write`] when the output cannot be written.
pub fn analyze(inputs: &[PathBuf], output_dir: &Path, reference: Option<&str>, palette: &Palette) -> Result<Analysis> {
    let load::Loaded { runs, mut problems } = load::load(inputs)?;
    let summary = summary::summarize(&runs, palette);
    problems.extend(summary.problems);
    let comparison = compare::within(&compare::Cell::all(&summary.cells, &summary.runs_of_cells), reference)?;

    publish::make_dir(output_dir)?;
    let written = [
        (files::RUNS_CSV, frame::to_csv(&mut frame::of_runs(&summary.runs)?)?),
        (files::SUMMARY_CSV, frame::to_csv(&mut frame::of_cells(&summary.cells)?)?),
        (files::SUMMARY_JSON, summary::to_json(&summary.cells)?),
        (files::DISTRIBUTION_CSV, frame::to_csv(&mut frame::of_distribution(&summary.distribution)?)?),
        (files::COMPARISON_CSV, frame::to_csv(&mut frame::of_comparison(&comparison)?)?),
    ]
    .into_iter()
    .map(|(name, content)| publish::publish(&output_dir.join(name), &content))
    .collect::<Result<Vec<_>>>()?;

    Ok(Analysis {
        table: [tables::render(&summary.cells, &summary.runs_of_cells), tables::comparison::render_within(&comparison)]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("\n"),
        runs: summary.runs,
        summary: summary.cells,
        distribution: summary.distribution,
        comparison,
        problems,
        written,
    })
}

/// Two result sets against each other.
#[derive(Debug, Clone)]
pub struct SetComparison {
    /// Every cell that both have, figure by figure: the second set over the first.
    pub rows: Vec<ComparisonRow>,
    /// Cells that only one of them has, a sentence each.
    pub alone: Vec<String>,
    /// Files that could not be used, or only in part.
    pub problems: Vec<Problem>,
    /// The rows as text for a terminal.
    pub table: String,
}

/// Reads the runs of `before` and of `after` and compares cell by cell. Cells that differ in a part of their identity that is not named in
/// `across` are refused, and say why. Writes nothing.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read, [`Error::NothingToAnalyze`] when one of them has no readable run.
pub fn compare(before: &Path, after: &Path, across: &[Across], palette: &Palette) -> Result<SetComparison> {
    let read = |folder: &Path| -> Result<(summary::Summary, Vec<Problem>)> {
        let load::Loaded { runs, mut problems } = load::load(&[folder.to_path_buf()])?;
        let summary = summary::summarize(&runs, palette);
        problems.extend(summary.problems.iter().cloned());
        Ok((summary, problems))
    };
    let (of_before, mut problems) = read(before)?;
    let (of_after, more) = read(after)?;
    problems.extend(more);
    fn cells(summary: &summary::Summary) -> Vec<compare::Cell<'_>> {
        compare::Cell::all(&summary.cells, &summary.runs_of_cells)
    }
    let (before, after) = (before.display().to_string(), after.display().to_string());
    let (rows, alone) = compare::between(&cells(&of_before), &cells(&of_after), &before, across);
    Ok(SetComparison { table: tables::comparison::render_between(&rows, &before, &after), rows, alone, problems })
}

/// Draws a picture of each run in `inputs`, second by second, into `output_dir`: `timeline_<run>.png`, with variant and block behind the name
/// where several runs have one. Returns the files.
///
/// # Errors
/// Those of [`analyze`], [`Error::Draw`] when a picture cannot be drawn.
pub fn graph_timelines(inputs: &[PathBuf], output_dir: &Path) -> Result<Vec<PathBuf>> {
    let load::Loaded { mut runs, .. } = load::load(inputs)?;
    let place = |run: &load::Run| (run.files.run().to_owned(), run.result.identity.block, run.files.result());
    runs.sort_by_cached_key(place);
    publish::make_dir(output_dir)?;
    let mut written = Vec::new();
    for run in &runs {
        let Some(timeline) = timeline::Timeline::of(run, &summary::unsteady(&run.result)) else { continue };
        let mut name = format!("timeline_{}", run.files.run());
        if runs.iter().filter(|other| other.files.run() == run.files.run()).count() > 1 {
            let variant = run.result.identity.variant.as_ref();
            name.extend(variant.map(|variant| format!("_{}", variant.folder())));
            name.push_str(&format!("_block-{:02}", run.result.identity.block));
        }
        written.push(publish::publish(&output_dir.join(format!("{name}.png")), &charts::draw_timeline(&timeline)?)?);
    }
    Ok(written)
}

/// The brackets of a search for capacities as text for a terminal.
pub fn render_capacity(rows: &[CapacityRow]) -> String {
    tables::bracket::render(rows)
}

/// Draws the rate-latency curve of `rows` into `output_dir`. Returns the file; nothing where there is no probe.
///
/// # Errors
/// [`Error::Draw`] when it cannot be drawn, [`Error::Write`] when it cannot be written.
pub fn graph_capacity(rows: &[CapacityRow], output_dir: &Path, palette: &Palette) -> Result<Vec<PathBuf>> {
    if rows.iter().all(|row| row.probes.is_empty()) {
        return Ok(Vec::new());
    }
    publish::make_dir(output_dir)?;
    let (name, png) = charts::draw_rate_latency(rows, palette)?;
    Ok(vec![publish::publish(&output_dir.join(format!("{name}.png")), &png)?])
}

/// Draws the six charts from `summary_csv`, and from `runs.csv`, `distribution.csv` and `comparison.csv` beside it where these are, into
/// `output_dir`, in the colours of `palette`; and those of climbs and of numbers of workers, where such were run. Returns the
/// files, those of [`charts::NAMES`] first and in that order.
///
/// # Errors
/// [`Error::Input`] when a CSV file cannot be read or is not what `qbench analyze` writes, [`Error::Draw`] when a chart
/// cannot be drawn, [`Error::Write`] when it cannot be written.
pub fn graph(summary_csv: &Path, output_dir: &Path, palette: &Palette) -> Result<Vec<PathBuf>> {
    let cells = summary::read_cells(summary_csv)?;
    let distribution = summary::read_distribution(&summary_csv.with_file_name(files::DISTRIBUTION_CSV))?;
    let runs = summary::read_runs(&summary_csv.with_file_name(files::RUNS_CSV))?;
    let comparison = summary::read_comparison(&summary_csv.with_file_name(files::COMPARISON_CSV))?;
    publish::make_dir(output_dir)?;
    charts::draw_all(&cells, &runs, distribution.as_deref(), &comparison, palette)?
        .into_iter()
        .map(|(name, png)| publish::publish(&output_dir.join(format!("{name}.png")), &png))
        .collect()
}
