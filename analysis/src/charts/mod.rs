//! The six pictures, and those of what a matrix varied, one file each, over a shared look.

mod canvas;
mod comparison;
mod cpu_usage;
mod frame;
mod ladder;
mod latency_comparison;
mod latency_distribution;
mod model;
mod rate_latency;
mod round_trip;
mod scale;
mod scaling;
mod scenario_comparison;
mod theme;
mod throughput_comparison;
mod timeline;
mod valkey_vs_best_pg;

use qbench_schema::capacity::CapacityRow;
use qbench_schema::comparison::ComparisonRow;
use qbench_schema::result::LoadMode;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

use crate::error::{Error, Result};
use crate::palette::Palette;
use crate::round_trip::{runs_of, sweeps};
use crate::sweep::{ladders, scalings};
use crate::timeline::Timeline;
use canvas::{Canvas, Drawn};
use model::Model;

/// A chart: draws itself from the model.
type Draw = fn(&Canvas, &Model) -> Drawn;

/// Each with its name, and whether it shows loads without a schedule: these have rates, and no latency.
const CHARTS: [(&str, Draw, bool); 6] = [
    ("throughput_comparison", throughput_comparison::draw, true),
    ("latency_comparison", latency_comparison::draw, false),
    ("latency_distribution", latency_distribution::draw, false),
    ("cpu_usage", cpu_usage::draw, false),
    ("scenario_comparison", scenario_comparison::draw, false),
    ("valkey_vs_best_pg", valkey_vs_best_pg::draw, true),
];

/// Names of the pictures, without `.png`, in the order in which they are drawn.
pub const NAMES: [&str; 6] = [CHARTS[0].0, CHARTS[1].0, CHARTS[2].0, CHARTS[3].0, CHARTS[4].0, CHARTS[5].0];

/// Colours of rows for a page, as a style sheet writes them: those of the charts.
pub(crate) fn page_colours(rows: &[SummaryRow], palette: &Palette) -> Vec<String> {
    // A queue keeps its colour over all scenarios; its variants have colours of their own.
    let names = crate::variant::variants(rows);
    let mut series: Vec<(&str, &str)> = Vec::new();
    for (row, name) in rows.iter().zip(&names) {
        if !series.contains(&(row.backend.as_str(), name.as_str())) {
            series.push((&row.backend, name));
        }
    }
    let backends: Vec<&str> = series.iter().map(|(backend, _)| *backend).collect();
    let paints = theme::paints(palette, &backends);
    let colour = |row: &SummaryRow, name: &str| {
        let place = series.iter().position(|known| *known == (row.backend.as_str(), name)).unwrap_or(0);
        hex(paints[place].colour)
    };
    rows.iter().zip(&names).map(|(row, name)| colour(row, name)).collect()
}

/// Colours of backends for a page.
pub(crate) fn backend_colours(backends: &[&str], palette: &Palette) -> Vec<String> {
    theme::paints(palette, backends).into_iter().map(|paint| hex(paint.colour)).collect()
}

fn hex(colour: plotters::prelude::RGBColor) -> String {
    format!("#{:02x}{:02x}{:02x}", colour.0, colour.1, colour.2)
}

/// Name and PNG of one picture.
fn paint(chart: &'static str, name: String, draw: &dyn Fn(&Canvas) -> Drawn) -> Result<(String, Vec<u8>)> {
    let png = canvas::paint(theme::SIZE, draw).map_err(|failure| Error::Draw { chart, reason: failure.0 })?;
    Ok((name, png))
}

/// Draws the rate-latency curve of `rows`; its name and PNG.
///
/// # Errors
/// [`Error::Draw`].
pub fn draw_rate_latency(rows: &[CapacityRow], palette: &Palette) -> Result<(String, Vec<u8>)> {
    paint("rate_latency", "rate_latency".to_owned(), &|canvas| rate_latency::draw(canvas, rows, palette))
}

/// Draws one run second by second; the PNG.
///
/// # Errors
/// [`Error::Draw`].
pub(crate) fn draw_timeline(of: &Timeline) -> Result<Vec<u8>> {
    paint("timeline", String::new(), &|canvas| timeline::draw(canvas, of)).map(|(_, png)| png)
}

/// Draws every picture; returns name and PNG of each. Without `distribution` the box plots show what the rows hold, and
/// say so. After those of [`NAMES`] come the ratios to the reference, where there are blocks enough for intervals, and a picture for each climb and for each scenario in which the number of workers was
/// varied flat out: `ladder` and `scaling`, and for each in which the delay was: `round_trip`; with more words where there are several.
///
/// # Errors
/// [`Error::Draw`] when a picture cannot be drawn.
pub fn draw_all(
    cells: &[SummaryRow],
    runs: &[RunRow],
    distribution: Option<&[DistributionRow]>,
    comparison: &[ComparisonRow],
    palette: &Palette,
) -> Result<Vec<(String, Vec<u8>)>> {
    let on_schedule: Vec<SummaryRow> = cells.iter().filter(|row| row.mode != LoadMode::Saturation).cloned().collect();
    let of_all = Model::new(cells, runs, distribution, palette);
    // Where nothing ran on a schedule there is nothing else to show.
    let of_schedule =
        Model::new(if on_schedule.is_empty() { cells } else { &on_schedule }, runs, distribution, palette);
    let mut pictures = Vec::new();
    for (chart, draw, shows_all) in CHARTS {
        let model = if shows_all { &of_all } else { &of_schedule };
        pictures.push(paint(chart, chart.to_owned(), &|canvas| draw(canvas, model))?);
    }
    if comparison::has_intervals(comparison) {
        pictures.push(paint("comparison", "comparison".to_owned(), &|canvas| comparison::draw(canvas, comparison))?);
    }
    let ladders = ladders(cells);
    for of in &ladders {
        let name = if ladders.len() == 1 { "ladder".to_owned() } else { format!("ladder_{}_{}", of.plan, of.scenario) };
        pictures.push(paint("ladder", name, &|canvas| ladder::draw(canvas, of, palette))?);
    }
    let scalings = scalings(cells);
    for of in &scalings {
        let name = if scalings.len() == 1 { "scaling".to_owned() } else { format!("scaling_{}", of.scenario) };
        pictures.push(paint("scaling", name, &|canvas| scaling::draw(canvas, of, palette))?);
    }
    let sweeps = sweeps(cells, &runs_of(cells, runs));
    for of in &sweeps {
        let name = if sweeps.len() == 1 { "round_trip".to_owned() } else { format!("round_trip_{}", of.scenario) };
        pictures.push(paint("round_trip", name, &|canvas| round_trip::draw(canvas, of, palette))?);
    }
    Ok(pictures)
}
