//! How each backend moves over the scenarios: a line per backend in panels of throughput, p50 and p99.

use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn};
use super::frame::{self, Patch};
use super::model::{Model, State};
use super::scale::Scale;
use super::theme::{self, Align};

/// A panel: heading, unit, figure, whether it is a latency.
type Panel = (&'static str, &'static str, fn(&SummaryRow) -> f64, bool);

const PANELS: [Panel; 3] = [
    ("Throughput", "jobs completed per second", |row| row.throughput_jobs_s, false),
    ("Latency p50", "ms", |row| row.latency_p50_ms, true),
    ("Latency p99", "ms", |row| row.latency_p99_ms, true),
];

/// Largest distance between points of neighbouring backends in one scenario, which keeps equal values apart.
const DODGE_MAX: f64 = 44.0;
/// Size of points.
const POINT: f64 = 18.0;

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let area = frame::surround(
        canvas,
        "Backends over scenarios",
        &format!("hollow: not valid or overload · {}", frame::conditions(model.rows())),
        &frame::legend(model, |series| Patch::Marker(series.marker))
            .into_iter()
            .filter(|entry| !matches!(entry.patch, Patch::Hatched | Patch::Pale))
            .collect::<Vec<_>>(),
        &frame::notes(model, true),
    )?;
    for ((title, unit, value, is_latency), panel) in PANELS.into_iter().zip(area.columns(3, 50.0)) {
        let plot = panel.inset(frame::AXIS_Y_WIDTH, 90.0, 0.0, 80.0);
        canvas.text(plot.centre_x(), panel.y0 + 35.0, title, theme::PANEL.align(Align::Centre))?;
        if model.rows().iter().all(|row| row.runs == 0) {
            canvas.fill(plot, theme::EMPTY)?;
            canvas.text(plot.centre_x(), plot.centre_y(), "no data", theme::LABEL.align(Align::Centre))?;
            continue;
        }
        let figures = model.rows().iter().filter(|row| row.runs > 0).map(value);
        let scale = if is_latency { Scale::automatic(figures) } else { Scale::linear(figures.map(|rate| rate * 1.05)) };
        frame::axis_y(canvas, plot, &scale, &scale.title(unit))?;

        let slots = plot.columns(model.scenarios.len(), 0.0);
        for (scenario, slot) in model.scenarios.iter().zip(&slots) {
            canvas.text(slot.centre_x(), plot.y1 + 46.0, scenario, theme::LABEL.align(Align::Centre))?;
        }
        let count = model.series.len() as f64;
        let dodge = (slots[0].width() * 0.7 / count).min(DODGE_MAX);
        let mut markers = Vec::new();
        for (index, series) in model.series.iter().enumerate() {
            let shift = (index as f64 - (count - 1.0) / 2.0) * dodge;
            let points: Vec<Option<((f64, f64), State)>> = model
                .scenarios
                .iter()
                .zip(&slots)
                .map(|(scenario, slot)| {
                    let state = model.state(series, scenario);
                    let y = scale.y(plot, value(state.row()?));
                    Some(((slot.centre_x() + shift, y), state))
                })
                .collect();
            // A missing scenario breaks the line: what lies between its neighbours is not known.
            for pair in points.windows(2) {
                if let [Some((from, _)), Some((to, _))] = pair {
                    canvas.line(&[*from, *to], series.colour, 7)?;
                }
            }
            markers.extend(points.into_iter().flatten().map(|(point, state)| (series, point, state)));
        }
        // Above all lines, so that no line hides the point of another backend.
        for (series, point, state) in markers {
            canvas.marker(series.marker, point, POINT, series.colour, matches!(state, State::Good(_)))?;
        }
    }
    Ok(())
}
