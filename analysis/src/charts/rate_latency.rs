//! The rate-latency curve: what happens to the latency of each queue as its rate rises, up to the limit and beyond.

use qbench_schema::capacity::{CapacityRow, Probe};

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::scale::Scale;
use super::theme::{self, Align, Paint};
use crate::curve::knots;
use crate::palette::Palette;
use crate::tables::number;

/// A panel: its heading, the percentile as limits name it, and its figure.
type Panel = (&'static str, &'static str, fn(&Probe) -> f64);

const PANELS: [Panel; 3] = [
    ("Latency p50", "p50", |probe| probe.p50_ms),
    ("Latency p99", "p99", |probe| probe.p99_ms),
    ("Latency p99.9", "p999", |probe| probe.p999_ms),
];

/// Height for the heading of a panel.
const HEADING: f64 = 90.0;
/// Size of points.
const POINT: f64 = 15.0;

struct Curve<'a> {
    row: &'a CapacityRow,
    paint: Paint,
}

pub(super) fn draw(canvas: &Canvas, rows: &[CapacityRow], palette: &Palette) -> Drawn {
    let backends: Vec<&str> = rows.iter().map(|row| row.backend.as_str()).collect();
    let paints = theme::paints(palette, &backends);
    let curves: Vec<Curve> = rows.iter().zip(paints).map(|(row, paint)| Curve { row, paint }).collect();
    let list = |of: fn(&CapacityRow) -> String| frame::distinct(rows.iter().map(of)).join(", ");
    let subtitle = format!(
        "scenario {} · limit {} · probes of {} s and more, a run each · {} · hollow: not valid",
        list(|row| row.scenario.clone()),
        list(|row| row.slo.clone()),
        list(|row| number(row.probe_s)),
        list(|row| qbench_schema::result::word(row.durability).to_uppercase()),
    );
    let mut legend: Vec<Entry> = curves
        .iter()
        .map(|curve| Entry::new(&bracket(curve.row), curve.paint.colour, Patch::Marker(curve.paint.marker)))
        .collect();
    legend.push(Entry::new("the limit", theme::WARN, Patch::Dashed));
    let notes: Vec<String> = rows.iter().filter_map(note).collect();
    let area = frame::surround(canvas, "Latency against the rate that was achieved", &subtitle, &legend, &notes)?;
    let probes = || rows.iter().flat_map(|row| &row.probes).filter(|probe| probe.achieved_jobs_s > 0.0);
    let latencies = probes().flat_map(|probe| PANELS.map(|(_, _, value)| value(probe)));
    // One axis for all three, so that a distance means the same everywhere.
    let y = Scale::logarithmic(latencies.chain(rows.iter().filter_map(|row| Some(row.limit()?.1))));
    // Queues differ by factors, and a knee looks alike at every rate.
    let x = Scale::logarithmic(probes().map(|probe| probe.achieved_jobs_s));
    for ((title, percentile, value), panel) in PANELS.into_iter().zip(area.columns(3, 50.0)) {
        let plot = panel.inset(frame::AXIS_Y_WIDTH, HEADING, 20.0, frame::AXIS_X_HEIGHT);
        canvas.text(plot.centre_x(), panel.y0 + 35.0, title, theme::PANEL.align(Align::Centre))?;
        if probes().next().is_none() {
            frame::missing_row(canvas, plot, "no data")?;
            continue;
        }
        frame::axis_y(canvas, plot, &y, &y.title("ms"))?;
        frame::grid_x(canvas, plot, &x)?;
        frame::axis_x(canvas, plot, &x, &x.title("jobs completed per second"))?;
        let limits =
            rows.iter().filter_map(CapacityRow::limit).filter(|(name, _)| *name == percentile).map(|(_, limit)| limit);
        for limit in frame::distinct(limits.map(f64::to_bits)).into_iter().map(f64::from_bits) {
            canvas.dashed((plot.x0, y.y(plot, limit)), (plot.x1, y.y(plot, limit)), theme::WARN, 5)?;
        }
        for curve in &curves {
            draw_curve(canvas, curve, plot, (&x, &y), value)?;
        }
    }
    Ok(())
}

/// A line through the knots of the curve, and a point for each probe.
fn draw_curve(canvas: &Canvas, curve: &Curve, plot: Rect, (x, y): (&Scale, &Scale), value: fn(&Probe) -> f64) -> Drawn {
    let at = |(rate_jobs_s, latency_ms): (f64, f64)| (x.x(plot, rate_jobs_s), y.y(plot, latency_ms));
    let line: Vec<(f64, f64)> = knots(curve.row, value).into_iter().map(at).collect();
    canvas.line(&line, curve.paint.colour, 6)?;
    for probe in curve.row.probes.iter().filter(|probe| probe.achieved_jobs_s > 0.0) {
        let point = at((probe.achieved_jobs_s, value(probe)));
        canvas.marker(curve.paint.marker, point, POINT, curve.paint.colour, probe.valid)?;
    }
    Ok(())
}

fn bracket(row: &CapacityRow) -> String {
    match (row.passed_jobs_s, row.failed_jobs_s) {
        (Some(passed), Some(failed)) => format!("{}: {} to {} jobs/s", row.backend, number(passed), number(failed)),
        (Some(passed), None) => format!("{}: {} jobs/s or more", row.backend, number(passed)),
        (None, Some(failed)) => format!("{}: less than {} jobs/s", row.backend, number(failed)),
        (None, None) => row.backend.clone(),
    }
}

/// Where a curve ends, and whether that is the queue.
fn note(row: &CapacityRow) -> Option<String> {
    let because = row.failed_because.as_ref()?;
    let unfinished = if row.unfinished.is_empty() { String::new() } else { format!("; {}", row.unfinished) };
    Some(format!("{} at {} jobs/s: {because}{unfinished}", row.backend, number(row.failed_jobs_s?)))
}
