//! p50, p95 and p99 of the end-to-end latency: a grid of horizontal bars, percentiles across, scenarios down.

use qbench_schema::summary::{RunRow, SummaryRow};

use super::canvas::{Canvas, Drawn, Rect};
use super::frame;
use super::model::Model;
use super::scale::Scale;
use super::theme::{self, Align};

/// A column: its name, its figure in milliseconds of a cell and of a run, and the interval of the former.
type Percentile =
    (&'static str, fn(&SummaryRow) -> f64, fn(&RunRow) -> f64, fn(&SummaryRow) -> (Option<f64>, Option<f64>));

const PERCENTILES: [Percentile; 3] = [
    (
        "p50",
        |row| row.latency_p50_ms,
        |run| run.latency_p50_ms,
        |row| (row.latency_p50_ms_low, row.latency_p50_ms_high),
    ),
    (
        "p95",
        |row| row.latency_p95_ms,
        |run| run.latency_p95_ms,
        |row| (row.latency_p95_ms_low, row.latency_p95_ms_high),
    ),
    (
        "p99",
        |row| row.latency_p99_ms,
        |run| run.latency_p99_ms,
        |row| (row.latency_p99_ms_low, row.latency_p99_ms_high),
    ),
];

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
        &format!("intended arrival to ack · {}{}", frame::conditions(model.rows()), frame::spread_words(model.rows())),
        &frame::marks(model),
        &frame::notes(model, true),
    )?;
    let names_width = frame::names_width(canvas, model)?;
    let grid = area.inset(SCENARIO_WIDTH + names_width, 80.0, 0.0, frame::AXIS_X_HEIGHT);
    let rows = grid.rows(model.scenarios.len(), 50.0);

    for (column, ((percentile, value, of_run, interval), cell)) in
        PERCENTILES.iter().zip(grid.columns(3, 50.0)).enumerate()
    {
        let reach = |row: &SummaryRow| model.spread(row, *of_run, *interval).reach(value(row));
        let figures = model.rows().iter().filter(|row| row.runs > 0).flat_map(|row| [value(row), reach(row)]);
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
                let spread = model.spread(figures, *of_run, *interval);
                frame::figure_bar(canvas, plot, &scale, bar, (value(figures), &spread), series.colour, state)?;
            }
        }
        let bottom = Rect { x1: cell.x1 - FIGURE_WIDTH, ..cell };
        frame::axis_x(canvas, bottom, &scale, &scale.title(&format!("{percentile}, ms")))?;
    }
    Ok(())
}
