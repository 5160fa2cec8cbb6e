//! Valkey beside the best PostgreSQL backend of each scenario, by p99 latency and by throughput.
//!
//! The rival is looked for in Valkey's own class of durability, delivery and waiting first. Where there is none in that class
//! the best of the others is shown, and the picture says that they are not alike and gives no ratio: ratios hold only within
//! a class (METHODOLOGY F1, F2, F8).

use plotters::prelude::RGBColor;
use qbench_schema::result::LoadMode;
use qbench_schema::summary::SummaryRow;

use super::canvas::{Canvas, Drawn, Rect};
use super::frame;
use super::model::{Model, Series, Spread, State};
use super::scale::Scale;
use super::theme::{self, Align};
use crate::class::{Class, durability_label, is_ranked, waiting_label};
use crate::tables::runs_label;

const VALKEY_ENGINES: [&str; 2] = ["valkey", "redis"];
const POSTGRES_ENGINE: &str = "postgresql";

/// A column: heading, unit, figure, whether less is better.
struct Measure {
    title: &'static str,
    unit: &'static str,
    value: fn(&SummaryRow) -> f64,
    less_is_better: bool,
}

const MEASURES: [Measure; 2] = [
    Measure {
        title: "Latency p99 (less is better)",
        unit: "ms",
        value: |row| row.latency_p99_ms,
        less_is_better: true,
    },
    Measure {
        title: "Throughput (more is better)",
        unit: "jobs completed per second",
        value: |row| row.throughput_jobs_s,
        less_is_better: false,
    },
];

/// Room on the right of the longest bar for its figure.
const FIGURE_WIDTH: f64 = 190.0;
/// Width for the name of a scenario, which reads upwards.
const SCENARIO_WIDTH: f64 = 90.0;
/// Highest of the five lines of a scenario, so that one scenario alone does not fill the picture.
const LINE_MAX: f64 = 110.0;

impl Measure {
    /// Flat out a latency is what the length of the queue makes it.
    fn is_told(&self, row: &SummaryRow) -> bool {
        !self.less_is_better || row.mode != LoadMode::Saturation
    }

    /// The best of `rows`; ties go to the one that is shown first everywhere.
    fn best<'a>(&self, rows: impl Iterator<Item = &'a SummaryRow>) -> Option<&'a SummaryRow> {
        let cost = |row: &SummaryRow| if self.less_is_better { (self.value)(row) } else { -(self.value)(row) };
        rows.filter(|row| (self.value)(row).is_finite()).min_by(|a, b| cost(a).total_cmp(&cost(b)))
    }
}

/// The two sides of one scenario; a side is absent where nothing of it was run.
#[derive(Debug)]
struct Pair<'a> {
    valkey: Option<&'a SummaryRow>,
    postgres: Option<&'a SummaryRow>,
}

impl<'a> Pair<'a> {
    fn of(model: &Model<'a>, scenario: &str, measure: &Measure) -> Self {
        let is_here = |row: &&SummaryRow| row.scenario == scenario && row.runs > 0 && measure.is_told(row);
        let here = || model.rows().iter().filter(is_here);
        let of_engine = |engine: &'static str| here().filter(move |row| row.engine == engine);
        let best_of_engine = |engine: &'static str| {
            measure.best(of_engine(engine).filter(|row| is_ranked(row))).or_else(|| measure.best(of_engine(engine)))
        };
        let valkey = VALKEY_ENGINES.into_iter().find_map(best_of_engine);
        // A rival that may not be ranked is no rival: only valid PostgreSQL rows below capacity stand here.
        let rivals = || of_engine(POSTGRES_ENGINE).filter(|row| is_ranked(row));
        let alike = |same: fn(&SummaryRow, &SummaryRow) -> bool| {
            measure.best(rivals().filter(|row| valkey.is_some_and(|valkey| same(row, valkey))))
        };
        let postgres = alike(|row, valkey| Class::of(row) == Class::of(valkey))
            .or_else(|| alike(|row, valkey| row.delivery == valkey.delivery))
            .or_else(|| measure.best(rivals()));
        Pair { valkey, postgres }
    }

    /// The sentence below the two bars: a ratio, or why there is none. True when it is a warning.
    fn conclusion(&self, measure: &Measure) -> (String, bool) {
        let (valkey, postgres) = match (self.valkey, self.postgres) {
            (Some(valkey), Some(postgres)) => (valkey, postgres),
            (None, None) => return ("missing: both sides".to_owned(), true),
            (None, Some(_)) => return ("missing: no Valkey run finished here".to_owned(), true),
            (Some(_), None) => return ("missing: no valid PostgreSQL run here".to_owned(), true),
        };
        if !is_ranked(valkey) {
            return ("no ratio: this Valkey result may not be ranked".to_owned(), true);
        }
        if valkey.durability != postgres.durability {
            let classes = [valkey, postgres].map(|row| durability_label(row.durability));
            return (format!("no ratio: durability differs ({} against {})", classes[0], classes[1]), true);
        }
        if valkey.delivery != postgres.delivery {
            return ("no ratio: the delivery contracts differ".to_owned(), true);
        }
        if valkey.waiting != postgres.waiting {
            let ways = [valkey, postgres].map(waiting_label);
            return (format!("no ratio: idle workers wait in other ways ({} against {})", ways[0], ways[1]), true);
        }
        let (ours, theirs) = ((measure.value)(valkey), (measure.value)(postgres));
        if ours <= 0.0 || theirs <= 0.0 {
            return ("no ratio: a figure is zero".to_owned(), true);
        }
        (format!("{} / PostgreSQL = {:.2}", product(valkey), ours / theirs), false)
    }
}

/// The product as people write it.
fn product(row: &SummaryRow) -> &'static str {
    match row.engine.as_str() {
        "redis" => "Redis",
        POSTGRES_ENGINE => "PostgreSQL",
        _ => "Valkey",
    }
}

pub(super) fn draw(canvas: &Canvas, model: &Model) -> Drawn {
    let ours = VALKEY_ENGINES
        .iter()
        .find_map(|engine| model.rows().iter().find(|row| row.engine == *engine))
        .map_or("Valkey", product);
    // Only Valkey's own rows can be drawn with a mark here.
    let is_ours = |row: &SummaryRow| VALKEY_ENGINES.contains(&row.engine.as_str());
    let has_mark = model.cells().any(|(_, _, state)| state.row().is_some_and(is_ours) && !state.mark().is_empty());
    let legend = if has_mark { frame::marks(model) } else { Vec::new() };
    let area = frame::surround(
        canvas,
        &format!("{ours} against the best PostgreSQL backend"),
        &format!(
            "best among valid rows, in {ours}'s class of durability, delivery and waiting where there is one · {}",
            runs_label(model.rows().iter())
        ),
        &legend,
        &missing_sides(model),
    )?;
    let panels = area.inset(SCENARIO_WIDTH, 80.0, 0.0, frame::AXIS_X_HEIGHT);
    let rows = panels.rows(model.scenarios.len(), 30.0);
    for (scenario, row) in model.scenarios.iter().zip(&rows) {
        canvas.text_upwards(area.x0 + 30.0, row.centre_y(), scenario, theme::PANEL)?;
    }
    for (measure, panel) in MEASURES.iter().zip(panels.columns(2, 80.0)) {
        canvas.text(panel.x0, panel.y0 - 45.0, measure.title, theme::PANEL)?;
        let pairs: Vec<Pair> = model.scenarios.iter().map(|scenario| Pair::of(model, scenario, measure)).collect();
        let figures =
            pairs.iter().flat_map(|pair| [pair.valkey, pair.postgres]).flatten().map(|row| (measure.value)(row));
        let scale = if measure.less_is_better { Scale::automatic(figures) } else { Scale::linear(figures) };
        let plot = panel.inset(0.0, 0.0, FIGURE_WIDTH, 0.0);
        frame::axis_x(canvas, plot, &scale, &scale.title(measure.unit))?;
        for ((pair, row), scenario) in pairs.iter().zip(&rows).zip(&model.scenarios) {
            let cell = Rect { y0: row.y0, y1: row.y1, ..plot };
            frame::grid_x(canvas, cell, &scale)?;
            let has_latency = model.rows().iter().any(|row| row.scenario == **scenario && measure.is_told(row));
            if has_latency {
                draw_pair(canvas, model, pair, measure, &scale, Rect { x1: panel.x1, ..cell }, cell)?;
            } else {
                frame::missing_row(canvas, cell, "flat out there is no latency to compare")?;
            }
        }
    }
    Ok(())
}

/// Which side is missing altogether.
fn missing_sides(model: &Model) -> Vec<String> {
    let has = |engines: &[&str]| model.rows().iter().any(|row| engines.contains(&row.engine.as_str()) && row.runs > 0);
    let mut notes = Vec::new();
    if !has(&VALKEY_ENGINES) {
        notes.push("Missing: no run on Valkey or Redis finished. Give its results with --valkey-results.".to_owned());
    }
    if !has(&[POSTGRES_ENGINE]) {
        notes.push("Missing: no run on PostgreSQL finished. Give its results with --pg-results.".to_owned());
    }
    notes
}

/// Two labelled bars and the conclusion, in five lines of `cell`; `plot` is the part of it that the axis spans.
fn draw_pair(
    canvas: &Canvas,
    model: &Model,
    pair: &Pair,
    measure: &Measure,
    scale: &Scale,
    cell: Rect,
    plot: Rect,
) -> Drawn {
    let spare = (cell.height() - 5.0 * LINE_MAX).max(0.0) / 2.0;
    let lines = cell.inset(14.0, spare, 0.0, spare).rows(5, 0.0);
    for (side, row, label, bar) in
        [("Valkey", pair.valkey, lines[0], lines[1]), ("PostgreSQL", pair.postgres, lines[2], lines[3])]
    {
        let Some(row) = row else {
            canvas.text(label.x0, label.centre_y(), &format!("{side}: no data"), theme::LABEL.colour(theme::FAINT))?;
            continue;
        };
        let text = format!("{}: {} ({})", product(row), row.backend, Class::of(row).label());
        let text = canvas.fitted(&text, theme::LABEL, label.width())?;
        canvas.text(label.x0, label.centre_y(), &text, theme::LABEL)?;
        let (colour, state) = shown_as(model, row);
        frame::figure_bar(canvas, plot, scale, bar, ((measure.value)(row), &Spread::default()), colour, state)?;
    }
    let (text, is_warning) = pair.conclusion(measure);
    let look = theme::LABEL.bold().colour(if is_warning { theme::WARN } else { theme::INK }).align(Align::Left);
    let text = canvas.fitted(&text, look, lines[4].width())?;
    canvas.text(lines[4].x0, lines[4].centre_y(), &text, look)
}

/// Colour and state of a row as in the other charts.
fn shown_as<'a>(model: &Model<'a>, row: &SummaryRow) -> (RGBColor, State<'a>) {
    let is_shown =
        |series: &&Series| model.state(series, &row.scenario).row().is_some_and(|other| std::ptr::eq(other, row));
    match model.series.iter().find(is_shown) {
        Some(series) => (series.colour, model.state(series, &row.scenario)),
        None => (theme::FAINT, State::Absent),
    }
}
