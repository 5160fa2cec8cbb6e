//! No import runs up: crates, and the rooms of the engines within a crate, know only what stands below them.

use std::collections::BTreeSet;

use crate::circles::{Module, crate_in};
use crate::tree::Tree;

/// Each crate, and the crates of ours that it may know.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("ground", &[]),
    ("backends", &["schema"]),
    ("scenarios", &["schema"]),
    ("orchestration", &["schema"]),
    ("analysis", &["schema"]),
    ("driver", &["schema", "backends", "scenarios", "ground"]),
    ("engines", &["schema", "backends", "scenarios", "ground"]),
    ("harness", &["schema", "backends", "scenarios", "ground", "driver", "engines", "orchestration", "analysis"]),
];

/// Dependencies between crates that are not permitted. What tests alone depend on is their own affair.
pub fn between_crates(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(&["/Cargo.toml"]) {
        let Some(name) =
            text.lines().find_map(|line| line.strip_prefix("name = \"qbench-")).map(|rest| rest.trim_end_matches('"'))
        else {
            continue;
        };
        let Some((_, may_know)) = MAY_KNOW.iter().find(|(known, _)| *known == name) else {
            complaints.push(format!("{path}: nobody has said what {name} may know"));
            continue;
        };
        let dependencies =
            text.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).unwrap_or_default();
        for line in dependencies.lines() {
            let known = line.strip_prefix("qbench-").and_then(|rest| rest.split(['.', ' ', '=']).next());
            if let Some(known) = known.filter(|known| !may_know.contains(known)) {
                complaints.push(format!("{path}: {name} knows {known}"));
            }
        }
    }
    complaints
}

/// A crate with a room for each engine.
struct House {
    folder: &'static str,
    /// Rooms that are no engine's.
    more_rooms: &'static [&'static str],
    /// Modules that stand above the rooms. All others, the crate's face apart, stand below.
    roof: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House { folder: "backends/src", more_rooms: &["external"], roof: &["registry", "conformance"] },
    House { folder: "harness/engines/src", more_rooms: &["background"], roof: &[] },
];

/// Engines: what has a room on both sides.
pub fn engines(tree: &Tree) -> BTreeSet<String> {
    let rooms = |house: &House| -> BTreeSet<String> {
        let prefix = format!("{}/", house.folder);
        tree.ending(&[".rs"])
            .filter_map(|(path, _)| path.strip_prefix(&prefix)?.split_once('/'))
            .map(|(folder, _)| folder.to_owned())
            .collect()
    };
    rooms(&HOUSES[0]).intersection(&rooms(&HOUSES[1])).cloned().collect()
}

/// Modules below the rooms that know one, rooms that know another one, and rooms that know the roof.
pub fn between_rooms(tree: &Tree) -> Vec<String> {
    let engines = engines(tree);
    let mut complaints = Vec::new();
    for house in HOUSES {
        let top = |module: &Module| module.first().cloned().unwrap_or_default();
        let is_room = |name: &str| engines.contains(name) || house.more_rooms.contains(&name);
        let is_roof = |name: &str| house.roof.contains(&name);
        let parts = crate_in(tree, house.folder);
        for (module, names) in parts.names.iter().filter(|(module, _)| !module.is_empty()) {
            let from = top(module);
            for named in names.iter().filter(|named| top(named) != from && !is_roof(&from)) {
                let to = top(named);
                // pgbench, the background load, runs on PostgreSQL.
                if (is_room(&to) && from != "background") || is_roof(&to) {
                    complaints.push(format!("{} knows {}", parts.files[module], parts.files[named]));
                }
            }
        }
    }
    complaints
}

#[test]
fn crates_know_only_what_stands_below_them() {
    crate::kept(between_crates);
}

#[test]
fn rooms_know_neither_each_other_nor_the_roof() {
    crate::kept(between_rooms);
}

#[test]
fn a_crate_that_knows_too_much_is_seen() {
    let cargo = |name: &str, dependency: &str| {
        format!(
            "[package]\nname = \"qbench-{name}\"\n\n[dependencies]\nserde = \"1\"\n{dependency}\n\n[dev-dependencies]\nqbench-harness.workspace = true\n"
        )
    };
    let caught = |name: &str, dependency: &str, complaint: &str| {
        crate::caught(between_crates, &[("a/Cargo.toml", &cargo(name, dependency))], complaint);
    };
    caught("schema", "qbench-backends.workspace = true", "a/Cargo.toml: schema knows backends");
    caught("analysis", "qbench-scenarios = { path = \"b\" }", "a/Cargo.toml: analysis knows scenarios");
    caught("news", "", "a/Cargo.toml: nobody has said what news may know");
    crate::permitted(between_crates, &[("a/Cargo.toml", &cargo("analysis", "qbench-schema.workspace = true"))]);
}

#[test]
fn a_room_that_knows_another_one_is_seen() {
    let house = |path, text| {
        [
            ("backends/src/postgres/mod.rs", ""),
            ("backends/src/valkey/mod.rs", ""),
            ("backends/src/registry.rs", "use crate::{postgres, valkey};"),
            ("backends/src/seam.rs", ""),
            ("harness/engines/src/postgres/mod.rs", ""),
            ("harness/engines/src/valkey/mod.rs", ""),
            (path, text),
        ]
    };
    let caught = |path, text, complaint| crate::caught(between_rooms, &house(path, text), complaint);
    caught(
        "backends/src/valkey/link.rs",
        "use crate::postgres::Link;",
        "backends/src/valkey/link.rs knows backends/src/postgres/mod.rs",
    );
    caught(
        "backends/src/waiting.rs",
        "fn f() { crate::valkey::f() }",
        "backends/src/waiting.rs knows backends/src/valkey/mod.rs",
    );
    caught(
        "backends/src/valkey/link.rs",
        "use crate::registry;",
        "backends/src/valkey/link.rs knows backends/src/registry.rs",
    );
    crate::permitted(between_rooms, &house("backends/src/valkey/link.rs", "use super::Link; use crate::seam::Queue;"));
}
