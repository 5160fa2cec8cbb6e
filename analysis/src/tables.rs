//! The comparison as text: a block per scenario, a line per backend.
//!
//! Best values are marked within one class of durability, delivery and waiting only (METHODOLOGY F1, F2, F8), only among valid
//! rows below capacity, and only where an interval allows it: everything else is shown, and said to be something else.

pub(crate) mod aa;
pub(crate) mod bracket;
mod capacity;
pub(crate) mod comparison;
mod cost;
mod figure;
mod ladder;
mod marks;
pub(crate) mod round_trip;
mod scaling;

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use qbench_schema::result::{IN_PROCESS, LoadMode};
use qbench_schema::summary::{RunRow, SummaryRow, TableKind, Unless};

use crate::class::{Class, delivery_label, durability_label, is_overload, is_ranked, waiting_label};
use crate::compare::Cell;
use crate::order::distinct_scenarios;
use crate::round_trip::sweeps;
use crate::sweep::{ladders, scalings};
use crate::variant::{named, variants};
pub(crate) use figure::number;
use figure::{ABSENT, Figure, figures};
use marks::Rivals;

/// What stands behind the best value of its class.
const BEST: &str = "*";
/// Lines above and below the header and at the end; none between rows, which are short.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// `3 runs per cell`, `1 to 3 runs per cell`.
pub(crate) fn runs_label<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> String {
    let counts: BTreeSet<u32> = rows.map(|row| row.runs).filter(|runs| *runs > 0).collect();
    match (counts.first(), counts.last()) {
        (Some(1), Some(1)) => "1 run per cell".to_owned(),
        (Some(fewest), Some(most)) if fewest == most => format!("{most} runs per cell"),
        (Some(fewest), Some(most)) => format!("{fewest} to {most} runs per cell"),
        _ => "no finished run".to_owned(),
    }
}

/// `500 jobs/s`, or `500 to 1000 jobs/s` where rows differ.
pub(crate) fn offered_label<'a>(rows: impl Iterator<Item = &'a SummaryRow>) -> String {
    let (fewest, most) = rows
        .map(|row| row.offered_jobs_s)
        .filter(|offered| offered.is_finite())
        .fold((f64::INFINITY, 0.0_f64), |(fewest, most), offered| (fewest.min(offered), most.max(offered)));
    match (number(fewest.min(most)), number(most)) {
        (fewest, most) if fewest == most => format!("{most} jobs/s"),
        (fewest, most) => format!("{fewest} to {most} jobs/s"),
    }
}

/// The same without those that no row has a figure for.
fn figures_of(table: TableKind, named: &[&Named]) -> Vec<Figure> {
    let mut figures = figures(table);
    figures.retain(|figure| named.iter().any(|named| figure.number(named.row).is_some()));
    figures
}

/// Headings of the columns that say whether a row may be ranked, and in which class.
const CLASS_COLUMNS: [&str; 4] = ["valid", "durability", "delivery", "waiting"];

/// What stands below the last three of them.
fn class_cells(row: &SummaryRow) -> [String; 3] {
    [durability_label(row.durability), delivery_label(row.delivery), waiting_label(row)]
}

/// The whole comparison. `rows` are in the order in which they are shown; `runs` has the finished runs of each.
pub fn render(rows: &[SummaryRow], runs: &[Vec<RunRow>]) -> String {
    let named: Vec<Named> = rows
        .iter()
        .zip(runs)
        .zip(variants(rows))
        .map(|((row, runs), variant)| Named { row, runs, name: named(&row.backend, &variant) })
        .collect();
    let of = |scenario: &str, is_capacity: bool| -> Vec<&Named> {
        named.iter().filter(|named| named.row.scenario == scenario && named.is_capacity() == is_capacity).collect()
    };
    let mut blocks = Vec::new();
    for scenario in distinct_scenarios(rows.iter().map(|row| row.scenario.as_str())) {
        let (on_schedule, flat_out) = (of(scenario, false), of(scenario, true));
        if !on_schedule.is_empty() {
            blocks.push(render_scenario(scenario, &on_schedule));
        }
        if !flat_out.is_empty() {
            blocks.push(capacity::render(scenario, &flat_out));
        }
        blocks.extend(cost::render(scenario, &of(scenario, false)));
    }
    blocks.extend(aa::render(rows, runs));
    blocks.extend(ladders(rows).iter().flat_map(ladder::render));
    blocks.extend(scalings(rows).iter().flat_map(scaling::render));
    let runs_of_rows: Vec<Vec<&RunRow>> = runs.iter().map(|runs| runs.iter().collect()).collect();
    blocks.extend(sweeps(rows, &runs_of_rows).iter().map(round_trip::render));
    blocks.join("\n")
}

/// A table as lines of text without spaces at their ends.
fn lines_of(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A row with the name that it has in all blocks.
pub(crate) struct Named<'a> {
    pub(crate) row: &'a SummaryRow,
    /// Its finished runs.
    pub(crate) runs: &'a [RunRow],
    pub(crate) name: String,
}

impl Named<'_> {
    /// Whether its load followed no schedule: then it has rates, and its latencies mean nothing.
    fn is_capacity(&self) -> bool {
        self.row.mode == LoadMode::Saturation
    }
}

fn render_scenario(scenario: &str, named: &[&Named]) -> String {
    let rows: &[&SummaryRow] = &named.iter().map(|named| named.row).collect::<Vec<_>>();
    let all = || rows.iter().copied();
    let has_background = all().any(|row| row.background_tps.is_some());
    let figures = figures_of(TableKind::Scenario, named);

    let mut table = Table::new();
    table.load_style(STYLE);
    let mut header = vec!["backend", "engine"];
    header.extend(figures.iter().map(|figure| figure.title));
    header.extend(CLASS_COLUMNS);
    table.set_header(&header);
    let candidates: Vec<Cell> = named.iter().map(|named| Cell { row: named.row, runs: named.runs }).collect();
    let marked = figures.iter().filter(|figure| figure.may_be_marked(has_background)).count();
    let mut blocks = 0;
    let mut notes: Vec<String> = Vec::new();
    let mut lines: Vec<Vec<String>> = Vec::new();
    for Named { row, name, .. } in named {
        let rivals = Rivals::new(&candidates, row, marked);
        blocks = blocks.max(rivals.blocks());
        let mut cells = vec![name.clone(), row.engine.clone()];
        cells.extend(figures.iter().map(|figure| match figure.column.unless {
            _ if row.runs == 0 => ABSENT.to_owned(),
            Some(Unless::Overload) if is_overload(row) => format!("({})", figure.text(row)),
            // What was completed is a share of what was asked.
            Some(Unless::OnSchedule) if is_overload(row) => {
                format!("{} of {}", figure.text(row), number(row.offered_jobs_s))
            }
            _ if figure.may_be_marked(has_background) && rivals.is_best(figure, row) => {
                format!("{}{BEST}", figure.text_with_interval(row))
            }
            // At a given rate it is what was offered.
            Some(Unless::OnSchedule) => figure.text(row),
            _ => figure.text_with_interval(row),
        }));
        cells.push(verdict(row, name, &mut notes));
        cells.extend(class_cells(row));
        lines.push(cells);
    }
    for column in 0..header.len() {
        // Digits stand below digits: where one figure has a mark the others have a blank.
        if lines.iter().any(|line| line[column].ends_with(BEST)) {
            lines.iter_mut().filter(|line| !line[column].ends_with(BEST)).for_each(|line| line[column].push(' '));
        }
    }
    table.add_rows(lines);
    align(&mut table, &header);

    let title = format!("Scenario {scenario}: {} offered, {}", offered_label(all()), runs_label(all()));
    if all().any(|row| row.latency_p50_ms_low.is_some()) {
        notes.insert(0, "In brackets: the 95 % interval over the runs of the cell".to_owned());
    }
    let unsteady = named.iter().filter(|named| !named.row.unsteady.is_empty());
    notes.extend(unsteady.map(|named| format!("{}: not steady: {}", named.name, named.row.unsteady)));
    let mut text = format!("{title}\n{}", lines_of(&table));
    for line in explain_ranking(rows, blocks).into_iter().chain(notes) {
        text.push_str(&format!("{line}\n"));
    }
    text
}

/// Words to the left, figures to the right.
fn align(table: &mut Table, header: &[&str]) {
    for (title, column) in header.iter().zip(table.column_iter_mut()) {
        column.set_padding((1, 0));
        if !matches!(*title, "backend" | "engine" | "rung" | "change" | "valid" | "durability" | "delivery" | "waiting")
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A table of figures that are not ranked: a column that no row has a figure for is left out.
/// Why a row is not valid goes to `notes`, where there are any.
fn plain(title: &str, named: &[&Named], table: TableKind, mut notes: Option<&mut Vec<String>>) -> String {
    let figures = figures_of(table, named);
    let mut table = Table::new();
    table.load_style(STYLE);
    let mut header = vec!["backend"];
    header.extend(figures.iter().map(|figure| figure.title));
    header.extend(CLASS_COLUMNS);
    table.set_header(&header);
    for Named { row, name, .. } in named {
        let mut cells = vec![name.clone()];
        cells.extend(figures.iter().map(|figure| figure.text(row)));
        cells.push(match (row.runs, row.valid, &mut notes) {
            (0, ..) => "no run".to_owned(),
            (_, false, Some(notes)) => {
                notes.push(format!("[{}] {name}: {}", notes.len() + 1, row.reasons));
                format!("NO [{}]", notes.len())
            }
            (_, false, None) => "NO".to_owned(),
            (_, true, _) if is_overload(row) && row.mode != LoadMode::Saturation => "overload".to_owned(),
            (_, true, _) => "yes".to_owned(),
        });
        cells.extend(class_cells(row));
        table.add_row(cells);
    }
    align(&mut table, &header);
    format!("{title}\n{}", lines_of(&table))
}

/// What the `valid` column says; the reasons go below the table as a numbered note.
fn verdict(row: &SummaryRow, name: &str, notes: &mut Vec<String>) -> String {
    let note = notes.len() + 1;
    let name = format!("[{note}] {name}");
    let overload = is_overload(row).then(|| {
        format!(
            "overload: it achieved {} of {} jobs/s, its backlog grew by {} jobs/s and took {} s to drain; its percentiles, in \
             brackets, only measure the length of the run",
            number(row.throughput_jobs_s),
            number(row.offered_jobs_s),
            number(row.backlog_slope_jobs_s),
            number(row.drain_s)
        )
    });
    let (word, text) = if row.runs == 0 {
        ("no run", row.reasons.clone())
    } else if !row.valid {
        ("NO", [overload, Some(row.reasons.clone())].into_iter().flatten().collect::<Vec<_>>().join("; "))
    } else if let Some(overload) = overload {
        ("overload", overload)
    } else if row.failed_runs > 0 {
        ("yes", format!("{} more run(s) left out: {}", row.failed_runs, row.reasons))
    } else if row.spoiled_runs > 0 {
        let counted = format!("yes, {} of {}", row.runs, row.runs + row.spoiled_runs);
        notes.push(format!("{name}: {}", row.reasons));
        return format!("{counted} [{note}]");
    } else {
        return "yes".to_owned();
    };
    notes.push(format!("{name}: {}", if text.is_empty() { "no reason was recorded" } else { &text }));
    format!("{word} [{note}]")
}

/// What the mark means, and which classes were ranked apart from each other.
/// `blocks` are the most runs that a ranked cell has.
fn explain_ranking(rows: &[&SummaryRow], blocks: usize) -> Vec<String> {
    let ranked: Vec<_> = rows.iter().filter(|row| is_ranked(row)).collect();
    let mut classes: Vec<Class> = Vec::new();
    for class in ranked.iter().map(|row| Class::of(row)) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    classes.sort_by_key(Class::label);
    let members = |class: &Class| ranked.iter().filter(|row| Class::of(row) == *class).count();
    let mut lines = Vec::new();
    if classes.iter().any(|class| members(class) > 1) {
        lines.push(marks::too_few(blocks).unwrap_or_else(|| {
            let among = if classes.len() == 1 { "" } else { " within its class" };
            format!(
                "{BEST} best of the column{among}: its interval against each rival excludes 1, at a level of 5 % for the whole \
                 table, over {blocks} blocks"
            )
        }));
    }
    if classes.len() > 1 {
        let list: Vec<_> = classes
            .iter()
            .map(|class| {
                let names: Vec<_> =
                    ranked.iter().filter(|row| Class::of(row) == *class).map(|row| row.backend.as_str()).collect();
                let alone = if names.len() == 1 { " (alone in its class)" } else { "" };
                format!("{}: {}{alone}", class.label(), names.join(", "))
            })
            .collect();
        lines.push(format!("Not ranked across classes of durability, delivery and waiting. {}", list.join("; ")));
    }
    if rows.iter().any(|row| row.engine == IN_PROCESS && row.runs > 0) {
        lines.push("Backends in process are the floor of the harness and are not ranked".to_owned());
    }
    lines
}
