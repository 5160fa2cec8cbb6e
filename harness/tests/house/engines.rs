//! Only an engine's own rooms know it by name: everything else asks its entry, so that a new engine is never forgotten in silence.

use crate::floors::engines;
use crate::rust::{source, without_tests};
use crate::tree::Tree;

/// Where one engine is really meant, and why.
const MEANT: &[(&str, &str)] = &[];

/// Code outside of the rooms, tests apart, that decides by an engine: a variant of `EngineKind`, or the id of an engine as a text.
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
            let decides = line
                .match_indices("EngineKind::")
                .any(|(at, word)| line[at + word.len()..].starts_with(|c: char| c.is_ascii_uppercase()));
            if decides {
                complaints.push(format!("{path}: {} (line {} without tests)", line.trim(), number + 1));
            }
        }
    }
    complaints
}

#[test]
fn a_decision_by_an_engine_is_seen() {
    let house =
        |path, text| [("backends/src/postgres/mod.rs", ""), ("harness/engines/src/postgres/mod.rs", ""), (path, text)];
    let arm = "match kind { EngineKind::Postgres => 1, _ => 2 }";
    crate::caught(
        complaints,
        &house("harness/src/run/servers.rs", arm),
        &format!("harness/src/run/servers.rs: {arm} (line 1 without tests)"),
    );
    crate::permitted(complaints, &house("backends/src/postgres/skip_locked.rs", arm));
    crate::permitted(complaints, &house("harness/tests/a.rs", arm));
    crate::permitted(
        complaints,
        &house("harness/src/a.rs", "// EngineKind::Postgres\nfn f(kind: EngineKind) { kind.name() }"),
    );
}
