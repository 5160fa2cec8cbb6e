//! Every backend of the registry has what a reader and a chart need of it: a place, a colour, a row in the docs, a conformance entry.

use std::collections::BTreeSet;

use qbench_backends::Entry;
use qbench_backends::registry::backends;

use crate::tree::Tree;

const PAGE: &str = "docs/BACKENDS.md";

/// What the rules ask of an entry.
struct Known<'a> {
    id: &'a str,
    engine: &'a str,
    in_process: bool,
    colour: Option<[u8; 3]>,
}

fn known(entry: &Entry) -> Known<'_> {
    Known { id: entry.id, engine: entry.engine.id, in_process: !entry.engine.has_objects, colour: entry.colour }
}

/// The order is that of tables and charts: no id twice, the designs of an engine together.
fn order(entries: &[Known<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        if entries[..place].iter().any(|before| before.id == entry.id) {
            complaints.push(format!("{} is registered twice", entry.id));
        }
        let before = entries[..place].last().is_some_and(|before| before.engine == entry.engine);
        if !before && entries[..place].iter().any(|before| before.engine == entry.engine) {
            complaints.push(format!("{} stands apart from the others on {}", entry.id, entry.engine));
        }
    }
    complaints
}

/// Least distance of two colours, as the sum over red, green and blue, at which lines in a chart are told apart.
const APART: u32 = 60;

/// Every entry has a colour, unlike all others. Grey, which charts use for what is not valid or not the queue's, is for the
/// backends that measure the harness, not a queue.
fn colours(entries: &[Known<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let Some(colour) = entry.colour else {
            complaints.push(format!("{} has no colour", entry.id));
            continue;
        };
        if colour.iter().all(|part| *part == colour[0]) && !entry.in_process {
            complaints.push(format!("{} is grey", entry.id));
        }
        for other in &entries[..place] {
            let distance =
                |other: [u8; 3]| colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>();
            if other.colour.map(distance).is_some_and(|distance| distance < APART) {
                complaints.push(format!("{} has nearly the colour of {}", entry.id, other.id));
            }
        }
    }
    complaints
}

/// Rows of a table of the page: those between the heading `begin` (or the top) and the next heading.
fn rows<'a>(page: &'a str, begin: &str) -> Vec<&'a str> {
    let from = page.find(begin).map_or("", |at| &page[at + begin.len()..]);
    let section = from.split("\n## ").next().unwrap_or_default();
    section.lines().filter(|line| line.starts_with('|')).collect()
}

/// Every id has a row of its own in the first table, which has no row of an unknown one, and a word under failures.
fn in_the_docs(tree: &Tree, entries: &[Known<'_>]) -> Vec<String> {
    let page = tree.text(PAGE).unwrap_or_default();
    let first_id = |row: &str| row.split('`').nth(1).unwrap_or_default().to_owned();
    let designs: BTreeSet<String> = rows(page, "# Which queue designs").iter().map(|row| first_id(row)).collect();
    let failures = rows(page, "## What a failing job becomes").join("\n");
    let mut complaints = Vec::new();
    for entry in entries {
        if !designs.contains(entry.id) {
            complaints.push(format!("{PAGE}: the first table has no row for {}", entry.id));
        }
        if !failures.contains(&format!("`{}`", entry.id)) {
            complaints.push(format!("{PAGE}: the table of failing jobs does not name {}", entry.id));
        }
    }
    let known = |id: &str| id.is_empty() || entries.iter().any(|entry| entry.id == id);
    complaints.extend(designs.iter().filter(|id| !known(id)).map(|id| format!("{PAGE}: {id} is no backend")));
    complaints
}

/// Every id is held to the conformance suite: by a line of the harness's tests, or by a test beside the suite.
fn conformance(tree: &Tree, entries: &[Known<'_>]) -> Vec<String> {
    let (beside, on_servers) = ("backends/tests/in_process_conformance.rs", "harness/engines/tests/conformance.rs");
    entries
        .iter()
        .filter_map(|entry| {
            let (file, line) = match entry.in_process {
                true => (beside, format!("passes(\"{}\"", entry.id)),
                false => (on_servers, format!(": \"{}\" \"\"", entry.id)),
            };
            let is_there = tree.text(file).is_some_and(|text| text.contains(&line));
            (!is_there).then(|| format!("{file} does not hold {} to the suite", entry.id))
        })
        .collect()
}

fn registry() -> Vec<Known<'static>> {
    backends().map(known).collect()
}

#[test]
fn every_backend_has_its_place() {
    crate::kept(|_| order(&registry()));
}

#[test]
fn every_backend_has_a_colour_of_its_own() {
    crate::kept(|_| colours(&registry()));
}

#[test]
fn every_backend_stands_in_the_docs() {
    crate::kept(|tree| in_the_docs(tree, &registry()));
}

#[test]
fn every_backend_is_held_to_the_suite() {
    crate::kept(|tree| conformance(tree, &registry()));
}

#[test]
fn faults_of_an_entry_are_seen() {
    let entry = |id, engine, colour| Known { id, engine, in_process: engine == "in_process", colour };
    let (red, green) = (Some([200, 20, 20]), Some([20, 200, 20]));
    let good =
        [entry("a", "postgresql", red), entry("b", "in_process", green), entry("c", "in_process", Some([90; 3]))];
    assert_eq!(order(&good), Vec::<String>::new());
    assert_eq!(colours(&good), Vec::<String>::new());

    let torn = [
        entry("a", "postgresql", red),
        entry("b", "valkey", red),
        entry("c", "postgresql", red),
        entry("a", "valkey", red),
    ];
    assert_eq!(
        order(&torn),
        [
            "c stands apart from the others on postgresql",
            "a is registered twice",
            "a stands apart from the others on valkey"
        ]
    );
    let drab = [
        entry("a", "postgresql", red),
        entry("b", "valkey", None),
        entry("c", "valkey", Some([90; 3])),
        entry("d", "valkey", Some([210, 30, 10])),
    ];
    assert_eq!(colours(&drab), ["b has no colour", "c is grey", "d has nearly the colour of a"]);

    let page = "# Which queue designs\n| id |\n| `a` |\n| `z` |\n\n## What a failing job becomes\n| `a`, `b` |\n";
    assert_eq!(
        in_the_docs(&Tree::of(&[(PAGE, page)]), &good),
        [
            "docs/BACKENDS.md: the first table has no row for b",
            "docs/BACKENDS.md: the first table has no row for c",
            "docs/BACKENDS.md: the table of failing jobs does not name c",
            "docs/BACKENDS.md: z is no backend",
        ]
    );
    let tests = [
        ("harness/engines/tests/conformance.rs", "a_d0: \"a\" \"\" D0,"),
        ("backends/tests/in_process_conformance.rs", "passes(\"b\", 3)"),
    ];
    assert_eq!(
        conformance(&Tree::of(&tests), &good),
        ["backends/tests/in_process_conformance.rs does not hold c to the suite"]
    );
}
