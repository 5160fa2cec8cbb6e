//! p50, p95 and p99 of the end-to-end latency: a grid of horizontal bars, percentiles across, scenarios down.

use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame;
use super::model::Model;
use super::scale::Scale;
use super::theme::{self, Align};

/// A column: its name and its figure in milliseconds.
type Percentile = (&'static str, fn(&SummaryRow) -> f64);

const PERCENTILES: [Percentile; 3] =
    [("p50", |row| row.latency_p50_ms), ("p95", |row| row.latency_p95_ms), ("p99", |row| row.latency_p99_ms)];

/// Width for the name of a scenario, which reads upwards.
const SCENARIO_WIDTH: f64 = 80.0;
/// Room on the right of the longest bar for its figure.
const FIGURE_WIDTH: f64 = 190.0;
/// Thickest bar.
const BAR_MAX: f64 = 90.0;

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let area = frame::surround(
        canvas,
        "End-to-end latency by scenario",
        &format!("intended arrival to ack · {}", frame::conditions(model.rows())),
        &frame::marks(model),
        &frame::notes(model, true),
    )?;
    let names_width = frame::names_width(canvas, model)?;
    let grid = area.inset(SCENARIO_WIDTH + names_width, 80.0, 0.0, frame::AXIS_X_HEIGHT);
    let rows = grid.rows(model.scenarios.len(), 50.0);

    for (column, ((percentile, value), cell)) in PERCENTILES.iter().zip(grid.columns(3, 50.0)).enumerate() {
        let figures = model.rows().iter().filter(|row| row.runs > 0).map(value);
        let scale = Scale::automatic(figures);
        canvas.text(cell.x0, grid.y0 - 45.0, percentile, theme::PANEL)?;
        for (scenario, row) in model.scenarios.iter().zip(&rows) {
            let plot = Rect { y0: row.y0, y1: row.y1, ..cell }.inset(0.0, 0.0, FIGURE_WIDTH, 0.0);
            frame::grid_x(canvas, plot, &scale)?;
            let slots = plot.inset(0.0, 8.0, 0.0, 8.0).rows(model.series.len(), 8.0);
            if column == 0 {
                frame::names(canvas, model, &slots, plot.x0, names_width)?;
                let look = theme::PANEL.align(Align::Centre);
                canvas.text_upwards(area.x0 + SCENARIO_WIDTH / 2.0 - 10.0, row.centre_y(), scenario, look)?;
            }
            for (series, slot) in model.series.iter().zip(slots) {
                let state = model.state(series, scenario);
                let Some(figures) = state.row() else {
                    frame::missing_row(canvas, Rect { x1: cell.x1, ..slot }, state.missing_text())?;
                    continue;
                };
                let bar = slot.at_most_high(BAR_MAX);
                frame::figure_bar(canvas, plot, &scale, bar, value(figures), series.colour, state)?;
            }
        }
        let bottom = Rect { x1: cell.x1 - FIGURE_WIDTH, ..cell };
        frame::axis_x(canvas, bottom, &scale, &scale.title(&format!("{percentile}, ms")))?;
    }
    Ok(())
}
