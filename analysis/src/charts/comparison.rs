//! The forest plot: each cell over its reference, figure by figure, with the interval that the blocks give it.

use plotters::prelude::RGBColor;
use qbench_schema::comparison::{ComparisonRow, SAME_WITHIN, Verdict, percent};

use super::canvas::{Canvas, Drawn, Rect};
use super::frame::{self, Entry, Patch};
use super::theme::{self, Align, Marker};
use crate::headline::{HEADLINES, Headline};

/// Verdicts with their colours, as the legend lists them.
const VERDICTS: [(Verdict, &str, RGBColor); 4] = [
    (Verdict::Faster, "better", RGBColor(0, 114, 178)),
    (Verdict::Slower, "worse", RGBColor(213, 94, 0)),
    (Verdict::Same, "same", RGBColor(90, 90, 90)),
    (Verdict::Undecided, "undecided", RGBColor(150, 150, 150)),
];

/// Where nothing may be said.
const REFUSED: RGBColor = RGBColor(190, 190, 190);

/// Height for the heading of a panel.
const HEADING: f64 = 90.0;
/// Width for the figures on the right of a panel.
const FIGURES: f64 = 330.0;
/// Most panels beside each other, where there is height for a second band of them.
const ABREAST_MAX: usize = 3;
/// Most rows that have room in one of two bands.
const KEYS_IN_A_BAND: usize = 8;
/// Thickest row.
const ROW_MAX: f64 = 130.0;

/// A cell that is compared: what it is called.
type Key<'a> = (&'a str, &'a str, &'a str);

fn key(row: &ComparisonRow) -> Key<'_> {
    (&row.scenario, &row.backend, &row.variant)
}

/// Whether there is anything to draw: an interval.
pub(super) fn has_intervals(rows: &[ComparisonRow]) -> bool {
    rows.iter().any(|row| row.low.is_some() && HEADLINES.iter().any(|headline| headline.column == row.figure))
}

pub(super) fn draw(canvas: &Canvas, rows: &[ComparisonRow]) -> Drawn {
    let shown = |row: &&ComparisonRow| HEADLINES.iter().any(|headline| headline.column == row.figure);
    let mut keys: Vec<Key> = Vec::new();
    for row in rows.iter().filter(shown) {
        if !keys.contains(&key(row)) {
            keys.push(key(row));
        }
    }
    let has_ratio = |headline: &&Headline| rows.iter().any(|row| row.figure == headline.column && row.ratio.is_some());
    let panels: Vec<&Headline> = HEADLINES.iter().filter(has_ratio).collect();
    let same_within = rows.first().map_or(SAME_WITHIN, |row| row.same_within);
    let blocks = frame::distinct(rows.iter().filter(|row| row.low.is_some()).map(|row| row.n));
    let blocks = match (blocks.first(), blocks.last()) {
        (Some(fewest), Some(most)) if fewest == most => format!("{most} blocks"),
        (Some(fewest), Some(most)) => format!("{fewest} to {most} blocks"),
        _ => "no blocks".to_owned(),
    };
    let references = frame::distinct(rows.iter().map(|row| row.reference.clone()));
    let backends = frame::distinct(references.iter().map(|name| name.split(" (").next().unwrap_or(name)));
    let references = match (references.as_slice(), backends.as_slice()) {
        ([one], _) => one.clone(),
        (_, [backend]) => format!("{backend} of the same variant"),
        (all, _) => all.join(", "),
    };
    let colours = VERDICTS.iter().map(|(_, text, colour)| Entry::new(text, *colour, Patch::Marker(Marker::Square)));
    let legend: Vec<Entry> = colours.chain([Entry::new("no word", REFUSED, Patch::Marker(Marker::Square))]).collect();
    let mut reasons: Vec<String> = Vec::new();
    for row in rows.iter().filter(shown).filter(|row| row.verdict == Verdict::Refused) {
        let reason = format!("no word on {} in {}: {}", row.backend, row.scenario, row.reason);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let area = frame::surround(
        canvas,
        "Ratios to the reference",
        &format!(
            "geometric mean and 95 % interval over {blocks} · shaded: same within {} · reference: {references}",
            percent(same_within)
        ),
        &legend,
        &reasons,
    )?;
    let is_one_scenario = keys.iter().all(|(scenario, ..)| *scenario == keys[0].0);
    let names: Vec<String> = keys
        .iter()
        .map(|(scenario, backend, variant)| {
            let scenario = if is_one_scenario { String::new() } else { format!("{scenario}: ") };
            let variant = if variant.is_empty() { String::new() } else { format!(" ({variant})") };
            format!("{scenario}{backend}{variant}")
        })
        .collect();
    let width = canvas.widest(names.iter().map(String::as_str), theme::LABEL)?.min(900.0) + 30.0;
    let right = Rect { x0: area.x0 + width, ..area };
    // Four panels beside each other would leave no width for their axes.
    let bands = if panels.len() > ABREAST_MAX && keys.len() <= KEYS_IN_A_BAND { 2 } else { 1 };
    let abreast = panels.len().div_ceil(bands).max(1);
    let places = right.rows(bands, 40.0).into_iter().flat_map(|band| band.columns(abreast, 40.0)).enumerate();
    for (Headline { column, title, .. }, (place, panel)) in panels.iter().zip(places) {
        let plot = panel.inset(0.0, HEADING, FIGURES, frame::AXIS_X_HEIGHT);
        canvas.text(plot.centre_x(), panel.y0 + 35.0, title, theme::PANEL.align(Align::Centre))?;
        let of_figure: Vec<&ComparisonRow> = rows.iter().filter(|row| row.figure == *column).collect();
        let axis = Axis::of(&of_figure, same_within);
        axis.draw(canvas, plot)?;
        for (slot, (key_of_row, name)) in plot.rows(keys.len(), 0.0).into_iter().zip(keys.iter().zip(&names)) {
            let slot = slot.at_most_high(ROW_MAX);
            if place % abreast == 0 {
                let text = canvas.fitted(name, theme::LABEL, width - 30.0)?;
                canvas.text(area.x0 + width - 20.0, slot.centre_y(), &text, theme::LABEL.align(Align::Right))?;
            }
            if let Some(row) = of_figure.iter().find(|row| key(row) == *key_of_row) {
                draw_row(canvas, row, plot, slot, &axis)?;
            }
        }
    }
    Ok(())
}

fn draw_row(canvas: &Canvas, row: &ComparisonRow, plot: Rect, slot: Rect, axis: &Axis) -> Drawn {
    let colour =
        VERDICTS.iter().find(|(verdict, ..)| *verdict == row.verdict).map_or(REFUSED, |(_, _, colour)| *colour);
    let y = slot.centre_y();
    let Some(ratio) = row.ratio else {
        return canvas.text(plot.x1 + 20.0, y, "not compared", theme::SMALL);
    };
    let text = match (row.low, row.high) {
        (Some(low), Some(high)) => {
            canvas.line(&[(axis.x(plot, low), y), (axis.x(plot, high), y)], colour, 8)?;
            for end in [low, high] {
                canvas.line(&[(axis.x(plot, end), y - 16.0), (axis.x(plot, end), y + 16.0)], colour, 5)?;
            }
            format!("{ratio:.2} [{low:.2}, {high:.2}]")
        }
        _ => format!("{ratio:.2}"),
    };
    canvas.marker(Marker::Square, (axis.x(plot, ratio), y), 17.0, colour, row.verdict != Verdict::Undecided)?;
    canvas.text(plot.x1 + 20.0, y, &canvas.fitted(&text, theme::SMALL, FIGURES - 20.0)?, theme::SMALL)
}

/// A logarithmic axis of ratios, alike to both sides of 1.
struct Axis {
    /// Logarithm of its upper end; the lower one is its inverse.
    reach: f64,
    /// What counts as no difference.
    same_within: f64,
}

impl Axis {
    fn of(rows: &[&ComparisonRow], same_within: f64) -> Self {
        let ends = rows.iter().flat_map(|row| [row.ratio, row.low, row.high]).flatten();
        let furthest = ends.filter(|end| *end > 0.0).map(|end| end.ln().abs()).fold(0.0, f64::max);
        // One wild interval must not press all others together; it is cut off at the edge.
        Axis { reach: (furthest * 1.1).clamp(1.2_f64.ln(), 8.0_f64.ln()), same_within }
    }

    fn x(&self, plot: Rect, ratio: f64) -> f64 {
        let share = (ratio.max(f64::MIN_POSITIVE).ln() / self.reach).clamp(-1.0, 1.0);
        plot.centre_x() + share * plot.width() / 2.0
    }

    fn draw(&self, canvas: &Canvas, plot: Rect) -> Drawn {
        const TICKS: [f64; 11] = [0.125, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0];
        let same = 1.0 + self.same_within;
        let (low, high) = (self.x(plot, 1.0 / same), self.x(plot, same));
        canvas.fill(Rect::new(low, plot.y0, high, plot.y1), theme::EMPTY)?;
        let mut free_from = f64::NEG_INFINITY;
        for tick in TICKS.into_iter().chain([4.0, 8.0]).filter(|tick| tick.ln().abs() <= self.reach) {
            let x = self.x(plot, tick);
            canvas.line(&[(x, plot.y0), (x, plot.y1)], if tick == 1.0 { theme::INK } else { theme::GRID }, 3)?;
            let label = format!("{tick}");
            let look = theme::SMALL.align(Align::Centre);
            let half = canvas.text_width(&label, look)? / 2.0;
            if x - half >= free_from {
                canvas.text(x, plot.y1 + 32.0, &label, look)?;
                free_from = x + half + 16.0;
            }
        }
        canvas.text(plot.centre_x(), plot.y1 + 84.0, "ratio, log scale", theme::SMALL.align(Align::Centre))
    }
}
