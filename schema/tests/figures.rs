//! That docs/FORMATS.md lists the columns that there are, and that the order of old columns names columns that there are.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use qbench_schema::summary::{Better, COLUMNS, Column, cell_columns, run_columns};

const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->";

fn line(column: &Column) -> String {
    let files = match (column.run, column.cell) {
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "runs",
        (None, _) => "summary",
    };
    let better = match column.better {
        Better::More => "more",
        Better::Less => "less",
        Better::Neither => "",
    };
    let (over_runs, unit) = (column.over_runs.unwrap_or_default(), column.unit);
    format!("| `{}` | {unit} | {files} | {over_runs} | {better} | {} |\n", column.name, column.sentence)
}

#[test]
fn the_page_on_formats_lists_every_column() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMATS.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut list =
        "| column | unit | file | in a cell: over its runs | better | what it is |\n|---|---|---|---|---|---|\n"
            .to_owned();
    COLUMNS.iter().for_each(|column| list.push_str(&line(column)));
    let (_, rest) = page.split_once(BEGIN).expect("the page has a place for the list");
    let (found, _) = rest.split_once(END).expect("the place for the list ends");
    assert!(found == list, "docs/FORMATS.md, between its two marks about figures, should read:\n{list}");
}

#[test]
fn a_column_has_one_place_and_old_columns_keep_theirs() {
    let names = |columns: Vec<&'static Column>| columns.iter().map(|column| column.name).collect::<Vec<_>>();
    let runs = names(run_columns());
    let cells = names(cell_columns());
    for all in [&runs, &cells] {
        assert!(all.iter().enumerate().all(|(place, name)| !all[..place].contains(name)));
    }
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/reference/analysis");
    for (file, now) in [("runs.csv", runs), ("summary.csv", cells)] {
        let written = std::fs::read_to_string(reference.join(file)).unwrap();
        let before: Vec<&str> = written.lines().next().unwrap().split(',').collect();
        assert_eq!(now[..before.len()], before, "{file} grows to the right, and nothing in it moves");
    }
}

#[test]
fn a_place_in_a_table_of_a_terminal_is_taken_once_and_by_a_figure_of_a_cell() {
    let shown = || COLUMNS.iter().flat_map(|column| column.shown.iter().map(move |shown| (column, shown)));
    for (column, place) in shown() {
        assert!(column.cell.is_some(), "{} is shown and has no value in a cell", column.name);
        let same = shown().filter(|(_, other)| (other.table, other.place) == (place.table, place.place)).count();
        assert_eq!(same, 1, "{}: {place:?}", column.name);
    }
}
