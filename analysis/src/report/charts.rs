//! The drawings of the page.

use maud::Markup;
use qbench_schema::capacity::CapacityRow;
use qbench_schema::comparison::{ComparisonRow, Verdict};
use qbench_schema::summary::{RunRow, SummaryRow};

use super::svg::{Anchor, Axis, Svg};
use super::{Curve, Material};
use crate::curve::knots;
use crate::tables::number;

/// Width of every drawing, in its own units.
const WIDTH: f64 = 1_000.0;
/// Width of the names on the left.
const NAMES: f64 = 300.0;
/// Height of a row of bars.
const ROW: f64 = 30.0;
/// Height below a plot for its axis.
const AXIS: f64 = 46.0;
/// Room on the right for figures.
const FIGURES: f64 = 150.0;

/// A figure of a cell, and both ends of its interval.
pub(super) type WithInterval = (Option<f64>, Option<f64>, Option<f64>);

/// A row of bars: its cell, its name and colour, and the figures of its runs.
type Bar<'a> = (&'a SummaryRow, &'a str, &'a str, Vec<f64>);

/// Horizontal bars of one figure with a dot per run and the interval.
pub(super) fn bars(
    of: &Material,
    scenario: &str,
    title: &str,
    unit: &str,
    value: fn(&RunRow) -> Option<f64>,
    of_cell: fn(&SummaryRow) -> WithInterval,
) -> Option<Markup> {
    let cells: Vec<Bar> = of
        .cells()
        .zip(&of.summary.runs_of_cells)
        .filter(|((row, ..), _)| row.scenario == scenario && row.runs > 0)
        .map(|((row, name, colour), runs)| (row, name, colour, runs.iter().filter_map(value).collect()))
        .collect();
    if cells.iter().all(|(row, ..)| of_cell(row).0.is_none()) {
        return None;
    }
    let height = 30.0 + cells.len() as f64 * ROW + AXIS;
    let mut svg = Svg::new(
        WIDTH,
        height,
        &format!("{title} in scenario {scenario}, a bar per queue; the figures stand in the table"),
    );
    let values = cells.iter().flat_map(|(row, _, _, runs)| {
        let (figure, _, high) = of_cell(row);
        runs.iter().copied().chain(figure).chain(high).collect::<Vec<f64>>()
    });
    let axis = Axis::linear(values, NAMES, WIDTH - FIGURES);
    let bottom = height - AXIS;
    svg.text((NAMES, 18.0), &format!("{title}, {unit}"), "head", Anchor::Start);
    draw_axis(&mut svg, &axis, 30.0, bottom);
    for (place, (row, name, colour, runs)) in cells.iter().enumerate() {
        let y = 30.0 + (place as f64 + 0.5) * ROW;
        svg.text((NAMES - 10.0, y + 5.0), name, "name", Anchor::End);
        let (Some(figure), low, high) = of_cell(row) else { continue };
        svg.rect((NAMES, y - 9.0), (axis.at(figure) - NAMES, 18.0), "bar", Some(colour));
        if let Some((low, high)) = low.zip(high) {
            svg.line((axis.at(low), y), (axis.at(high), y), "axis whisker", None);
        }
        for run in runs.iter().filter(|_| runs.len() > 1) {
            svg.point((axis.at(*run), y), 3.0, "var(--ink)", false, &number(*run));
        }
        let reach = runs.iter().copied().chain(high).fold(figure, f64::max);
        let mark = if row.valid { "" } else { " ✕ not valid" };
        svg.text((axis.at(reach) + 10.0, y + 5.0), &format!("{}{mark}", number(figure)), "figure", Anchor::Start);
    }
    Some(svg.finish())
}

fn draw_axis(svg: &mut Svg, axis: &Axis, top: f64, bottom: f64) {
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.line((x, top), (x, bottom), "grid", None);
        svg.text((x, bottom + 18.0), &label(tick), "faint", Anchor::Middle);
    }
}

/// A tick as text, without needless digits.
fn label(tick: f64) -> String {
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The forest plot of one figure: a row per cell.
pub(super) fn forest(rows: &[&ComparisonRow], title: &str) -> Option<Markup> {
    let drawn: Vec<&&ComparisonRow> = rows.iter().filter(|row| row.ratio.is_some()).collect();
    if drawn.is_empty() {
        return None;
    }
    let height = 30.0 + drawn.len() as f64 * ROW + AXIS;
    let mut svg = Svg::new(
        WIDTH,
        height,
        &format!("Ratios of {title} to the reference with their intervals; the figures stand in the table"),
    );
    let ends = drawn.iter().flat_map(|row| [row.ratio, row.low, row.high]).flatten();
    let right = WIDTH - 1.6 * FIGURES;
    let axis = Axis::of_ratios(ends, NAMES, right);
    let bottom = height - AXIS;
    svg.text((NAMES, 18.0), &format!("{title}: ratio to the reference"), "head", Anchor::Start);
    let same = 1.0 + drawn[0].same_within;
    let (low, high) = (axis.at(1.0 / same), axis.at(same));
    svg.rect((low, 30.0), (high - low, bottom - 30.0), "band", None);
    draw_axis(&mut svg, &axis, 30.0, bottom);
    svg.line((axis.at(1.0), 30.0), (axis.at(1.0), bottom), "axis", None);
    let is_one_scenario = drawn.iter().all(|row| row.scenario == drawn[0].scenario);
    for (place, row) in drawn.iter().enumerate() {
        let y = 30.0 + (place as f64 + 0.5) * ROW;
        let scenario = if is_one_scenario { String::new() } else { format!("{}: ", row.scenario) };
        let variant = if row.variant.is_empty() { String::new() } else { format!(" ({})", row.variant) };
        svg.text((NAMES - 10.0, y + 5.0), &format!("{scenario}{}{variant}", row.backend), "name", Anchor::End);
        let colour = match row.verdict {
            Verdict::Faster => "var(--good)",
            Verdict::Slower => "var(--bad)",
            Verdict::Same => "var(--ink)",
            Verdict::Undecided | Verdict::Refused => "var(--faint)",
        };
        let ratio = row.ratio.unwrap_or(1.0);
        let mut text = format!("{ratio:.2}");
        if let Some((low, high)) = row.low.zip(row.high) {
            svg.line((axis.at(low), y), (axis.at(high), y), "whisker", Some(colour));
            text = format!("{ratio:.2} [{low:.2}, {high:.2}] {}", super::verdict_word(row));
        }
        svg.point(
            (axis.at(ratio), y),
            5.0,
            colour,
            !matches!(row.verdict, Verdict::Undecided | Verdict::Refused),
            &text,
        );
        svg.text((right + 12.0, y + 5.0), &text, "figure", Anchor::Start);
    }
    Some(svg.finish())
}

/// A line per queue: latency against the rate that was achieved.
pub(super) fn rate_latency(rows: &[CapacityRow], colours: &[String]) -> Markup {
    let height = 380.0;
    let mut svg = Svg::new(WIDTH, height, "99th percentile of the latency against the achieved rate, a line per queue");
    let (left, right, top, bottom) = (70.0, WIDTH - 190.0, 30.0, height - AXIS);
    let probes = || rows.iter().flat_map(|row| &row.probes).filter(|probe| probe.achieved_jobs_s > 0.0);
    let limits: Vec<f64> = rows.iter().filter_map(|row| Some(row.limit()?.1)).collect();
    let x = Axis::logarithmic(probes().map(|probe| probe.achieved_jobs_s), left, right);
    let y = Axis::logarithmic(probes().map(|probe| probe.p99_ms).chain(limits.iter().copied()), bottom, top);
    svg.text(
        (left, 18.0),
        "p99, ms, over jobs completed per second, both logarithmic; a line through medians",
        "head",
        Anchor::Start,
    );
    draw_axis(&mut svg, &x, top, bottom);
    for tick in y.ticks() {
        svg.line((left, y.at(tick)), (right, y.at(tick)), "grid", None);
        svg.text((left - 8.0, y.at(tick) + 5.0), &label(tick), "faint", Anchor::End);
    }
    if let Some(limit) = limits.first() {
        svg.line((left, y.at(*limit)), (right, y.at(*limit)), "limit", None);
    }
    for (place, (row, colour)) in rows.iter().zip(colours).enumerate() {
        let at = |(rate_jobs_s, p99_ms): (f64, f64)| (x.at(rate_jobs_s), y.at(p99_ms));
        let line: Vec<(f64, f64)> = knots(row, |probe| probe.p99_ms).into_iter().map(at).collect();
        svg.path(&line, colour);
        for probe in row.probes.iter().filter(|probe| probe.achieved_jobs_s > 0.0) {
            let point = at((probe.achieved_jobs_s, probe.p99_ms));
            let title =
                format!("{}: {} jobs/s, p99 {} ms", row.backend, number(probe.achieved_jobs_s), number(probe.p99_ms));
            svg.point(point, 4.0, colour, probe.valid, &title);
        }
        let at = top + 20.0 + 22.0 * place as f64;
        svg.rect((right + 20.0, at - 11.0), (12.0, 12.0), "key", Some(colour));
        svg.text((right + 40.0, at), &row.backend, "name", Anchor::Start);
    }
    svg.finish()
}

/// A line per queue: which share of its jobs took how long.
pub(super) fn percentiles(of: &Material, scenario: &str) -> Option<Markup> {
    let curves: Vec<Curve> = of.curves(scenario).collect();
    if curves.iter().all(|(_, _, quantiles)| quantiles.len() < 3) {
        return None;
    }
    let height = 340.0;
    let (left, right, top, bottom) = (70.0, WIDTH - 310.0, 30.0, height - AXIS);
    let mut svg = Svg::new(WIDTH, height, &format!("Latency by percentile in scenario {scenario}, a line per queue"));
    let y =
        Axis::logarithmic(curves.iter().flat_map(|(_, _, quantiles)| quantiles.iter().map(|(_, ms)| *ms)), bottom, top);
    // Each nine is a step of the same width, and the largest of all stands behind the last of them.
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let known = curves.iter().flat_map(|(_, _, quantiles)| quantiles.iter()).filter(|(quantile, _)| *quantile < 1.0);
    let last = known.map(|(quantile, _)| nines(*quantile)).fold(1.0, f64::max);
    let place = |quantile: f64| match quantile < 1.0 {
        true => left + (right - left) * 0.93 * nines(quantile) / last,
        false => right,
    };
    svg.text((left, 18.0), "end-to-end latency by percentile, ms", "head", Anchor::Start);
    const TICKS: [(f64, &str); 7] =
        [(0.0, "min"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "max")];
    for (quantile, text) in TICKS.into_iter().filter(|(quantile, _)| *quantile == 1.0 || nines(*quantile) <= last) {
        svg.line((place(quantile), top), (place(quantile), bottom), "grid", None);
        svg.text((place(quantile), bottom + 18.0), text, "faint", Anchor::Middle);
    }
    for tick in y.ticks() {
        svg.line((left, y.at(tick)), (right, y.at(tick)), "grid", None);
        svg.text((left - 8.0, y.at(tick) + 5.0), &label(tick), "faint", Anchor::End);
    }
    for (row, (name, colour, quantiles)) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = quantiles.iter().map(|(quantile, ms)| (place(*quantile), y.at(*ms))).collect();
        svg.path(&points, colour);
        let at = top + 20.0 + 22.0 * row as f64;
        svg.rect((right + 20.0, at - 11.0), (12.0, 12.0), "key", Some(colour));
        svg.text((right + 40.0, at), name, "name", Anchor::Start);
    }
    Some(svg.finish())
}
