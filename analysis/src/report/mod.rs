//! One page that answers: `report.html`, without a request to anywhere.
//!
//! Everything on it is drawn here, so it reads the same without any script; with one, the seconds of single runs can be explored. It begins
//! with the answers, and each figure on it comes from a file of the folder that it is about.

mod answers;
mod charts;
mod explorer;
mod sections;
mod svg;
mod table;

use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use qbench_schema::capacity::CapacityRow;
use qbench_schema::comparison::{ComparisonRow, SAME_WITHIN};
use qbench_schema::files::CAPACITY_JSON;
use qbench_schema::result::{LoadMode, word};
use qbench_schema::study::Answer;
use qbench_schema::summary::SummaryRow;

use crate::asked::Asked;
use crate::error::{Problem, Result};
use crate::load::Run;
use crate::machines::Machines;
use crate::palette::Palette;
use crate::publish;
use crate::results::Results;
use crate::summary::Summary;
use crate::variant::{named, variants};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// uPlot 1.6.32 by Leon Sorokin, MIT: <https://github.com/leeoniya/uPlot>.
const PLOT_SCRIPT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const PLOT_STYLE: &str = include_str!("../../assets/uplot/uPlot.min.css");

/// Nothing may be asked of anybody: the page holds all that it needs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A line through quantiles and their milliseconds, behind its name and colour.
type Curve<'a> = (&'a str, &'a str, &'a [(f64, f64)]);

/// Everything that the page is made of.
struct Material<'r> {
    title: String,
    limitations: &'r [String],
    answers: Vec<Answer>,
    runs: &'r [Run],
    summary: &'r Summary,
    names: Vec<String>,
    comparison: Vec<ComparisonRow>,
    capacity: Vec<CapacityRow>,
    capacity_colours: Vec<String>,
    machines: &'r Machines,
    colours: Vec<String>,
}

impl Material<'_> {
    /// What counts as no difference: one for the whole page.
    fn same_within(&self) -> f64 {
        self.comparison.first().map_or(SAME_WITHIN, |row| row.same_within)
    }

    /// The rows of `summary.csv` with their names and colours.
    fn cells(&self) -> impl Iterator<Item = (&SummaryRow, &str, &str)> {
        let looks = self.names.iter().zip(&self.colours);
        self.summary.cells.iter().zip(looks).map(|(row, (name, colour))| (row, name.as_str(), colour.as_str()))
    }

    /// The latency by percentile of every cell of `scenario` that has one; flat out a latency is only what the length of the queue makes it.
    fn curves<'a>(&'a self, scenario: &'a str) -> impl Iterator<Item = Curve<'a>> {
        let is_here = move |(row, ..): &(&SummaryRow, &str, &str)| {
            row.scenario == scenario && row.runs > 0 && row.mode != LoadMode::Saturation
        };
        let cells = self.cells().zip(&self.summary.curves).filter(move |(cell, _)| is_here(cell));
        cells.map(|((_, name, colour), curve)| (name, colour, curve.as_slice()))
    }
}

/// Reads `dir`, with the folders of blocks, variants and runs flat out below it and a `capacity.json` in it or in its folder `capacity`, and
/// writes the page to `output`: answers, first of all to what is `asked`, and everything behind them. Returns what could not be used.
///
/// # Errors
/// [`crate::Error::Input`] when the folder cannot be read, [`crate::Error::NothingToAnalyze`] when it has no run, [`crate::Error::Reference`] when the reference is
/// not among them, [`crate::Error::Write`] when the page cannot be written.
pub fn report(dir: &Path, output: &Path, asked: &Asked, palette: &Palette) -> Result<Vec<Problem>> {
    let flat_out = dir.join("flat_out");
    let folders: Vec<PathBuf> =
        std::iter::once(dir.to_path_buf()).chain(flat_out.is_dir().then_some(flat_out)).collect();
    let results = Results::read(&folders, palette)?;
    results.report(dir, output, asked, palette)?;
    Ok(results.problems)
}

impl Results {
    /// Writes the page on these runs, which are those of `dir`, to `output`: see [`report()`].
    ///
    /// # Errors
    /// [`crate::Error::Reference`] when the reference is not among them, [`crate::Error::Write`] when the page cannot be written.
    pub fn report(&self, dir: &Path, output: &Path, asked: &Asked, palette: &Palette) -> Result<()> {
        let Results { runs, summary, machines, .. } = self;
        let (comparison, answers) = asked.of(summary, machines)?;
        let names = variants(&summary.cells)
            .into_iter()
            .zip(&summary.cells)
            .map(|(variant, row)| named(&row.backend, &variant))
            .collect();
        let capacity: Vec<CapacityRow> = [dir.join(CAPACITY_JSON), dir.join("capacity").join(CAPACITY_JSON)]
            .iter()
            .find_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
            .unwrap_or_default();
        let searched: Vec<&str> = capacity.iter().map(|row| row.backend.as_str()).collect();
        let capacity_colours = crate::charts::backend_colours(&searched, palette);
        let colours = crate::charts::page_colours(&summary.cells, palette);
        let folder =
            || dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned());
        let material = Material {
            title: asked.title.clone().unwrap_or_else(folder),
            limitations: &asked.limitations,
            answers,
            runs,
            summary,
            names,
            comparison,
            capacity,
            capacity_colours,
            machines,
            colours,
        };
        publish::publish(output, page(&material)?.into_string().as_bytes())?;
        Ok(())
    }
}

fn page(of: &Material) -> Result<Markup> {
    let sections: [(&str, &str, Markup); 11] = [
        ("answers", "Answers", answers::render(of)),
        ("capacity", "Capacity", sections::capacity(of)),
        ("latency", "Latency", sections::latency(of)),
        ("ratios", "Ratios to the reference", sections::ratios(of)),
        ("cost", "Cost of one job", sections::cost(of)),
        ("background", "What the load did to pgbench", sections::background(of)),
        ("validity", "Audit and validity", sections::validity(of)),
        ("machines", "The machines", sections::machines(of)),
        ("aa", "A against A", sections::aa(of)),
        ("attack", "How to attack this result", sections::attack(of)),
        ("settings", "Settings side by side", sections::settings(of)),
    ];
    let data = explorer::data(of)?;
    let first = of.runs.iter().map(|run| run.result.identity.started_at.as_str()).min().unwrap_or_default();
    let last = of.runs.iter().map(|run| run.result.identity.started_at.as_str()).max().unwrap_or_default();
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "qbench report: " (of.title) }
                style { (PreEscaped(STYLE)) (PreEscaped(PLOT_STYLE)) }
            }
            body {
                header {
                    h1 { "Job queues compared: " (of.title) }
                    p.faint {
                        (of.runs.len()) " runs, " (first.get(..16).unwrap_or(first)) " to " (last.get(..16).unwrap_or(last)) " UTC · hosts: "
                        (distinct(of.summary.cells.iter().map(|row| row.host.as_str()))) " · qbench "
                        (distinct(of.summary.cells.iter().map(|row| row.git_revision.as_str())))
                    }
                    nav aria-label="Sections" {
                        ul { @for (id, title, _) in &sections { li { a href={ "#" (id) } { (title) } } } }
                    }
                }
                main {
                    @for (id, title, body) in &sections { section id=(id) { h2 { (title) } (body) } }
                    section id="explorer" hidden {
                        h2 { "Explore" }
                        p.note { "Drag over a chart to zoom, double-click to go back, click a name to hide its line." }
                        div id="percentiles" hidden {
                            label for="scenario" { "Percentiles of all jobs in scenario " } select id="scenario" {}
                            div id="chart-percentiles" {}
                        }
                        div id="seconds" hidden {
                            label for="run" { "Second by second: run " } select id="run" {}
                            div id="chart-latency" {} div id="chart-jobs" {} div id="chart-backlog" {}
                        }
                    }
                }
                footer {
                    p.faint {
                        "Every figure comes from files of the folder that this page is about: summary.csv, runs.csv and comparison.csv, which qbench "
                        "analyze makes of it; the verdict and the latency log of each run; capacity.json and the calibrations, where these are."
                    }
                }
                script type="application/json" id="data" { (PreEscaped(data)) }
                script { (PreEscaped(PLOT_SCRIPT)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    })
}

/// Each word once, in order.
fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .filter(|word| !word.is_empty())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}

/// `D2, at least once, push`.
fn class(row: &SummaryRow) -> String {
    crate::class::Class::of(row).label()
}

/// The word of a verdict, as a class of the style sheet too.
fn verdict_word(row: &ComparisonRow) -> String {
    word(row.verdict)
}
