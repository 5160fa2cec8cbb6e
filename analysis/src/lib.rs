//! Reads result folders, makes tables and charts of them, and knows nothing of how they came about.
//!
//! Reading order: [`load`] finds runs and reads their verdicts, [`metrics`] streams job records into histograms,
//! [`summary`] makes rows of runs and cells, [`statistics`] says what several runs allow to be said, [`tables`] shows them in a terminal, [`charts`] as pictures. Only file types
//! of `qbench-schema` are known here, so folders from other machines and other sessions read the same.
//!
//! This crate prints nothing and never writes into an input folder.

mod asked;
pub mod charts;
mod class;
mod compare;
pub mod error;
mod export;
mod frame;
mod headline;
mod latency_log;
pub mod load;
mod machines;
pub mod metrics;
mod order;
mod palette;
mod publish;
mod report;
mod round_trip;
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
use qbench_schema::study::Answer;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};
use rayon::prelude::*;

pub use asked::Asked;
pub use compare::Across;
pub use error::{Error, Problem, Result};
pub use machines::{Apart, machines_apart};
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
    /// What they say to the questions that were asked.
    pub answers: Vec<Answer>,
    /// Files that could not be used, or only in part, and what to do about them.
    pub problems: Vec<Problem>,
    /// The comparison as text for a terminal, a block per scenario.
    pub table: String,
    /// Files written: `runs.csv`, `summary.csv`, `summary.json`, `distribution.csv`, `comparison.csv`; `round_trip.csv` where the delay was varied; and
    /// `answers.json` where there are questions.
    pub written: Vec<PathBuf>,
}

/// Reads every run in `inputs` (result folders; `rep-NN` folders below them are read too) and writes `runs.csv`,
/// `summary.csv`, `summary.json`, `distribution.csv`, `comparison.csv` and, where something is `asked`, `answers.json` into `output_dir`, which is
/// made when it does not exist.
///
/// Rows come in the order of `palette`. A broken file becomes an entry of [`Analysis::problems`]; a run that failed becomes a
/// row that says why.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read, [`Error::NothingToAnalyze`] when no run can be read at all,
/// [`Error::Reference`] when the reference is not among the runs, [`Error::Write`] when the output cannot be written.
pub fn analyze(inputs: &[PathBuf], output_dir: &Path, asked: &Asked, palette: &Palette) -> Result<Analysis> {
    let load::Loaded { runs, calibrations, mut problems } = load::load(inputs)?;
    let mut summary = summary::summarize(&runs, palette);
    problems.append(&mut summary.problems);
    let machines = machines::Machines::new(calibrations);
    let (comparison, answers) = asked.of(&summary, &machines)?;

    publish::make_dir(output_dir)?;
    let mut contents = vec![
        (files::RUNS_CSV, frame::to_csv(&mut frame::of_runs(&summary.runs)?)?),
        (files::SUMMARY_CSV, frame::to_csv(&mut frame::of_cells(&summary.cells)?)?),
        (files::SUMMARY_JSON, summary::to_json(&summary.cells)?),
        (files::DISTRIBUTION_CSV, frame::to_csv(&mut frame::of_distribution(&summary.distribution)?)?),
        (files::COMPARISON_CSV, frame::to_csv(&mut frame::of_comparison(&comparison)?)?),
    ];
    let runs_of_cells: Vec<Vec<&RunRow>> = summary.runs_of_cells.iter().map(|runs| runs.iter().collect()).collect();
    let round_trips = round_trip::rows(&round_trip::sweeps(&summary.cells, &runs_of_cells));
    if !round_trips.is_empty() {
        contents.push((files::ROUND_TRIP_CSV, frame::to_csv(&mut frame::of_round_trips(&round_trips)?)?));
    }
    if !answers.is_empty() {
        contents.push((files::ANSWERS_JSON, summary::to_json(&answers)?));
    }
    let write = |(name, content): (&str, Vec<u8>)| publish::publish(&output_dir.join(name), &content);
    let written = contents.into_iter().map(write).collect::<Result<Vec<_>>>()?;

    Ok(Analysis {
        table: [
            tables::render(&summary.cells, &summary.runs_of_cells),
            tables::comparison::render_within(&comparison),
            machines::render(&machines),
        ]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n"),
        runs: summary.runs,
        summary: summary.cells,
        distribution: summary.distribution,
        comparison,
        answers,
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
    // Verdicts have every figure that is compared; distributions, which are made of latencies, are not.
    let read = |folder: &Path| -> Result<(summary::Summary, Vec<Problem>)> {
        let load::Loaded { runs, problems, .. } = load::load_verdicts(&[folder.to_path_buf()])?;
        Ok((summary::summarize(&runs, palette), problems))
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
    let load::Loaded { mut runs, .. } = load::load_verdicts(inputs)?;
    publish::make_dir(output_dir)?;
    let mut written = Vec::new();
    for (name, run) in named_apart(&mut runs) {
        let Some(timeline) = timeline::Timeline::of(run, &summary::unsteady(&run.result)) else { continue };
        let path = output_dir.join(format!("timeline_{name}.png"));
        written.push(publish::publish(&path, &charts::draw_timeline(&timeline)?)?);
    }
    Ok(written)
}

/// Runs in order, each with a name that no other has: variant and block stand behind it where several runs have one.
fn named_apart(runs: &mut [load::Run]) -> Vec<(String, &load::Run)> {
    runs.sort_by_cached_key(|run| (run.files.run().to_owned(), run.result.identity.block, run.files.result()));
    let runs = &*runs;
    let name = |run: &load::Run| {
        let mut name = run.files.run().to_owned();
        if runs.iter().filter(|other| other.files.run() == run.files.run()).count() > 1 {
            let variant = run.result.identity.variant.as_ref();
            name.extend(variant.map(|variant| format!("_{}", variant.folder())));
            name.push_str(&format!("_block-{:02}", run.result.identity.block));
        }
        name
    };
    runs.iter().map(|run| (name(run), run)).collect()
}

/// What was exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Files written.
    pub written: Vec<PathBuf>,
    /// Job files that could not be used, or only in part.
    pub problems: Vec<Problem>,
}

/// Writes the job file of each run in `inputs` as Parquet into `output_dir`: `<run>_metrics.parquet`, with variant and block behind the run where
/// several have one name. A row is a job, its run beside it, with types.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read, [`Error::NothingToAnalyze`] when it has no run, [`Error::NoJobFiles`] when none of them has
/// a job file, [`Error::Write`] when the output folder cannot be made.
pub fn export_parquet(inputs: &[PathBuf], output_dir: &Path) -> Result<Exported> {
    let load::Loaded { mut runs, mut problems, .. } = load::load_verdicts(inputs)?;
    runs.retain(|run| run.files.metrics().exists());
    if runs.is_empty() {
        return Err(Error::NoJobFiles { looked_in: inputs.to_vec() });
    }
    publish::make_dir(output_dir)?;
    // A run on each core: the files of long ones have over a million lines.
    let exported: Vec<Result<(PathBuf, bool), Problem>> = named_apart(&mut runs)
        .par_iter()
        .map(|(name, run)| {
            let path = output_dir.join(format!("{name}_metrics.parquet"));
            let (mut cut_off, mut broken) = (false, None);
            let written = publish::publish_with(&path, |file| {
                cut_off = export::export(run, file).map_err(|error| {
                    let reason = broken.insert(error.to_string());
                    std::io::Error::other(reason.clone())
                })?;
                Ok(())
            });
            match written {
                Ok(path) => Ok((path, cut_off)),
                // What is wrong with the job file is no matter of the folder that is written to.
                Err(error) => Err(Problem::new(run.files.metrics(), broken.unwrap_or_else(|| error.to_string()))),
            }
        })
        .collect();
    let mut written = Vec::new();
    for one in exported {
        match one {
            Ok((path, cut_off)) => {
                if cut_off {
                    let message = "the last line of its job file is cut off and was left out; copy that file again";
                    problems.push(Problem::new(&path, message));
                }
                written.push(path);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Ok(Exported { written, problems })
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
