//! The plan `aa`: how far runs that do the same lie apart on this machine (METHODOLOGY S7).

use comfy_table::{CellAlignment, Table};
use qbench_schema::summary::{COLUMNS, RunRow, SummaryRow};

use super::figure::ABSENT;
use super::{STYLE, lines_of};
use crate::statistics::spread;

/// Id of the plan.
const PLAN: &str = "aa";
/// Figures that are looked at, with their headings.
const FIGURES: [(&str, &str); 3] =
    [("latency_p50_ms", "p50"), ("latency_p99_ms", "p99"), ("cpu_server_us_per_job", "server CPU per job")];
/// Characters of an instant that name its hour: `2026-01-02T03`.
const HOUR: usize = 13;

/// A line per queue and figure, both arms together; nothing for other plans.
pub(super) fn render(rows: &[SummaryRow], runs: &[Vec<RunRow>]) -> Option<String> {
    let mut arms: Vec<((&str, &str), Vec<&RunRow>)> = Vec::new();
    for (row, runs) in rows.iter().zip(runs).filter(|(row, _)| row.plan == PLAN) {
        let queue = (row.scenario.as_str(), row.backend.as_str());
        let valid = runs.iter().filter(|run| run.valid);
        match arms.iter_mut().find(|(known, _)| *known == queue) {
            Some((_, all)) => all.extend(valid),
            None => arms.push((queue, valid.collect())),
        }
    }
    if arms.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["scenario", "backend", "figure", "runs", "hours", "within an hour", "between hours"]);
    for ((scenario, backend), runs) in &arms {
        for (figure, title) in FIGURES {
            let value = COLUMNS.iter().find(|column| column.name == figure).and_then(|column| column.run);
            let logarithm = |run: &&RunRow| {
                let value = value?(run).number().filter(|value| *value > 0.0)?;
                Some((run.started_at.get(..HOUR)?.to_owned(), value.ln()))
            };
            let observed: Vec<(String, f64)> = runs.iter().filter_map(logarithm).collect();
            let by_hour: Vec<(&str, f64)> = observed.iter().map(|(hour, value)| (hour.as_str(), *value)).collect();
            let Some(spread) = spread(&by_hour) else { continue };
            let percent = |part: Option<f64>| {
                part.map_or_else(|| ABSENT.to_owned(), |part| format!("{:.1} %", 100.0 * (part.exp() - 1.0)))
            };
            table.add_row([
                (*scenario).to_owned(),
                (*backend).to_owned(),
                title.to_owned(),
                spread.runs.to_string(),
                spread.hours.to_string(),
                percent(spread.within),
                percent(spread.between),
            ]);
        }
    }
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
