//! Comparisons as text for a terminal.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, Table};
use qbench_schema::comparison::{ComparisonRow, SAME_WITHIN, Verdict, percent};
use qbench_schema::result::word;

use super::{STYLE, lines_of, number};
use crate::headline::{HEADLINES, Headline};
use crate::variant::named;

/// `1.23 [1.10, 1.37] slower`.
fn told(row: &ComparisonRow) -> String {
    let verdict = match row.verdict {
        // What is refused for too few blocks has figures; the reason stands below.
        Verdict::Refused => "-".to_owned(),
        verdict => word(verdict),
    };
    match (row.ratio, row.low, row.high) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} [{low:.2}, {high:.2}] {verdict}"),
        (Some(ratio), ..) => format!("{ratio:.2} {verdict}"),
        (None, ..) => verdict,
    }
}

/// Numbered reasons, each once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, reason: &str) -> usize {
        match self.0.iter().position(|known| known == reason) {
            Some(place) => place + 1,
            None => {
                self.0.push(reason.to_owned());
                self.0.len()
            }
        }
    }

    /// A row's figures, with the number of the reason where a word is refused.
    fn cell(&mut self, row: &ComparisonRow) -> String {
        match row.verdict {
            Verdict::Refused => format!("{} ({})", told(row), self.number(&row.reason)),
            _ => told(row),
        }
    }

    fn lines(&self) -> String {
        self.0.iter().enumerate().map(|(place, reason)| format!("({}) no word: {reason}\n", place + 1)).collect()
    }
}

/// The cells of one analysis against their references, a table per scenario; empty where no cell has a second block, because the tables
/// above it say already that one run allows nothing.
pub(crate) fn render_within(rows: &[ComparisonRow]) -> String {
    let mut text = String::new();
    let scenarios: Vec<&str> = in_order(rows.iter().map(|row| row.scenario.as_str()));
    for scenario in scenarios {
        let rows: Vec<&ComparisonRow> = rows.iter().filter(|row| row.scenario == scenario).collect();
        if rows.iter().all(|row| row.n < 2) {
            continue;
        }
        let is_shown = |headline: &&Headline| rows.iter().any(|row| row.figure == headline.column);
        let figures: Vec<&Headline> = HEADLINES.iter().filter(is_shown).collect();
        let references: BTreeSet<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
        let one = (references.len() == 1).then(|| references.first().copied()).flatten();
        let mut notes = Notes::default();
        let mut table = Table::new();
        table.load_style(STYLE);
        let mut header = vec!["backend"];
        if one.is_none() {
            header.push("against");
        }
        header.extend(figures.iter().map(|figure| figure.short));
        header.push("n");
        table.set_header(&header);
        for (backend, variant) in in_order(rows.iter().map(|row| (row.backend.as_str(), row.variant.as_str()))) {
            let of_cell: Vec<&ComparisonRow> = rows
                .iter()
                .copied()
                .filter(|row| (row.backend.as_str(), row.variant.as_str()) == (backend, variant))
                .collect();
            let mut line = vec![named(backend, variant)];
            if one.is_none() {
                line.push(of_cell[0].reference.clone());
            }
            line.extend(figures.iter().map(|figure| {
                of_cell
                    .iter()
                    .find(|row| row.figure == figure.column)
                    .map_or_else(|| "-".to_owned(), |row| notes.cell(row))
            }));
            let n = of_cell.iter().map(|row| row.n).max().filter(|n| *n > 0);
            line.push(n.map_or_else(|| "-".to_owned(), |n| n.to_string()));
            table.add_row(line);
        }
        let against = one.map_or_else(|| "the reference".to_owned(), str::to_owned);
        text.push_str(&format!("Scenario {scenario}: ratios to {against}, with their 95 % intervals over blocks\n"));
        text.push_str(&lines_of(&table));
        text.push_str(&notes.lines());
        text.push_str(&what_the_words_mean(&rows, &figures));
    }
    text
}

/// What the words stand for, and what so few blocks can find.
fn what_the_words_mean(rows: &[&ComparisonRow], figures: &[&Headline]) -> String {
    let mut lines = format!(
        "faster, slower: better, worse, at a level of 5 % for all comparisons of a column (sign-flip test, Holm); same: within {}\n",
        percent(rows.first().map_or(SAME_WITHIN, |row| row.same_within))
    );
    let least = figures.iter().filter_map(|Headline { column, short, .. }| {
        // Of too few blocks no study finds anything.
        let is_tested = |row: &&&ComparisonRow| row.figure == *column && row.verdict != Verdict::Refused;
        let of_figure = rows.iter().filter(is_tested).filter_map(|row| row.detectable_ratio);
        Some(format!("{:.2} for {short}", of_figure.reduce(f64::max)?))
    });
    let least: Vec<String> = least.collect();
    if !least.is_empty() {
        lines.push_str(&format!("The smallest ratio that four of five such studies find: {}\n", least.join(", ")));
    }
    lines
}

/// Two result sets: a line per cell and figure.
pub(crate) fn render_between(rows: &[ComparisonRow], before: &str, after: &str) -> String {
    let mut notes = Notes::default();
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["scenario", "backend", "figure", "before", "after", "after / before, 95 %", "n", "p", ""]);
    for row in rows {
        let name = named(&row.backend, &row.variant);
        let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
        let ratio = match (row.ratio, row.low, row.high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.3} [{low:.3}, {high:.3}]"),
            (Some(ratio), ..) => format!("{ratio:.3}"),
            (None, ..) => "-".to_owned(),
        };
        let verdict = match row.verdict {
            Verdict::Refused => format!("no word ({})", notes.number(&row.reason)),
            Verdict::Same => format!("same within {}", percent(row.same_within)),
            verdict => word(verdict),
        };
        table.add_row([
            row.scenario.clone(),
            name,
            row.figure.clone(),
            value(row.reference_value),
            value(row.value),
            ratio,
            match (row.n, row.paired) {
                (0, _) => "-".to_owned(),
                (n, true) => format!("{n} blocks"),
                (n, false) => format!("{n} runs"),
            },
            row.p_adjusted.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}")),
            verdict,
        ]);
    }
    for column in 3..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((1, 0));
    }
    let mut text = format!("before: {before}\nafter:  {after}\n{}{}", lines_of(&table), notes.lines());
    text.push_str(
        "p is that of the exact test, adjusted for all comparisons of the same figure in the same scenario (Holm)\n",
    );
    if rows.iter().any(|row| !row.paired && row.n > 0) {
        text.push_str(
            "Where n counts runs the blocks do not pair, and what differed between the two occasions is in the ratio\n",
        );
    }
    text
}

/// What there is, each once, in the order of its first place.
fn in_order<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut known = Vec::new();
    for item in all {
        if !known.contains(&item) {
            known.push(item);
        }
    }
    known
}
