//! Valkey beside the best PostgreSQL backend of each scenario, by p99 latency and by throughput.
//!
//! The rival is looked for in Valkey's own class of durability, delivery and waiting first. Where there is none in that class
//! the best of the others is shown, and the picture says that they are not alike and gives no ratio: ratios hold only within
//! a class (METHODOLOGY F1, F2, F8).
//!
//! The best of several is a little better than it is, in the runs that made it the best. So it is chosen in the odd blocks, and what is shown is
//! measured in the even ones (METHODOLOGY S8).

use plotters::prelude::RGBColor;
use qbench_schema::result::LoadMode;
use qbench_schema::summary::{RunRow, SummaryRow};

use super::canvas::{Canvas, Drawn, Rect};
use super::frame;
use super::model::{Model, Series, Spread, State};
use super::scale::Scale;
use super::theme::{self, Align};
use crate::class::{Class, durability_label, is_ranked, waiting_label};
use crate::statistics::{CONFIDENCE, cell_interval};
use crate::tables::runs_label;

const VALKEY_ENGINES: [&str; 2] = ["valkey", "redis"];
const POSTGRES_ENGINE: &str = "postgresql";

/// A column: heading, unit, figure of a cell and of a run, what several runs make of it (as in `summary.csv`), whether less is better.
struct Measure {
    title: &'static str,
    unit: &'static str,
    value: fn(&SummaryRow) -> f64,
    of_run: fn(&RunRow) -> f64,
    over_runs: fn(&[f64]) -> Option<f64>,
    less_is_better: bool,
}

/// Blocks that a figure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Odd ones, in which the best is chosen.
    Choosing,
    /// Even ones, which are shown.
    Shown,
}

impl Half {
    fn has(self, block: u32) -> bool {
        (block % 2 == 1) == (self == Half::Choosing)
    }
}

const MEASURES: [Measure; 2] = [
    Measure {
        title: "Latency p99 (less is better)",
        unit: "ms",
        value: |row| row.latency_p99_ms,
        of_run: |run| run.latency_p99_ms,
        over_runs: |runs| cell_interval(runs, CONFIDENCE).map(|of_runs| of_runs.median),
        less_is_better: true,
    },
    Measure {
        title: "Throughput (more is better)",
        unit: "jobs completed per second",
        value: |row| row.throughput_jobs_s,
        of_run: |run| run.throughput_jobs_s,
        over_runs: |runs| (!runs.is_empty()).then(|| runs.iter().sum::<f64>() / runs.len() as f64),
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

    /// The figure of a row: of its runs in `half`; without a half, or without runs in it, of all of them.
    fn figure(&self, model: &Model, row: &SummaryRow, half: Option<Half>) -> f64 {
        let is_meant = |run: &&RunRow| run.valid && half.is_some_and(|half| half.has(run.block));
        let runs: Vec<f64> = model.runs_of(row).filter(is_meant).map(self.of_run).collect();
        (self.over_runs)(&runs).unwrap_or_else(|| (self.value)(row))
    }
}

/// Whether every row of `scenario` that could be chosen has runs in both halves.
fn has_halves(model: &Model, scenario: &str) -> bool {
    let is_rival = |row: &&SummaryRow| {
        row.scenario == scenario
            && is_ranked(row)
            && (row.engine == POSTGRES_ENGINE || VALKEY_ENGINES.contains(&row.engine.as_str()))
    };
    let has = |row: &SummaryRow, half: Half| model.runs_of(row).any(|run| run.valid && half.has(run.block));
    let mut rivals = model.rows().iter().filter(is_rival).peekable();
    rivals.peek().is_some() && rivals.all(|row| has(row, Half::Choosing) && has(row, Half::Shown))
}

/// By what the best is chosen, scenario by scenario where these differ in it.
fn how_chosen(model: &Model) -> String {
    let (halved, whole): (Vec<&str>, Vec<&str>) =
        model.scenarios.iter().copied().partition(|scenario| has_halves(model, scenario));
    match (halved.is_empty(), whole.is_empty()) {
        (_, true) => "chosen in odd blocks, shown in even ones".to_owned(),
        (true, false) => "chosen by the runs that are shown".to_owned(),
        (false, false) => {
            format!("chosen in odd blocks, shown in even ones; in {} by the runs that are shown", whole.join(", "))
        }
    }
}

/// A row, and the figure that is shown of it.
type Side<'a> = (&'a SummaryRow, f64);

/// The two sides of one scenario; a side is absent where nothing of it was run.
#[derive(Debug)]
struct Pair<'a> {
    valkey: Option<Side<'a>>,
    postgres: Option<Side<'a>>,
}

impl<'a> Pair<'a> {
    fn of(model: &Model<'a>, scenario: &str, measure: &Measure) -> Self {
        let is_here = |row: &&SummaryRow| row.scenario == scenario && row.runs > 0 && measure.is_told(row);
        let here = || model.rows().iter().filter(is_here);
        let halves = has_halves(model, scenario);
        let best = |rows: &mut dyn Iterator<Item = &'a SummaryRow>| {
            let figure = |row: &SummaryRow| measure.figure(model, row, halves.then_some(Half::Choosing));
            let cost = |row: &SummaryRow| if measure.less_is_better { figure(row) } else { -figure(row) };
            // Ties go to the one that is shown first everywhere.
            rows.filter(|row| figure(row).is_finite()).min_by(|a, b| cost(a).total_cmp(&cost(b)))
        };
        let of_engine = |engine: &'static str| here().filter(move |row| row.engine == engine);
        let best_of_engine = |engine: &'static str| {
            best(&mut of_engine(engine).filter(|row| is_ranked(row))).or_else(|| best(&mut of_engine(engine)))
        };
        let valkey = VALKEY_ENGINES.into_iter().find_map(best_of_engine);
        // A rival that may not be ranked is no rival: only valid PostgreSQL rows below capacity stand here.
        let rivals = || of_engine(POSTGRES_ENGINE).filter(|row| is_ranked(row));
        let alike = |same: fn(&SummaryRow, &SummaryRow) -> bool| {
            best(&mut rivals().filter(|row| valkey.is_some_and(|valkey| same(row, valkey))))
        };
        let postgres = alike(|row, valkey| Class::of(row) == Class::of(valkey))
            .or_else(|| alike(|row, valkey| row.delivery == valkey.delivery))
            .or_else(|| best(&mut rivals()));
        let shown = |row: &'a SummaryRow| (row, measure.figure(model, row, halves.then_some(Half::Shown)));
        Pair { valkey: valkey.map(shown), postgres: postgres.map(shown) }
    }

    /// The sentence below the two bars: a ratio, or why there is none. True when it is a warning.
    fn conclusion(&self) -> (String, bool) {
        let ((valkey, ours), (postgres, theirs)) = match (self.valkey, self.postgres) {
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
            "best valid row of {ours}'s class, where it has one · {} · {}",
            how_chosen(model),
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
        let figures = pairs.iter().flat_map(|pair| [pair.valkey, pair.postgres]).flatten().map(|(_, figure)| figure);
        let scale = if measure.less_is_better { Scale::automatic(figures) } else { Scale::linear(figures) };
        let plot = panel.inset(0.0, 0.0, FIGURE_WIDTH, 0.0);
        frame::axis_x(canvas, plot, &scale, &scale.title(measure.unit))?;
        for ((pair, row), scenario) in pairs.iter().zip(&rows).zip(&model.scenarios) {
            let cell = Rect { y0: row.y0, y1: row.y1, ..plot };
            frame::grid_x(canvas, cell, &scale)?;
            let has_latency = model.rows().iter().any(|row| row.scenario == **scenario && measure.is_told(row));
            if has_latency {
                draw_pair(canvas, model, pair, &scale, Rect { x1: panel.x1, ..cell }, cell)?;
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
fn draw_pair(canvas: &Canvas, model: &Model, pair: &Pair, scale: &Scale, cell: Rect, plot: Rect) -> Drawn {
    let spare = (cell.height() - 5.0 * LINE_MAX).max(0.0) / 2.0;
    let lines = cell.inset(14.0, spare, 0.0, spare).rows(5, 0.0);
    for (side, shown, label, bar) in
        [("Valkey", pair.valkey, lines[0], lines[1]), ("PostgreSQL", pair.postgres, lines[2], lines[3])]
    {
        let Some((row, figure)) = shown else {
            canvas.text(label.x0, label.centre_y(), &format!("{side}: no data"), theme::LABEL.colour(theme::FAINT))?;
            continue;
        };
        let text = format!("{}: {} ({})", product(row), row.backend, Class::of(row).label());
        let text = canvas.fitted(&text, theme::LABEL, label.width())?;
        canvas.text(label.x0, label.centre_y(), &text, theme::LABEL)?;
        let (colour, state) = shown_as(model, row);
        frame::figure_bar(canvas, plot, scale, bar, (figure, &Spread::default()), colour, state)?;
    }
    let (text, is_warning) = pair.conclusion();
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

#[cfg(test)]
mod tests {
    use qbench_schema::result::{RunIdentity, RunResult, RunStatus, Validity};

    use super::*;
    use crate::palette::Palette;
    use crate::summary::cell::cell_of;

    /// A cell of `backend` whose blocks had these p99, in milliseconds.
    fn cell(engine: &str, backend: &str, p99_ms: &[f64]) -> (SummaryRow, Vec<RunRow>) {
        cell_in("warm", engine, backend, p99_ms)
    }

    /// The same in a scenario; throughput is ten times the p99.
    fn cell_in(scenario: &str, engine: &str, backend: &str, p99_ms: &[f64]) -> (SummaryRow, Vec<RunRow>) {
        let runs: Vec<RunRow> = p99_ms
            .iter()
            .zip(1..)
            .map(|(p99_ms, block)| {
                let identity = RunIdentity {
                    engine: engine.to_owned(),
                    backend: backend.to_owned(),
                    scenario: scenario.to_owned(),
                    block,
                    ..RunIdentity::default()
                };
                let mut result = RunResult::without_figures(identity, RunStatus::Finished, "");
                result.validity = Validity { valid: true, ..Validity::default() };
                result.end_to_end_ms.p99 = *p99_ms;
                result.throughput_jobs_s = 10.0 * p99_ms;
                RunRow::of(&result)
            })
            .collect();
        (cell_of(&runs), runs)
    }

    #[test]
    fn the_best_is_chosen_in_one_half_of_the_blocks_and_shown_in_the_other() {
        // Of all blocks the first queue has the smaller median; in the odd ones the second has.
        let cells = [
            cell("postgresql", "skip_locked", &[20.0, 10.0, 20.0, 10.0]),
            cell("postgresql", "partitioned", &[15.0, 40.0, 15.0, 40.0]),
            cell("valkey", "valkey_streams", &[9.0, 5.0, 9.0, 5.0]),
        ];
        let palette = Palette::default();
        let rows: Vec<SummaryRow> = cells.iter().map(|(row, _)| row.clone()).collect();
        let runs: Vec<RunRow> = cells.iter().flat_map(|(_, runs)| runs.clone()).collect();
        let model = Model::new(&rows, &runs, None, &palette);
        let pair = Pair::of(&model, "warm", &MEASURES[0]);
        let told = |side: Option<Side>| side.map(|(row, figure)| (row.backend.clone(), figure));
        assert_eq!(told(pair.postgres), Some(("partitioned".to_owned(), 40.0)));
        assert_eq!(told(pair.valkey), Some(("valkey_streams".to_owned(), 5.0)));
        assert_eq!(pair.conclusion(), ("Valkey / PostgreSQL = 0.12".to_owned(), false));

        assert_eq!(how_chosen(&model), "chosen in odd blocks, shown in even ones");

        // Without runs.csv there are no halves.
        let model = Model::new(&rows, &[], None, &palette);
        let pair = Pair::of(&model, "warm", &MEASURES[0]);
        assert_eq!(told(pair.postgres), Some(("skip_locked".to_owned(), 15.0)));
        assert_eq!(how_chosen(&model), "chosen by the runs that are shown");
    }

    #[test]
    fn what_the_runs_of_a_half_make_is_what_all_runs_make_in_the_tables() {
        let blocks = [1.0, 10.0, 1.0, 10.0, 1.0, 40.0];
        let cells = [cell("valkey", "valkey_streams", &blocks)];
        let palette = Palette::default();
        let model = Model::new(std::slice::from_ref(&cells[0].0), &cells[0].1, None, &palette);
        let [latency, throughput] =
            MEASURES.each_ref().map(|measure| measure.figure(&model, &cells[0].0, Some(Half::Shown)));
        assert_eq!((latency, throughput), (10.0, 200.0), "the median of a percentile, the mean of a rate");
    }

    #[test]
    fn scenarios_that_differ_in_how_the_best_is_chosen_are_told_apart() {
        let cells = [
            cell_in("warm", "postgresql", "skip_locked", &[20.0, 10.0]),
            cell_in("warm", "valkey", "valkey_streams", &[9.0, 5.0]),
            cell_in("load", "postgresql", "skip_locked", &[20.0]),
            cell_in("load", "valkey", "valkey_streams", &[9.0]),
        ];
        let palette = Palette::default();
        let rows: Vec<SummaryRow> = cells.iter().map(|(row, _)| row.clone()).collect();
        let runs: Vec<RunRow> = cells.iter().flat_map(|(_, runs)| runs.clone()).collect();
        assert_eq!(
            how_chosen(&Model::new(&rows, &runs, None, &palette)),
            "chosen in odd blocks, shown in even ones; in load by the runs that are shown"
        );
    }
}
