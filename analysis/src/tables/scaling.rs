//! Flat out with more and more workers: what each further one still brings.

use comfy_table::Table;

use qbench_schema::summary::TableKind;

use super::{ABSENT, STYLE, align, figures, lines_of, runs_label};
use crate::sweep::{Curve, Scaling};

/// One block per backend and set of further settings.
pub(super) fn render(scaling: &Scaling) -> Vec<String> {
    scaling.series.iter().map(|curve| render_curve(scaling.scenario, curve)).collect()
}

fn render_curve(scenario: &str, curve: &Curve) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    let figures = figures(TableKind::Scaling);
    let mut header = vec!["workers"];
    header.extend(figures.iter().map(|figure| figure.title));
    // The share stands beside what it is a share of.
    header.insert(2, "of linear\n%");
    header.push("valid");
    table.set_header(&header);
    let mut notes = Vec::new();
    for point in &curve.points {
        let row = point.row;
        let mut cells = vec![point.workers.to_string()];
        cells.extend(figures.iter().map(|figure| if row.runs > 0 { figure.text(row) } else { ABSENT.to_owned() }));
        cells.insert(2, curve.efficiency_pct(point).map_or(ABSENT.to_owned(), |pct| format!("{pct:.0}")));
        cells.push(match (row.runs, row.valid) {
            (0.., true) => "yes".to_owned(),
            (runs, false) => {
                notes.push(format!("[{}] {} workers: {}", notes.len() + 1, point.workers, row.reasons));
                format!("{} [{}]", if runs == 0 { "no run" } else { "NO" }, notes.len())
            }
        });
        table.add_row(cells);
    }
    align(&mut table, &header);
    let runs = runs_label(curve.points.iter().map(|point| point.row));
    let mut text = format!("Scaling of {} in scenario {scenario}: flat out, {runs}\n{}", curve.name, lines_of(&table));
    text.push_str(&match curve.base() {
        Some(base) => {
            let is_fewest = curve.points.first().is_some_and(|point| point.workers == base.workers);
            let why = if is_fewest { "" } else { ", the fewest with a valid figure" };
            format!("100 % of linear: as much per worker as with {} workers{why}\n", base.workers)
        }
        None => "No share of linear: there is no valid figure to hold the others against\n".to_owned(),
    });
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}
