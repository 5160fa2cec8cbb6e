//! Only an engine's own rooms know it by name: everything else asks its entry, so that a new engine is never forgotten in silence.

use crate::floors::engines;
use crate::rust::{source, without_tests};
use crate::tree::Tree;

/// Where one engine is really meant, and why.
const MEANT: &[(&str, &str)] = &[
    ("backends/src/lib.rs", "lists the rooms"),
    ("harness/engines/src/background", "pgbench is a program of PostgreSQL"),
];

/// Code outside of the rooms, tests apart, that names an engine: `postgres::ENGINE`.
pub fn complaints(tree: &Tree) -> Vec<String> {
    let engines = engines(tree);
    let mut complaints = Vec::new();
    for (path, text) in tree.ending(&[".rs"]).filter(|(path, _)| path.contains("/src/")) {
        let in_room = engines.iter().any(|engine| path.contains(&format!("/src/{engine}/")));
        if in_room || MEANT.iter().any(|(meant, _)| path.starts_with(meant)) {
            continue;
        }
        let code = without_tests(&source(text).code).0;
        for (number, line) in code.lines().enumerate() {
            if engines.iter().any(|engine| line.contains(&format!("{engine}::ENGINE"))) {
                complaints.push(format!("{path}: {} (line {} without tests)", line.trim(), number + 1));
            }
        }
    }
    complaints
}

#[test]
fn nothing_decides_by_an_engine_outside_of_its_rooms() {
    crate::kept(complaints);
}

#[test]
fn a_decision_by_an_engine_is_seen() {
    let house =
        |path, text| [("backends/src/postgres/mod.rs", ""), ("harness/engines/src/postgres/mod.rs", ""), (path, text)];
    let arm = "if kind == qbench_backends::postgres::ENGINE { 1 } else { 2 }";
    crate::caught(
        complaints,
        &house("harness/src/run/servers.rs", arm),
        &format!("harness/src/run/servers.rs: {arm} (line 1 without tests)"),
    );
    crate::permitted(complaints, &house("backends/src/postgres/skip_locked.rs", arm));
    crate::permitted(complaints, &house("harness/tests/a.rs", arm));
    crate::permitted(
        complaints,
        &house("harness/src/a.rs", "// postgres::ENGINE\nfn f(kind: EngineKind) -> bool { kind.has_server }"),
    );
}
