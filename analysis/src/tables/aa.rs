//! The plan `aa`: how far runs that do the same lie apart on this machine (METHODOLOGY S7).

use comfy_table::{CellAlignment, Table};
use qbench_schema::summary::{COLUMNS, RunRow, SummaryRow, Unless};

use super::figure::ABSENT;
use super::{STYLE, lines_of};
use crate::headline::HEADLINES;
use crate::statistics::{Spread, spread};

/// Id of the plan.
const PLAN: &str = "aa";
/// Characters of an instant that name its hour: `2026-01-02T03`.
const HOUR: usize = 13;

/// How far the runs of one queue lie apart in one figure.
pub(crate) struct Scatter {
    scenario: String,
    backend: String,
    figure: &'static str,
    spread: Spread,
}

impl Scatter {
    /// Headings of [`Scatter::cells`].
    pub(crate) const HEAD: [&str; 7] =
        ["scenario", "backend", "figure", "runs", "hours", "within an hour", "between hours"];

    /// Its line in a table.
    pub(crate) fn cells(&self) -> [String; 7] {
        let percent = |part: Option<f64>| {
            part.map_or_else(|| ABSENT.to_owned(), |part| format!("{:.1} %", 100.0 * (part.exp() - 1.0)))
        };
        [
            self.scenario.clone(),
            self.backend.clone(),
            self.figure.to_owned(),
            self.spread.runs.to_string(),
            self.spread.hours.to_string(),
            percent(self.spread.within),
            percent(self.spread.between),
        ]
    }
}

/// A line per queue and figure of the plan, both arms together; nothing of other plans.
pub(crate) fn scatter(rows: &[SummaryRow], runs: &[Vec<RunRow>]) -> Vec<Scatter> {
    let mut arms: Vec<((&str, &str), Vec<&RunRow>)> = Vec::new();
    for (row, runs) in rows.iter().zip(runs).filter(|(row, _)| row.plan == PLAN) {
        let queue = (row.scenario.as_str(), row.backend.as_str());
        let valid = runs.iter().filter(|run| run.valid);
        match arms.iter_mut().find(|(known, _)| *known == queue) {
            Some((_, all)) => all.extend(valid),
            None => arms.push((queue, valid.collect())),
        }
    }
    let mut lines = Vec::new();
    for ((scenario, backend), runs) in &arms {
        for headline in &HEADLINES {
            let Some(column) = COLUMNS.iter().find(|column| column.name == headline.column) else { continue };
            // At a given rate throughput is what was offered.
            let Some(value) = column.run.filter(|_| column.unless != Some(Unless::OnSchedule)) else { continue };
            let logarithm = |run: &'_ RunRow| value(run).number().filter(|value| *value > 0.0).map(f64::ln);
            let of_run = |run: &&'_ RunRow| Some((run.started_at.get(..HOUR)?.to_owned(), logarithm(run)?));
            let observed: Vec<(String, f64)> = runs.iter().filter_map(of_run).collect();
            let observed: Vec<(&str, f64)> = observed.iter().map(|(hour, value)| (hour.as_str(), *value)).collect();
            lines.extend(spread(&observed).map(|spread| Scatter {
                scenario: (*scenario).to_owned(),
                backend: (*backend).to_owned(),
                figure: headline.short,
                spread,
            }));
        }
    }
    lines
}

/// The lines as text; nothing where there are none.
pub(super) fn render(rows: &[SummaryRow], runs: &[Vec<RunRow>]) -> Option<String> {
    let lines = scatter(rows, runs);
    if lines.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(Scatter::HEAD);
    table.add_rows(lines.iter().map(Scatter::cells));
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if place > 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Some(format!(
        "A against A: standard deviation of runs that do the same, both arms together\n{}\
         Between hours: what they have apart beyond the scatter within them\n",
        lines_of(&table)
    ))
}
