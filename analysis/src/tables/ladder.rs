//! Climbs: what each rung brought over the one below it.

use comfy_table::Table;
use qbench_schema::summary::{SummaryRow, TableKind};

use super::{ABSENT, Figure, STYLE, align, figures, lines_of, offered_label, runs_label, verdict};
use crate::sweep::{Climber, Ladder};

/// Heading of the columns of changes.
const CHANGE: &str = "+/-\n%";

/// One block per backend that climbed.
pub(super) fn render(ladder: &Ladder) -> Vec<String> {
    ladder.series.iter().map(|climber| render_climber(ladder, climber)).collect()
}

fn render_climber(ladder: &Ladder, climber: &Climber) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    let figures = figures(TableKind::Ladder);
    let mut header = vec!["rung", "change"];
    header.extend(figures.iter().flat_map(|figure| [figure.title, CHANGE]));
    header.push("valid");
    table.set_header(&header);
    let mut notes = Vec::new();
    for (index, (rung, row)) in ladder.rungs.iter().zip(&climber.rows).enumerate() {
        let mut cells = vec![(*rung).to_owned(), climber.change(index)];
        let below = index.checked_sub(1).and_then(|below| climber.rows[below]);
        cells.extend(figures.iter().flat_map(|figure| {
            let text = row.filter(|row| row.runs > 0).map_or(ABSENT.to_owned(), |row| figure.text(row));
            [text, change(below, *row, figure)]
        }));
        cells.push(row.map_or(ABSENT.to_owned(), |row| verdict(row, rung, &mut notes)));
        table.add_row(cells);
    }
    if let [Some(bottom), _, .., Some(top)] = &climber.rows[..] {
        let mut cells = vec!["bottom to top".to_owned(), String::new()];
        cells.extend(figures.iter().flat_map(|figure| [String::new(), change(Some(bottom), Some(top), figure)]));
        cells.push(String::new());
        table.add_row(cells);
    }
    align(&mut table, &header);
    let rows = || climber.rows.iter().copied().flatten();
    let mut text = format!(
        "Climb {}: {} in scenario {}, {} offered on every rung, {}\n{}",
        ladder.plan,
        climber.name,
        ladder.scenario,
        offered_label(rows()),
        runs_label(rows()),
        lines_of(&table)
    );
    text.push_str("+/- is against the rung below; a rung is the one below it and the change that it names\n");
    if rows().any(|row| !row.valid) {
        text.push_str("There is no +/- to or from a rung that is not valid\n");
    }
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}

/// By how many percent a figure changed; nothing where one of the two is missing or not valid, or the first is nothing.
fn change(before: Option<&SummaryRow>, now: Option<&SummaryRow>, figure: &Figure) -> String {
    let comparable =
        |row: Option<&SummaryRow>| row.filter(|row| row.valid && row.runs > 0).and_then(|row| figure.number(row));
    match (comparable(before), comparable(now)) {
        (Some(before), Some(now)) if before > 0.0 => match ((now / before - 1.0) * 100.0).round() {
            0.0 => "0".to_owned(),
            pct => format!("{pct:+.0}"),
        },
        _ => String::new(),
    }
}
