//! A climb: six figures side by side, a bar per rung, lowest rung on top.

use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::model::{Spread, State};
use super::scale::Scale;
use super::theme::{self, Align, Paint};
use crate::palette::Palette;
use crate::sweep::{Climber, Ladder};

/// A panel: its heading, the unit of its axis, its figure.
struct Measure {
    title: &'static str,
    unit: &'static str,
    value: fn(&SummaryRow) -> Option<f64>,
}

const MEASURES: [Measure; 6] = [
    Measure { title: "Throughput", unit: "jobs completed per second", value: |row| Some(row.throughput_jobs_s) },
    Measure { title: "Latency p50", unit: "ms, end to end", value: |row| Some(row.latency_p50_ms) },
    Measure { title: "Latency p99", unit: "ms, end to end", value: |row| Some(row.latency_p99_ms) },
    Measure { title: "Server CPU", unit: "us per job", value: |row| row.cpu_server_us_per_job },
    Measure { title: "Statements", unit: "round trips per job", value: |row| row.round_trips_per_job },
    Measure { title: "Idle queries", unit: "empty claims per second", value: |row| row.empty_claims_s },
];

/// Panels in a row of the picture.
const ACROSS: usize = 3;
/// Room on the right of the longest bar for its figure.
const FIGURE_WIDTH: f64 = 170.0;
/// Height for the heading of a panel.
const HEADING: f64 = 70.0;
/// Thickest bar.
const BAR_MAX: f64 = 70.0;
/// Widest column of rung names.
const NAMES_MAX: f64 = 560.0;

pub(super) fn draw(canvas: &Canvas, ladder: &Ladder, palette: &Palette) -> Drawn {
    let paints = theme::paints(palette, &ladder.series.iter().map(|climber| climber.backend).collect::<Vec<_>>());
    let rows: Vec<SummaryRow> =
        ladder.series.iter().flat_map(|climber| climber.rows.iter().flatten().copied().cloned()).collect();
    let who: Vec<&str> = ladder.series.iter().map(|climber| climber.name.as_str()).collect();
    let area = frame::surround(
        canvas,
        &format!("What each rung of the {} brings: {}", ladder.plan, who.join(", ")),
        &format!(
            "scenario {} · each rung is the one above it and one change · {}",
            ladder.scenario,
            frame::conditions(&rows)
        ),
        &legend(ladder, &paints),
        &notes(ladder),
    )?;
    let labels: Vec<(String, String)> = labels(ladder);
    let names = canvas.widest(labels.iter().map(|(name, _)| name.as_str()), theme::LABEL)?;
    let changes = canvas.widest(labels.iter().map(|(_, change)| change.as_str()), theme::SMALL)?;
    let names_width = names.max(changes).min(NAMES_MAX) + 30.0;
    let bands = area.rows(MEASURES.len() / ACROSS, 30.0);
    for (band, measures) in bands.iter().zip(MEASURES.chunks(ACROSS)) {
        let inner = band.inset(names_width, HEADING, 0.0, frame::AXIS_X_HEIGHT);
        let slots = inner.rows(ladder.rungs.len(), 14.0);
        for (slot, (name, change)) in slots.iter().zip(&labels) {
            draw_label(canvas, *slot, name, change, names_width)?;
        }
        for (panel, measure) in inner.columns(ACROSS, 60.0).into_iter().zip(measures) {
            draw_panel(canvas, ladder, &paints, measure, panel)?;
        }
    }
    Ok(())
}

/// Name and change of each rung, the change as the first backend that has both rows made it.
fn labels(ladder: &Ladder) -> Vec<(String, String)> {
    let change = |index: usize| {
        ladder.series.iter().map(|climber| climber.change(index)).find(|change| !change.is_empty()).unwrap_or_default()
    };
    let label = |(index, rung): (usize, &&str)| {
        let change = change(index);
        (format!("{} {rung}", index + 1), if change.is_empty() { change } else { format!("+ {change}") })
    };
    ladder.rungs.iter().enumerate().map(label).collect()
}

fn draw_label(canvas: &Canvas, slot: Rect, name: &str, change: &str, width: f64) -> Drawn {
    let (x, y) = (slot.x0 - 20.0, slot.centre_y());
    let rise = if change.is_empty() { 0.0 } else { 24.0 };
    let name = canvas.fitted(name, theme::LABEL, width - 30.0)?;
    canvas.text(x, y - rise, &name, theme::LABEL.align(Align::Right))?;
    let change = canvas.fitted(change, theme::SMALL, width - 30.0)?;
    canvas.text(x, y + rise, &change, theme::SMALL.align(Align::Right))
}

fn draw_panel(canvas: &Canvas, ladder: &Ladder, paints: &[Paint], measure: &Measure, panel: Rect) -> Drawn {
    canvas.text(panel.x0, panel.y0 - HEADING / 2.0, measure.title, theme::PANEL)?;
    let plot = panel.inset(0.0, 0.0, FIGURE_WIDTH, 0.0);
    let figure = |row: &SummaryRow| (measure.value)(row).filter(|value| row.runs > 0 && value.is_finite());
    let figures = ladder.series.iter().flat_map(|climber| climber.rows.iter().flatten().filter_map(|row| figure(row)));
    let figures: Vec<f64> = figures.collect();
    let scale = Scale::linear(figures.iter().copied());
    // An axis without a figure on it would only pretend.
    if !figures.is_empty() {
        frame::grid_x(canvas, plot, &scale)?;
        frame::axis_x(canvas, plot, &scale, measure.unit)?;
    }
    for (rung, slot) in plot.rows(ladder.rungs.len(), 14.0).into_iter().enumerate() {
        let lines = slot.rows(ladder.series.len(), 4.0);
        for ((climber, line), paint) in ladder.series.iter().zip(lines).zip(paints) {
            let line = line.at_most_high(BAR_MAX);
            let state = climber.rows[rung].map_or(State::Absent, State::of);
            let Some(value) = climber.rows[rung].and_then(figure) else {
                let text = if state.row().is_some() { "not counted" } else { state.missing_text() };
                frame::missing_row(canvas, Rect { x1: panel.x1, ..line }, text)?;
                continue;
            };
            frame::figure_bar(canvas, plot, &scale, line, (value, &Spread::default()), paint.colour, state)?;
        }
    }
    Ok(())
}

fn legend(ladder: &Ladder, paints: &[Paint]) -> Vec<Entry> {
    let entry = |(climber, paint): (&Climber, &Paint)| Entry::new(&climber.name, paint.colour, Patch::Solid);
    // One backend is in the heading already.
    let mut entries: Vec<Entry> = match ladder.series.len() {
        1 => Vec::new(),
        _ => ladder.series.iter().zip(paints).map(entry).collect(),
    };
    entries.extend(frame::marks_of(states(ladder).map(|(_, _, state)| state)));
    entries
}

fn states<'a>(ladder: &'a Ladder<'a>) -> impl Iterator<Item = (&'a Climber<'a>, &'a str, State<'a>)> {
    ladder.series.iter().flat_map(|climber| {
        let states = climber.rows.iter().map(|row| row.map_or(State::Absent, State::of));
        ladder.rungs.iter().zip(states).map(move |(rung, state)| (climber, *rung, state))
    })
}

fn notes(ladder: &Ladder) -> Vec<String> {
    states(ladder)
        .filter_map(|(climber, rung, state)| frame::note(&format!("{} {rung}", climber.name), state, true))
        .collect()
}
