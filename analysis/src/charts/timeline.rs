//! One run second by second: latency, jobs, backlog and CPU, with what the server and the machine did meanwhile.

use plotters::prelude::RGBColor;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::scale::Scale;
use super::theme;
use crate::timeline::{Event, Timeline};

/// Height for the heading of a panel.
const HEADING: f64 = 60.0;

const P50: RGBColor = RGBColor(86, 180, 233);
const P99: RGBColor = RGBColor(0, 114, 178);
const MAX: RGBColor = RGBColor(160, 160, 160);
const HICCUP: RGBColor = RGBColor(213, 94, 0);
const INTENDED: RGBColor = RGBColor(160, 160, 160);
const COMPLETED: RGBColor = RGBColor(0, 158, 115);
const BACKLOG: RGBColor = RGBColor(204, 121, 167);
const CHECKPOINT: RGBColor = RGBColor(230, 159, 0);
const AUTOVACUUM: RGBColor = RGBColor(51, 34, 136);

/// A line: its colour and its points, seconds and values.
type Line = (RGBColor, Vec<(f64, f64)>);

struct Panel {
    title: &'static str,
    unit: &'static str,
    is_logarithmic: bool,
    lines: Vec<Line>,
}

pub(super) fn draw(canvas: &Canvas, timeline: &Timeline) -> Drawn {
    let seconds = &timeline.seconds;
    let of = |colour: RGBColor, value: &dyn Fn(&qbench_schema::result::TimelineRow) -> Option<f64>| -> Line {
        (colour, seconds.iter().filter_map(|second| Some((f64::from(second.at_s), value(second)?))).collect())
    };
    // A second in which nothing was intended has no latency.
    let latency = |value: f64| (value > 0.0).then_some(value);
    let cpu = |colour: RGBColor, value: fn(&crate::timeline::Cpu) -> Option<f64>| -> Line {
        (colour, timeline.cpu.iter().filter_map(|at| Some((at.at_s, value(at)?))).collect())
    };
    let panels = [
        Panel {
            title: "Latency of the jobs intended in each second, and hiccups",
            unit: "ms",
            is_logarithmic: true,
            lines: vec![
                of(MAX, &|second| latency(second.end_to_end_max_ms)),
                of(HICCUP, &|second| second.hiccup_host_max_ms.and_then(latency)),
                of(P50, &|second| latency(second.end_to_end_p50_ms)),
                of(P99, &|second| latency(second.end_to_end_p99_ms)),
            ],
        },
        Panel {
            title: "Jobs intended and completed",
            unit: "jobs/s",
            is_logarithmic: false,
            lines: vec![
                of(INTENDED, &|second| Some(second.intended as f64)),
                of(COMPLETED, &|second| Some(second.completed as f64)),
            ],
        },
        Panel {
            title: "Backlog at the end of each second",
            unit: "jobs",
            is_logarithmic: false,
            lines: vec![of(BACKLOG, &|second| Some(second.backlog as f64))],
        },
        Panel {
            title: "CPU, 100 is one core",
            unit: "%",
            is_logarithmic: false,
            lines: vec![
                cpu(theme::INK, |at| Some(at.host_pct)),
                cpu(theme::SERVER, |at| at.server_pct),
                cpu(theme::HARNESS, |at| at.harness_pct),
                cpu(theme::BACKGROUND, |at| at.background_pct),
            ],
        },
    ];
    let area = frame::surround(canvas, &timeline.title, &timeline.subtitle, &legend(timeline), &timeline.notes)?;
    let last_s = seconds.last().map_or(1.0, |second| f64::from(second.at_s) + 1.0);
    let x = Scale::linear([last_s]);
    let rows = area.inset(0.0, 0.0, 0.0, frame::AXIS_X_HEIGHT - 20.0).rows(panels.len(), 16.0);
    for (panel, rect) in panels.iter().zip(&rows) {
        let plot = rect.inset(frame::AXIS_Y_WIDTH, HEADING, 20.0, 0.0);
        canvas.text(plot.x0, rect.y0 + HEADING / 2.0, panel.title, theme::LABEL)?;
        draw_panel(canvas, panel, plot, &x, timeline)?;
    }
    if let Some(last) = rows.last() {
        let plot = last.inset(frame::AXIS_Y_WIDTH, HEADING, 20.0, 0.0);
        frame::axis_x(canvas, plot, &x, "seconds since the measured phase began")?;
    }
    Ok(())
}

fn draw_panel(canvas: &Canvas, panel: &Panel, plot: Rect, x: &Scale, timeline: &Timeline) -> Drawn {
    let values: Vec<f64> = panel.lines.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value)).collect();
    if values.is_empty() {
        return frame::missing_row(canvas, plot, "no data");
    }
    let y = if panel.is_logarithmic { Scale::logarithmic(values) } else { Scale::linear(values) };
    frame::axis_y(canvas, plot, &y, &y.title(panel.unit))?;
    let at = |second: f64| x.x(plot, second);
    if let Some(ends_s) = timeline.measured_s {
        // What is beyond is the drain.
        canvas.fill(Rect::new(at(ends_s), plot.y0, plot.x1, plot.y1), theme::EMPTY)?;
    }
    for event in &timeline.events {
        let (colour, at_s) = match event {
            Event::Checkpoint(at_s) => (CHECKPOINT, *at_s),
            Event::Autovacuum(at_s) => (AUTOVACUUM, *at_s),
        };
        canvas.dashed((at(at_s), plot.y0), (at(at_s), plot.y1), colour, 4)?;
    }
    for (colour, points) in &panel.lines {
        let line: Vec<(f64, f64)> = points.iter().map(|(second, value)| (at(*second), y.y(plot, *value))).collect();
        canvas.line(&line, *colour, 5)?;
    }
    Ok(())
}

fn legend(timeline: &Timeline) -> Vec<Entry> {
    let solid = |text: &str, colour: RGBColor| Entry::new(text, colour, Patch::Solid);
    let mut legend = vec![
        solid("p50", P50),
        solid("p99", P99),
        solid("max", MAX),
        solid("latest wake-up of the host", HICCUP),
        solid("intended", INTENDED),
        solid("completed", COMPLETED),
        solid("backlog", BACKLOG),
        solid("host", theme::INK),
        solid("server", theme::SERVER),
        solid("harness", theme::HARNESS),
    ];
    if timeline.cpu.iter().any(|at| at.background_pct.is_some()) {
        legend.push(solid("background load", theme::BACKGROUND));
    }
    if timeline.events.iter().any(|event| matches!(event, Event::Checkpoint(_))) {
        legend.push(Entry::new("checkpoint", CHECKPOINT, Patch::Dashed));
    }
    if timeline.events.iter().any(|event| matches!(event, Event::Autovacuum(_))) {
        legend.push(Entry::new("autovacuum", AUTOVACUUM, Patch::Dashed));
    }
    legend
}
