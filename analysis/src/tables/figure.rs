//! A column of a table of the terminal, and how its figures are written.

use qbench_schema::summary::{Better, COLUMNS, Column, SummaryRow, TableKind, Unless, Value};

/// What stands where there is no figure.
pub(super) const ABSENT: &str = "-";

/// A figure with as many decimals as it deserves.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A column of a table of the terminal.
pub(super) struct Figure {
    pub(super) column: &'static Column,
    pub(super) title: &'static str,
    /// Columns of both ends of its interval, where it has one.
    interval: Option<(&'static Column, &'static Column)>,
}

/// The columns of one table, from left to right.
pub(super) fn figures(table: TableKind) -> Vec<Figure> {
    let mut placed: Vec<_> = COLUMNS
        .iter()
        .filter_map(|column| column.shown_in(table).map(|shown| (shown.place, column, shown.title)))
        .collect();
    placed.sort_by_key(|(place, ..)| *place);
    let named = |name: String| COLUMNS.iter().find(|column| column.name == name);
    placed
        .into_iter()
        .map(|(_, column, title)| {
            let interval = named(format!("{}_low", column.name)).zip(named(format!("{}_high", column.name)));
            Figure { column, title, interval }
        })
        .collect()
}

impl Figure {
    pub(super) fn value(&self, row: &SummaryRow) -> Value {
        self.column.cell.map_or(Value::Absent, |value| value(row))
    }

    pub(super) fn number(&self, row: &SummaryRow) -> Option<f64> {
        self.value(row).number()
    }

    pub(super) fn text(&self, row: &SummaryRow) -> String {
        match self.value(row) {
            Value::Count(count) => count.to_string(),
            value => value.number().map_or(ABSENT.to_owned(), number),
        }
    }

    /// The figure with the interval that its runs give it: `9.6 [9.1, 10.1]`.
    pub(super) fn text_with_interval(&self, row: &SummaryRow) -> String {
        let end = |column: &Column| column.cell.and_then(|value| value(row).number());
        match self.interval.and_then(|(low, high)| end(low).zip(end(high))) {
            Some((low, high)) => format!("{} [{}, {}]", self.text(row), number(low), number(high)),
            None => self.text(row),
        }
    }

    /// Whether it says which queue is better: at a given rate throughput is what was offered (METHODOLOGY M9), and in the server
    /// of a PostgreSQL queue the background load shares checkpoints and log writers.
    pub(super) fn may_be_marked(&self, has_background: bool) -> bool {
        let shared = has_background && self.column.unless == Some(Unless::Background);
        self.column.better != Better::Neither && self.column.unless != Some(Unless::OnSchedule) && !shared
    }
}
