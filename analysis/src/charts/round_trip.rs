//! Latency against the round trip between clients and server: how many round trips a job waits for.

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::model::State;
use super::scale::Scale;
use super::theme::{self, Align, Paint};
use crate::class::durability_label;
use crate::palette::Palette;
use crate::round_trip::{FIGURES, Figure, Queue, Sweep};
use crate::tables::round_trip::in_words;
use crate::tables::runs_label;

/// Height for the heading of a panel.
const HEADING: f64 = 90.0;
/// Size of the point of a cell, and of a run.
const POINT: f64 = 18.0;
const RUN_POINT: f64 = 7.0;

struct Drawable<'a> {
    queue: &'a Queue<'a>,
    paint: Paint,
}

pub(super) fn draw(canvas: &Canvas, sweep: &Sweep, palette: &Palette) -> Drawn {
    let backends: Vec<&str> = sweep.queues.iter().map(|queue| queue.backend).collect();
    let paints = theme::paints(palette, &backends);
    let queues: Vec<Drawable> =
        sweep.queues.iter().zip(paints).map(|(queue, paint)| Drawable { queue, paint }).collect();
    let points = || sweep.queues.iter().flat_map(|queue| &queue.points);
    let classes = frame::distinct(points().map(|point| durability_label(point.row.durability)));
    let area = frame::surround(
        canvas,
        "What a millisecond between clients and server costs",
        &format!(
            "scenario {} · {} · {} · large: medians, small: runs, lines: least squares · large and hollow: not valid",
            sweep.scenario,
            runs_label(points().map(|point| point.row)),
            classes.join(", ")
        ),
        &queues.iter().map(legend).collect::<Vec<_>>(),
        &notes(&queues),
    )?;
    for (figure, panel) in FIGURES.iter().zip(area.columns(FIGURES.len(), 110.0)) {
        draw_panel(canvas, &queues, figure, panel)?;
    }
    Ok(())
}

fn draw_panel(canvas: &Canvas, queues: &[Drawable], figure: &Figure, panel: Rect) -> Drawn {
    let plot = panel.inset(frame::AXIS_Y_WIDTH, HEADING, 20.0, frame::AXIS_X_HEIGHT);
    canvas.text(
        plot.centre_x(),
        panel.y0 + 35.0,
        &format!("Latency {}", figure.title),
        theme::PANEL.align(Align::Centre),
    )?;
    let points = || queues.iter().flat_map(|of| &of.queue.points).filter(|point| point.row.runs > 0);
    // An axis without a figure on it would only pretend.
    if points().next().is_none() {
        return frame::missing_row(canvas, plot, "no data");
    }
    let runs = || points().flat_map(|point| point.runs(figure));
    let x = Scale::linear(points().map(|point| point.round_trip_ms()).chain(runs().map(|(at, _)| at)));
    let y = Scale::linear(points().map(|point| (figure.of_cell)(point.row)).chain(runs().map(|(_, latency)| latency)));
    frame::axis_y(canvas, plot, &y, "ms, end to end")?;
    frame::grid_x(canvas, plot, &x)?;
    frame::axis_x(canvas, plot, &x, "round trip, ms")?;
    for of in queues {
        let colour = of.paint.colour;
        if let Some(slope) = of.queue.slope(figure) {
            let ends = of.queue.points.iter().map(|point| point.round_trip_ms());
            let last = ends.fold(0.0, f64::max);
            let at = |round_trip_ms: f64| {
                (
                    x.x(plot, round_trip_ms),
                    y.y(plot, slope.at_zero + slope.slope * round_trip_ms).clamp(plot.y0, plot.y1),
                )
            };
            canvas.line(&[at(0.0), at(last)], colour, 6)?;
        }
        for point in of.queue.points.iter().filter(|point| point.row.runs > 0) {
            if point.row.runs > 1 {
                for (round_trip_ms, latency_ms) in point.runs(figure) {
                    let at = (x.x(plot, round_trip_ms), y.y(plot, latency_ms));
                    canvas.marker(theme::Marker::Circle, at, RUN_POINT, colour, false)?;
                }
            }
            let at = (x.x(plot, point.round_trip_ms()), y.y(plot, (figure.of_cell)(point.row)));
            canvas.marker(of.paint.marker, at, POINT, colour, point.row.valid)?;
        }
    }
    Ok(())
}

/// A queue, and how many milliseconds of its median each of the way costs.
fn legend(of: &Drawable) -> Entry {
    let text = match of.queue.slope(&FIGURES[0]) {
        Some(slope) => format!("{}: {} ms of p50 per ms", of.queue.name, in_words(&slope)),
        None => format!("{}: no line", of.queue.name),
    };
    Entry::new(&text, of.paint.colour, Patch::Marker(of.paint.marker))
}

fn notes(queues: &[Drawable]) -> Vec<String> {
    let of = |of: &Drawable| -> Vec<String> {
        let note = |point: &crate::round_trip::Point| {
            frame::note(&format!("{}, +{} ms", of.queue.name, point.delay_ms), State::of(point.row), true)
        };
        of.queue.points.iter().filter_map(note).collect()
    };
    queues.iter().flat_map(of).collect()
}
