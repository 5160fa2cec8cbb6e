//! The six pictures, one file each, over a shared look.

mod canvas;
mod cpu_usage;
mod frame;
mod latency_comparison;
mod latency_distribution;
mod model;
mod scale;
mod scenario_comparison;
mod theme;
mod throughput_comparison;
mod valkey_vs_best_pg;

use qbench_schema::summary::{DistributionRow, SummaryRow};

use crate::error::{Error, Result};
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
/// say so.
///
/// # Errors
/// [`Error::Draw`] when a picture cannot be drawn.
pub fn draw_all(
    cells: &[SummaryRow],
    distribution: Option<&[DistributionRow]>,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let model = Model::new(cells, distribution);
    CHARTS
        .into_iter()
        .map(|(chart, draw)| {
            let png = canvas::paint(theme::SIZE, |canvas| draw(canvas, &model))
                .map_err(|failure| Error::Draw { chart, reason: failure.0 })?;
            Ok((chart, png))
        })
        .collect()
}
