//! More and more workers, flat out: jobs per second, and how much of a linear growth is left.

use plotters::prelude::RGBColor;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::model::State;
use super::scale::Scale;
use super::theme::{self, Align, Paint};
use crate::class::durability_label;
use crate::palette::Palette;
use crate::sweep::{Curve, Point, Scaling};
use crate::tables::{number, runs_label};

/// Least distance between two figures at one number of workers.
const FIGURE_HEIGHT: f64 = 50.0;
/// Distance of a figure from its point.
const FIGURE_RISE: f64 = 42.0;
/// Share of a panel's width that stays empty beside the outermost points, for their figures.
const SIDE: f64 = 0.09;
/// Height for the heading of a panel.
const HEADING: f64 = 90.0;

/// A curve with the look that it has in both panels.
struct Drawable<'a> {
    curve: &'a Curve<'a>,
    paint: Paint,
}

/// A panel: what stands above it, beside it, and its figure.
struct Panel {
    title: &'static str,
    unit: fn(&[Drawable]) -> String,
    /// Whether the figure is a share of that of [`Curve::base`].
    is_share: bool,
    value: fn(&Curve, &Point) -> Option<f64>,
}

const PANELS: [Panel; 2] = [
    Panel {
        title: "Throughput",
        unit: |_| "jobs completed per second".to_owned(),
        is_share: false,
        value: |_, point| Some(point.row.throughput_jobs_s).filter(|_| point.row.runs > 0),
    },
    Panel {
        title: "Scaling efficiency",
        unit: share_unit,
        is_share: true,
        value: |curve, point| curve.efficiency_pct(point),
    },
];

pub(super) fn draw(canvas: &Canvas, scaling: &Scaling, palette: &Palette) -> Drawn {
    let backends: Vec<&str> = scaling.series.iter().map(|curve| curve.backend).collect();
    let paints = theme::paints(palette, &backends);
    let curves: Vec<Drawable> =
        scaling.series.iter().zip(paints).map(|(curve, paint)| Drawable { curve, paint }).collect();
    let points = || scaling.series.iter().flat_map(|curve| &curve.points);
    let classes = frame::distinct(points().map(|point| durability_label(point.row.durability)));
    let area = frame::surround(
        canvas,
        "Throughput against the number of workers",
        &format!(
            "scenario {} · flat out, no schedule · {} · {}",
            scaling.scenario,
            runs_label(points().map(|point| point.row)),
            classes.join(", ")
        ),
        &legend(&curves),
        &notes(&curves),
    )?;
    let counts = frame::distinct(points().map(|point| point.workers));
    for (panel, rect) in PANELS.iter().zip(area.columns(2, 110.0)) {
        draw_panel(canvas, &curves, &counts, panel, rect)?;
    }
    Ok(())
}

fn draw_panel(canvas: &Canvas, curves: &[Drawable], counts: &[u32], panel: &Panel, rect: Rect) -> Drawn {
    let plot = rect.inset(frame::AXIS_Y_WIDTH, HEADING, 0.0, frame::AXIS_X_HEIGHT);
    canvas.text(rect.x0, rect.y0 + HEADING / 2.0 - 10.0, panel.title, theme::PANEL)?;
    let figures: Vec<f64> = curves
        .iter()
        .flat_map(|of| of.curve.points.iter().filter_map(|point| (panel.value)(of.curve, point)))
        .collect();
    // An axis without a figure on it would only pretend.
    if figures.is_empty() {
        return frame::missing_row(canvas, plot, "no data (no valid figure)");
    }
    // Room above the highest point for its figure.
    let scale = Scale::linear(figures.iter().map(|figure| figure * 1.1));
    frame::axis_y(canvas, plot, &scale, &(panel.unit)(curves))?;
    let (fewest, most) = (f64::from(counts[0]), f64::from(counts[counts.len() - 1]));
    // Twice as many workers are always the same step.
    let x = |workers: f64| {
        let share = (workers / fewest).ln() / (most / fewest).ln().max(f64::MIN_POSITIVE);
        plot.x0 + plot.width() * (SIDE + (1.0 - 2.0 * SIDE) * share)
    };
    let y = |value: f64| scale.y(plot, value);
    for count in counts {
        canvas.text(x(f64::from(*count)), plot.y1 + 32.0, &count.to_string(), theme::SMALL.align(Align::Centre))?;
    }
    canvas.text(plot.centre_x(), plot.y1 + 84.0, "workers, log scale", theme::SMALL.align(Align::Centre))?;

    let mut markers = Vec::new();
    for of in curves {
        let placed: Vec<(&Point, f64)> =
            of.curve.points.iter().filter_map(|point| Some((point, (panel.value)(of.curve, point)?))).collect();
        if let Some(base) = of.curve.base() {
            let linear = |workers: f64| match panel.is_share {
                true => 100.0,
                false => base.row.throughput_jobs_s * workers / f64::from(base.workers),
            };
            draw_linear(canvas, (f64::from(base.workers), most), &linear, &x, (plot.y0, &y))?;
        }
        let line: Vec<(f64, f64)> =
            placed.iter().map(|(point, value)| (x(f64::from(point.workers)), y(*value))).collect();
        canvas.line(&line, of.paint.colour, 7)?;
        markers.extend(placed.iter().zip(line).map(|((point, _), at)| (of, *point, at)));
    }
    for count in counts {
        draw_figures(canvas, curves, *count, panel, x(f64::from(*count)), &y)?;
    }
    // Last of all, so that no figure cuts into a point.
    for (of, point, at) in markers {
        canvas.marker(of.paint.marker, at, 20.0, of.paint.colour, point.row.valid)?;
    }
    Ok(())
}

/// What a linear growth from [`Curve::base`] would be, as far as it fits into the panel.
fn draw_linear(
    canvas: &Canvas,
    (first, most): (f64, f64),
    linear: &dyn Fn(f64) -> f64,
    x: &dyn Fn(f64) -> f64,
    (top, y): (f64, &dyn Fn(f64) -> f64),
) -> Drawn {
    // Many, because a steep line soon leaves the panel.
    const STEPS: u32 = 60;
    let at = |step: u32| first * (most / first).powf(f64::from(step) / f64::from(STEPS));
    let points: Vec<(f64, f64)> = (0..=STEPS).map(|step| (x(at(step)), y(linear(at(step))))).collect();
    for pair in points.chunks_exact(2).filter(|pair| pair[1].1 > top + 1.0) {
        canvas.line(pair, theme::FAINT, 4)?;
    }
    Ok(())
}

/// The figures at one number of workers: above their points, or below where another figure is in the way.
fn draw_figures(
    canvas: &Canvas,
    curves: &[Drawable],
    count: u32,
    panel: &Panel,
    x: f64,
    y: &dyn Fn(f64) -> f64,
) -> Drawn {
    let mut figures: Vec<(f64, String, RGBColor)> = Vec::new();
    for of in curves {
        for point in of.curve.points.iter().filter(|point| point.workers == count) {
            let Some(value) = (panel.value)(of.curve, point) else { continue };
            // The axis says where 100 % is.
            if panel.is_share && of.curve.base().is_some_and(|base| base.workers == count) {
                continue;
            }
            let mark = if point.row.valid { "" } else { " ✕" };
            figures.push((y(value), format!("{}{mark}", number(value)), of.paint.colour));
        }
    }
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = f64::NEG_INFINITY;
    for (point_y, text, colour) in figures {
        let above = point_y - FIGURE_RISE;
        let place = if above >= free_from { above } else { free_from.max(point_y + FIGURE_RISE) };
        let look = theme::LABEL.colour(if curves.len() == 1 { theme::INK } else { colour }).align(Align::Centre);
        let half = canvas.text_width(&text, look)? / 2.0 + 6.0;
        // A line that passes behind a figure would strike it through.
        let behind = Rect::new(x - half, place - FIGURE_HEIGHT / 2.0, x + half, place + FIGURE_HEIGHT / 2.0);
        canvas.fill(behind, theme::PAPER)?;
        canvas.text(x, place, &text, look)?;
        free_from = place + FIGURE_HEIGHT;
    }
    Ok(())
}

fn legend(curves: &[Drawable]) -> Vec<Entry> {
    let entry = |of: &Drawable| Entry::new(&of.curve.name, of.paint.colour, Patch::Marker(of.paint.marker));
    let linear = Entry::new("linear", theme::FAINT, Patch::Dashed);
    curves.iter().map(entry).chain([linear]).collect()
}

/// Numbers of workers that curves are held against, each once.
fn bases(curves: &[Drawable]) -> Vec<u32> {
    frame::distinct(curves.iter().filter_map(|of| of.curve.base()).map(|base| base.workers))
}

fn share_unit(curves: &[Drawable]) -> String {
    match bases(curves)[..] {
        [workers] => format!("100 %: as much per worker as with {workers} workers"),
        _ => "100 %: as much per worker as with the fewest valid".to_owned(),
    }
}

/// What 100 % is where it is not the same for all, deadlocks, and why points are not valid.
fn notes(curves: &[Drawable]) -> Vec<String> {
    let mut notes = Vec::new();
    if bases(curves).len() > 1 {
        let of = |of: &Drawable| Some(format!("{} with {} workers", of.curve.name, of.curve.base()?.workers));
        notes.push(format!("100 % is {}", curves.iter().filter_map(of).collect::<Vec<_>>().join(", ")));
    }
    notes.extend(curves.iter().map(|of| deadlocks(of.curve)));
    for of in curves {
        for point in &of.curve.points {
            let state = State::of(point.row);
            if !matches!(state, State::Overload(_)) {
                notes.extend(frame::note(&format!("{}, {} workers", of.curve.name, point.workers), state, false));
            }
        }
    }
    notes
}

fn deadlocks(curve: &Curve) -> String {
    let known: Vec<(u32, u64)> =
        curve.points.iter().filter_map(|point| Some((point.workers, point.row.deadlocks?))).collect();
    let counts: Vec<String> = known
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(workers, count)| format!("{count} at {workers} workers"))
        .collect();
    let text = match (known.is_empty(), counts.is_empty()) {
        (true, _) => "not counted by this engine".to_owned(),
        (false, true) => "none".to_owned(),
        (false, false) => counts.join(", "),
    };
    format!("Deadlocks of {}: {text}", curve.name)
}
