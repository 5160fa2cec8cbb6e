//! The six pictures, and those of what a matrix varied, one file each, over a shared look.

mod canvas;
mod cpu_usage;
mod frame;
mod ladder;
mod latency_comparison;
mod latency_distribution;
mod model;
mod scale;
mod scaling;
mod scenario_comparison;
mod theme;
mod throughput_comparison;
mod valkey_vs_best_pg;

use qbench_schema::summary::{DistributionRow, SummaryRow};

use crate::error::{Error, Result};
use crate::palette::Palette;
use crate::sweep::{ladders, scalings};
use canvas::{Canvas, Drawn};
use model::Model;

/// A chart: draws itself from the model.
type Draw = fn(&Canvas, &Model) -> Drawn;

const CHARTS: [(&str, Draw); 6] = [
    ("throughput_comparison", throughput_comparison::draw),
    ("latency_comparison", latency_comparison::draw),
    ("latency_distribution", latency_distribution::draw),
    ("cpu_usage", cpu_usage::draw),
    ("scenario_comparison", scenario_comparison::draw),
    ("valkey_vs_best_pg", valkey_vs_best_pg::draw),
];

/// Names of the pictures, without `.png`, in the order in which they are drawn.
pub const NAMES: [&str; 6] = [CHARTS[0].0, CHARTS[1].0, CHARTS[2].0, CHARTS[3].0, CHARTS[4].0, CHARTS[5].0];

/// Draws every picture; returns name and PNG of each. Without `distribution` the box plots show what the rows hold, and
/// say so. After those of [`NAMES`] comes a picture for each climb and for each scenario in which the number of workers was
/// varied flat out: `ladder` and `scaling`, with more words where there are several.
///
/// # Errors
/// [`Error::Draw`] when a picture cannot be drawn.
pub fn draw_all(
    cells: &[SummaryRow],
    distribution: Option<&[DistributionRow]>,
    palette: &Palette,
) -> Result<Vec<(String, Vec<u8>)>> {
    let model = Model::new(cells, distribution, palette);
    let paint = |chart: &'static str, name: String, draw: &dyn Fn(&Canvas) -> Drawn| -> Result<(String, Vec<u8>)> {
        let png = canvas::paint(theme::SIZE, draw).map_err(|failure| Error::Draw { chart, reason: failure.0 })?;
        Ok((name, png))
    };
    let mut pictures = Vec::new();
    for (chart, draw) in CHARTS {
        pictures.push(paint(chart, chart.to_owned(), &|canvas| draw(canvas, &model))?);
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
    Ok(pictures)
}
