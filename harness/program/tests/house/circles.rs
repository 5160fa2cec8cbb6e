//! No circle of files: a reader who follows imports comes to an end.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust::{source, without_tests};
use crate::tree::Tree;

/// A module, as the names on the way to it; empty for the crate's root.
pub type Module = Vec<String>;

/// The modules of one crate: where each stands, and which others it names.
pub struct Crate {
    pub files: BTreeMap<Module, String>,
    pub names: BTreeMap<Module, BTreeSet<Module>>,
}

/// The crate whose sources stand in `folder` (`backends/src`). What is compiled for tests only is left out.
pub fn crate_in(tree: &Tree, folder: &str) -> Crate {
    let prefix = format!("{folder}/");
    let mut codes: BTreeMap<Module, (String, String)> = BTreeMap::new();
    let mut for_tests: Vec<Module> = Vec::new();
    for (path, text) in tree.ending(&[".rs"]).filter(|(path, _)| path.starts_with(&prefix)) {
        let mut module: Module = path[prefix.len()..].trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let (code, test_files) = without_tests(&source(text).code);
        for_tests.extend(test_files.into_iter().map(|name| [module.clone(), vec![name]].concat()));
        let (at, all) = codes.entry(module).or_default();
        if at.is_empty() {
            path.clone_into(at);
        }
        all.push_str(&code);
    }
    codes.retain(|module, _| !for_tests.iter().any(|test| module.starts_with(test)));
    let names = codes
        .iter()
        .map(|(module, (_, code))| {
            let named = paths(code).into_iter().filter_map(|path| resolve(module, &path, &codes));
            (module.clone(), named.filter(|named| named != module).collect())
        })
        .collect();
    Crate { files: codes.into_iter().map(|(module, (path, _))| (module, path)).collect(), names }
}

/// Folders of all crates.
pub fn crates(tree: &Tree) -> Vec<String> {
    tree.ending(&["/Cargo.toml"])
        .map(|(path, _)| path.replace("Cargo.toml", "src"))
        .filter(|src| tree.has(src))
        .collect()
}

/// Every path in `use` declarations, and every one in the code that begins at `crate` or `super`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for statement in code.split(';') {
        // The declaration is what follows the last word `use` at the beginning of an item.
        let Some(begin) = statement.rfind("use ").filter(|begin| {
            let before = statement[..*begin].trim_end();
            let visible = before
                .rfind("pub")
                .map_or(before, |at| if is_visibility(&before[at..]) { &before[..at] } else { before });
            visible.trim_end().is_empty() || visible.trim_end().ends_with(['}', ']', '{'])
        }) else {
            continue;
        };
        expand("", statement[begin + 4..].trim(), &mut paths);
    }
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let is_start = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                let end = code[at..]
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .map_or(code.len(), |n| at + n);
                // What a brace follows is a declaration, whose paths are known already.
                if !code[at..end].ends_with("::") {
                    paths.push(code[at..end].to_owned());
                }
            }
        }
    }
    paths
        .iter()
        .map(|path| path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        .collect()
}

fn is_visibility(text: &str) -> bool {
    text == "pub" || (text.starts_with("pub(") && text.ends_with(')'))
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        paths.push(format!("{before}{}", path.trim()));
        return;
    };
    let before = format!("{before}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 && c == ',' {
            if !inner[begin..at].trim().is_empty() {
                expand(&before, inner[begin..at].trim(), paths);
            }
            begin = at + 1;
        }
    }
}

/// The module that `path`, written in `module`, leads into.
fn resolve(module: &Module, path: &[String], modules: &BTreeMap<Module, (String, String)>) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            let child = [base.clone(), vec![first.to_owned()]].concat();
            modules.contains_key(&child).then_some(())?;
        }
    }
    for part in rest {
        let deeper = [base.clone(), vec![part.clone()]].concat();
        if !modules.contains_key(&deeper) {
            break;
        }
        base = deeper;
    }
    modules.contains_key(&base).then_some(base)
}

/// One complaint per circle. The root of a crate hands names on; it is in no circle.
pub fn complaints(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for folder in crates(tree) {
        let Crate { files, names } = crate_in(tree, &folder);
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            names.keys().filter(|module| !module.is_empty()).map(|module| (module, reach(module, &names))).collect();
        let mut told: BTreeSet<&Module> = BTreeSet::new();
        for (module, reachable) in &reached {
            let circle: Vec<&Module> =
                reachable.iter().copied().filter(|other| reached[*other].contains(module)).collect();
            if !circle.is_empty() && told.insert(module) {
                told.extend(circle.iter().copied());
                let files: Vec<&str> = circle.iter().map(|module| files[*module].as_str()).collect();
                complaints.push(format!("{} files import each other in a circle: {}", files.len(), files.join(", ")));
            }
        }
    }
    complaints
}

/// Everything that `module` names, and what that names, and so on.
fn reach<'a>(module: &Module, names: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&Module> = names[module].iter().collect();
    while let Some(next) = open.pop() {
        if !next.is_empty() && seen.insert(next) {
            open.extend(&names[next]);
        }
    }
    seen
}

#[test]
fn there_is_no_circle_of_files() {
    crate::kept(complaints);
}

#[test]
fn circles_of_every_way_to_name_a_module_are_seen() {
    let circle = "2 files import each other in a circle: a/src/one.rs, a/src/two.rs";
    for (one, two) in [
        ("use crate::two::Two;", "use crate::one::One;"),
        ("pub(crate) use super::two::{self, Two as Other};", "fn f() { crate::one::f() }"),
        ("use std::{io, fmt};\nuse super::{two::Two};", "fn f() -> super::one::One { \"//\" }"),
    ] {
        crate::caught(complaints, &[("a/Cargo.toml", ""), ("a/src/one.rs", one), ("a/src/two.rs", two)], circle);
    }
    let deep = [
        ("a/Cargo.toml", ""),
        ("a/src/one/mod.rs", "mod two;\npub use two::Two;"),
        ("a/src/one/two.rs", "use super::LIMIT;"),
    ];
    crate::caught(complaints, &deep, "2 files import each other in a circle: a/src/one/mod.rs, a/src/one/two.rs");
}

#[test]
fn tests_comments_and_the_crate_s_face_make_no_circle() {
    crate::permitted(
        complaints,
        &[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "pub mod one; mod two; pub use two::Two; pub use one::One;"),
            (
                "a/src/one.rs",
                "use crate::Two;\nmod three;\n#[cfg(test)]\nmod tests { use super::three::Three; use crate::two::Two; }",
            ),
            ("a/src/one/three.rs", "//! See crate::one::One and use super::One;"),
            ("a/src/two.rs", "use crate::one::One; #[cfg(test)] mod tests;"),
            ("a/src/two/tests.rs", "use super::Two; use crate::one::One;"),
            ("a/src/three/mod.rs", "mod four; mod five; pub use four::Four;"),
            ("a/src/three/four.rs", "use super::{five};"),
            ("a/src/three/five.rs", ""),
        ],
    );
}
