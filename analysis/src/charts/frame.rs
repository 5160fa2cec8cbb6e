//! What every picture has around its panels: heading, legend and notes; and the parts that panels share.

use std::collections::BTreeSet;

use plotters::prelude::RGBColor;
use qbench_schema::result::LoadMode;
use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::model::{Model, Series, Spread, State};
use super::scale::{Scale, tick_label};
use super::theme::{self, Align, Marker};
use crate::class::{delivery_label, durability_label};
use crate::tables::{number, offered_label, runs_label};

/// Height of a line of notes or of the legend.
const LINE: f64 = 58.0;
/// Side of a colour patch in the legend.
const PATCH: f64 = 38.0;
/// Distance from a patch to its text, and from the text to the next patch.
const PATCH_GAP: f64 = 22.0;
const ENTRY_GAP: f64 = 64.0;
/// Most lines of notes; the reasons in full are in the tables.
const NOTES_MAX: usize = 5;
/// Half the height of the end of an interval.
const WHISKER: f64 = 14.0;
/// Size of the point of one run.
const RUN_POINT: f64 = 7.0;
/// Distance of hatch lines.
const HATCH_SPACING: f64 = 20.0;

/// An entry of the legend.
pub struct Entry {
    /// What it means.
    pub text: String,
    /// Its colour.
    pub colour: RGBColor,
    /// How its patch is drawn.
    pub patch: Patch,
}

impl Entry {
    /// What a colour and a patch mean.
    pub fn new(text: &str, colour: RGBColor, patch: Patch) -> Self {
        Entry { text: text.to_owned(), colour, patch }
    }
}

/// How the patch of a legend entry is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// A filled square.
    Solid,
    /// The marker of a line.
    Marker(theme::Marker),
    /// As a bar that is not valid.
    Hatched,
    /// As a bar above capacity.
    Pale,
    /// A dashed line.
    Dashed,
}

/// The backends as legend entries, and what marks in use mean.
pub fn legend(model: &Model, patch: impl Fn(&Series) -> Patch) -> Vec<Entry> {
    let backends = model.series.iter().map(|series| Entry::new(&series.label, series.colour, patch(series)));
    backends.chain(marks(model)).collect()
}

/// What marks in use mean.
pub fn marks(model: &Model) -> Vec<Entry> {
    marks_of(model.cells().map(|(_, _, state)| state))
}

/// What the marks of these states mean.
pub fn marks_of<'a>(states: impl Iterator<Item = State<'a>>) -> Vec<Entry> {
    let states: Vec<State> = states.collect();
    let mut entries = Vec::new();
    if states.iter().any(|state| matches!(state, State::Invalid(_))) {
        entries.push(Entry::new("✕ not valid", theme::FAINT, Patch::Hatched));
    }
    if states.iter().any(|state| matches!(state, State::Overload(_))) {
        entries.push(Entry::new("▲ overload", theme::FAINT, Patch::Pale));
    }
    entries
}

/// Notes on cells that must not be read like the others.
pub fn notes(model: &Model, is_latency: bool) -> Vec<String> {
    let note = |(series, scenario, state): (&Series, &str, State)| {
        note(&format!("{} {scenario}", series.label), state, is_latency)
    };
    model.cells().filter_map(note).collect()
}

/// The note on the cell of that name, where it needs one.
pub fn note(name: &str, state: State, is_latency: bool) -> Option<String> {
    Some(match state {
        State::Invalid(row) => format!("✕ {name}: {}", row.reasons),
        State::Overload(row) if is_latency => format!(
            "▲ {name}: achieved {:.0} of {:.0} jobs/s; its latency only measures the length of the run",
            row.throughput_jobs_s, row.offered_jobs_s
        ),
        State::Overload(row) => {
            format!("▲ {name}: achieved {:.0} of {:.0} jobs/s offered", row.throughput_jobs_s, row.offered_jobs_s)
        }
        State::NoRun(row) => format!("no data: {name}: {}", row.reasons),
        State::Absent => format!("no data: {name} was not run"),
        State::Good(_) => return None,
    })
}

/// Load, repeats and classes of the rows, for the line below the heading.
pub fn conditions(rows: &[SummaryRow]) -> String {
    let labels = |label: fn(&SummaryRow) -> String| distinct(rows.iter().map(label)).join(", ");
    // Flat out nobody offers anything.
    let on_schedule = || rows.iter().filter(|row| row.mode != LoadMode::Saturation);
    let offered = match on_schedule().next() {
        Some(_) => format!("{} offered", offered_label(on_schedule())),
        None => "flat out".to_owned(),
    };
    format!(
        "{offered} · {} · {} · {}",
        runs_label(rows.iter()),
        labels(|row| durability_label(row.durability)),
        labels(|row| delivery_label(row.delivery))
    )
}

/// What dots and whiskers are, where there are any.
pub fn spread_words(rows: &[SummaryRow]) -> &'static str {
    match (rows.iter().any(|row| row.runs > 1), rows.iter().any(|row| row.latency_p50_ms_low.is_some())) {
        (true, true) => " · bars: medians, dots: runs, whiskers: 95 % intervals",
        (true, false) => " · bars: medians, dots: runs",
        (false, _) => "",
    }
}

/// Each value once, in order.
pub fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<T>>().into_iter().collect()
}

/// Draws heading, legend and notes; returns what is left for the panels.
pub fn surround(canvas: &Canvas, title: &str, subtitle: &str, legend: &[Entry], notes: &[String]) -> Drawn<Rect> {
    let (width, height) = (f64::from(theme::SIZE.0), f64::from(theme::SIZE.1));
    let (left, right) = (theme::MARGIN, width - theme::MARGIN);
    canvas.text(left, theme::MARGIN + 25.0, title, theme::TITLE)?;
    let subtitle = canvas.fitted(subtitle, theme::SUBTITLE, right - left)?;
    canvas.text(left, theme::MARGIN + 110.0, &subtitle, theme::SUBTITLE)?;

    let mut bottom = height - theme::MARGIN / 2.0;
    let lines = shortened_notes(canvas, notes, right - left)?;
    for line in lines.iter().rev() {
        canvas.text(left, bottom - LINE / 2.0, line, theme::SMALL)?;
        bottom -= LINE;
    }
    for row in legend_rows(canvas, legend, right - left)?.iter().rev() {
        let mut x = left;
        for (entry, width) in row {
            draw_patch(canvas, entry, x, bottom - LINE / 2.0)?;
            canvas.text(x + PATCH + PATCH_GAP, bottom - LINE / 2.0, &entry.text, theme::LABEL)?;
            x += width;
        }
        bottom -= LINE + 8.0;
    }
    Ok(Rect::new(left, theme::MARGIN + 175.0, right, bottom - 20.0))
}

fn shortened_notes(canvas: &Canvas, notes: &[String], width: f64) -> Drawn<Vec<String>> {
    let shown = if notes.len() > NOTES_MAX { NOTES_MAX - 1 } else { notes.len() };
    let mut lines =
        notes[..shown].iter().map(|note| canvas.fitted(note, theme::SMALL, width)).collect::<Drawn<Vec<_>>>()?;
    if notes.len() > shown {
        lines.push(format!("… and {} more; `qbench analyze` lists them all", notes.len() - shown));
    }
    Ok(lines)
}

/// Legend entries with their widths, broken into rows.
fn legend_rows<'e>(canvas: &Canvas, legend: &'e [Entry], width: f64) -> Drawn<Vec<Vec<(&'e Entry, f64)>>> {
    let mut rows: Vec<Vec<(&Entry, f64)>> = Vec::new();
    let mut used = f64::INFINITY;
    for entry in legend {
        let needed = PATCH + PATCH_GAP + canvas.text_width(&entry.text, theme::LABEL)? + ENTRY_GAP;
        if used + needed > width {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += needed;
        if let Some(row) = rows.last_mut() {
            row.push((entry, needed));
        }
    }
    Ok(rows)
}

fn draw_patch(canvas: &Canvas, entry: &Entry, x: f64, y: f64) -> Drawn {
    let square = Rect::new(x, y - PATCH / 2.0, x + PATCH, y + PATCH / 2.0);
    match entry.patch {
        Patch::Solid => canvas.fill(square, entry.colour),
        Patch::Hatched => hatched(canvas, square, entry.colour),
        Patch::Pale => pale(canvas, square, entry.colour),
        Patch::Dashed => canvas.dashed((x - 10.0, y), (x + PATCH + 4.0, y), entry.colour, 4),
        Patch::Marker(marker) => {
            canvas.line(&[(x - 4.0, y), (x + PATCH + 4.0, y)], entry.colour, 6)?;
            canvas.marker(marker, (x + PATCH / 2.0, y), 15.0, entry.colour, true)
        }
    }
}

fn hatched(canvas: &Canvas, rect: Rect, colour: RGBColor) -> Drawn {
    canvas.fill(rect, theme::tint(colour))?;
    canvas.hatch(rect, colour, HATCH_SPACING)?;
    canvas.outline(rect, colour, 3)
}

fn pale(canvas: &Canvas, rect: Rect, colour: RGBColor) -> Drawn {
    canvas.fill(rect, theme::tint(colour))?;
    canvas.outline(rect, colour, 3)
}

/// A bar, drawn so that its state shows: solid, hatched (not valid) or pale (overload).
pub fn bar(canvas: &Canvas, rect: Rect, colour: RGBColor, state: State) -> Drawn {
    match state {
        State::Invalid(_) => hatched(canvas, rect, colour),
        State::Overload(_) => pale(canvas, rect, colour),
        State::Good(_) => canvas.fill(rect, colour),
        State::Absent | State::NoRun(_) => Ok(()),
    }
}

/// The bar of one figure in the row `slot` of a plot with an axis along x, its runs and interval over it, and the figure beside its end.
pub fn figure_bar(
    canvas: &Canvas,
    plot: Rect,
    scale: &Scale,
    slot: Rect,
    (value, spread): (f64, &Spread),
    colour: RGBColor,
    state: State,
) -> Drawn {
    let end = scale.x(plot, value).max(plot.x0 + 4.0);
    bar(canvas, Rect { x0: plot.x0, x1: end, ..slot }, colour, state)?;
    let y = slot.centre_y();
    if let Some((low, high)) = spread.interval {
        let (low, high) = (scale.x(plot, low), scale.x(plot, high));
        canvas.line(&[(low, y), (high, y)], theme::INK, 4)?;
        for x in [low, high] {
            canvas.line(&[(x, y - WHISKER), (x, y + WHISKER)], theme::INK, 4)?;
        }
    }
    for run in &spread.runs {
        canvas.marker(Marker::Circle, (scale.x(plot, *run), y), RUN_POINT, theme::INK, false)?;
    }
    let end = scale.x(plot, spread.reach(value)).max(end);
    canvas.text(end + 14.0, slot.centre_y(), &format!("{}{}", number(value), state.mark()), theme::LABEL)
}

/// Vertical grid lines of an axis along x.
pub fn grid_x(canvas: &Canvas, plot: Rect, scale: &Scale) -> Drawn {
    for tick in scale.ticks() {
        let x = scale.x(plot, *tick);
        canvas.line(&[(x, plot.y0), (x, plot.y1)], theme::GRID, 2)?;
    }
    canvas.line(&[(plot.x0, plot.y0), (plot.x0, plot.y1)], theme::INK, 3)
}

/// Ticks of an axis along x below a plot, and its title. Ticks that would run into each other are left out.
pub fn axis_x(canvas: &Canvas, plot: Rect, scale: &Scale, title: &str) -> Drawn {
    let look = theme::SMALL.align(Align::Centre);
    let mut free_from = f64::NEG_INFINITY;
    for tick in scale.ticks() {
        let x = scale.x(plot, *tick);
        let label = tick_label(*tick);
        let half = canvas.text_width(&label, look)? / 2.0;
        if x - half < free_from {
            continue;
        }
        canvas.text(x, plot.y1 + 32.0, &label, look)?;
        free_from = x + half + 20.0;
    }
    canvas.text(plot.centre_x(), plot.y1 + 84.0, title, look)
}

/// Height that [`axis_x`] needs below a plot.
pub const AXIS_X_HEIGHT: f64 = 110.0;

/// Horizontal grid lines and ticks of an axis along y on the left of a plot, and its title reading upwards.
pub fn axis_y(canvas: &Canvas, plot: Rect, scale: &Scale, title: &str) -> Drawn {
    for tick in scale.ticks() {
        let y = scale.y(plot, *tick);
        canvas.line(&[(plot.x0, y), (plot.x1, y)], theme::GRID, 2)?;
        canvas.text(plot.x0 - 18.0, y, &tick_label(*tick), theme::SMALL.align(Align::Right))?;
    }
    canvas.line(&[(plot.x0, plot.y1), (plot.x1, plot.y1)], theme::INK, 3)?;
    canvas.text_upwards(plot.x0 - AXIS_Y_WIDTH + 26.0, plot.centre_y(), title, theme::SMALL)
}

/// Width that [`axis_y`] needs on the left of a plot.
pub const AXIS_Y_WIDTH: f64 = 190.0;

/// Width of the column of backend names on the left of a panel of horizontal bars.
pub fn names_width(canvas: &Canvas, model: &Model) -> Drawn<f64> {
    const WIDEST: f64 = 640.0;
    Ok(canvas.widest(model.series.iter().map(|series| series.label.as_str()), theme::LABEL)?.min(WIDEST) + 24.0)
}

/// The backend names on the left of `rows`, right-aligned at `x`.
pub fn names(canvas: &Canvas, model: &Model, rows: &[Rect], x: f64, width: f64) -> Drawn {
    for (series, row) in model.series.iter().zip(rows) {
        let label = canvas.fitted(&series.label, theme::LABEL, width - 24.0)?;
        canvas.text(x - 20.0, row.centre_y(), &label, theme::LABEL.align(Align::Right))?;
    }
    Ok(())
}

/// What stands in a row of horizontal bars that has no figure.
pub fn missing_row(canvas: &Canvas, row: Rect, text: &str) -> Drawn {
    canvas.fill(row, theme::EMPTY)?;
    let text = canvas.fitted(text, theme::SMALL, row.width() - 30.0)?;
    canvas.text(row.x0 + 20.0, row.centre_y(), &text, theme::SMALL)
}
