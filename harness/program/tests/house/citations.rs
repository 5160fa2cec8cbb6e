//! Nothing cites what a clone does not have: a document of somebody's own, or a path that does not exist.

use crate::rust::source;
use crate::tree::Tree;

/// These rules speak of faults, so their own text is full of them.
const THESE_RULES: &str = "harness/program/tests/house/";

const TEXTS: &[&str] = &[".rs", ".md", ".sql", ".toml", ".sh", ".py", ".lua", ".cjs", "Makefile", ".ci/run"];

/// Words of documents that are not in the repository.
const ELSEWHERE: &[&str] = &["reference 00", "DESIGN section", "DESIGN.md", "STYLE.md", "shared/"];

/// Every passage that a reader may follow, with file and line: comments and strings of Rust, and every line of other texts.
pub fn passages(tree: &Tree) -> Vec<(&str, usize, String)> {
    let mut passages = Vec::new();
    for (path, text) in tree.ending(TEXTS).filter(|(path, _)| !path.starts_with(THESE_RULES)) {
        if path.ends_with(".rs") {
            let source = source(text);
            passages.extend(source.comments.into_iter().chain(source.strings).map(|(line, text)| (path, line, text)));
        } else {
            passages.extend(text.lines().enumerate().map(|(line, text)| (path, line + 1, text.to_owned())));
        }
    }
    passages
}

/// Words of documents that a clone does not have, and numbers of issues.
pub fn foreign_documents(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, line, text) in passages(tree) {
        let words = ELSEWHERE.iter().filter(|word| text.contains(**word)).map(|word| (*word).to_owned());
        let issues = text
            .match_indices("issue ")
            .filter(|(at, word)| {
                text[at + word.len()..].trim_start_matches('#').starts_with(|c: char| c.is_ascii_digit())
            })
            .map(|_| "the number of an issue".to_owned());
        complaints
            .extend(words.chain(issues).map(|what| format!("{path}:{line} cites {what}, which a clone does not have")));
    }
    complaints
}

/// Files that qbench writes: they are cited, and stand in a folder of results.
const WRITTEN: &[&str] = &[".csv", ".json", ".jsonl"];

/// Paths below a folder of the root that do not exist. `*`, `<id>` and `ENGINE` stand for any name, `{a,b}` for several.
pub fn missing_paths(tree: &Tree) -> Vec<String> {
    let folders = tree.top_folders();
    let mut complaints = Vec::new();
    for (path, line, text) in passages(tree) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./*{},<>".contains(c);
        let mut rest = text.as_str();
        while let Some(begin) = rest.find(is_part) {
            let end = rest[begin..].find(|c: char| !is_part(c)).map_or(rest.len(), |length| begin + length);
            // A variable or a placeholder before it makes it another path.
            let continues = rest[..begin].ends_with(['$', '~', ':', '@', '%', '…']);
            let followed = rest[end..].starts_with(['…', '$']);
            for cited in alternatives(&rest[begin..end]) {
                let cited = cited.trim_end_matches(['.', ',', '-', '>']);
                let folder = cited.split('/').next().unwrap_or_default();
                let is_written = folder == "results" || WRITTEN.iter().any(|ending| cited.ends_with(ending));
                let is_path = cited.contains('/') && folders.contains(folder) && !is_written && !cited.contains("..");
                if is_path && !continues && !followed && !exists(tree, cited) {
                    complaints.push(format!("{path}:{line} cites {cited}, which does not exist"));
                }
            }
            rest = &rest[end..];
        }
    }
    complaints
}

/// `a/{b,c}.rs,d` is `a/b.rs`, `a/c.rs` and `d`.
fn alternatives(text: &str) -> Vec<String> {
    if let (Some(open), Some(close)) = (text.find('{'), text.find('}'))
        && open < close
    {
        return text[open + 1..close]
            .split(',')
            .flat_map(|middle| alternatives(&format!("{}{middle}{}", &text[..open], &text[close + 1..])))
            .collect();
    }
    text.split(',').map(str::to_owned).collect()
}

fn exists(tree: &Tree, cited: &str) -> bool {
    let like: Vec<String> = cited
        .trim_end_matches('/')
        .split('/')
        .map(|part| match (part.find('<'), part.rfind('>')) {
            (Some(open), Some(close)) => format!("{}*{}", &part[..open], &part[close + 1..]),
            _ if part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase()) => "*".to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    tree.has(cited) || tree.has_like(&like.join("/"))
}

#[test]
fn no_comment_cites_a_document_that_a_clone_does_not_have() {
    crate::kept(foreign_documents);
}

#[test]
fn every_path_that_is_cited_exists() {
    crate::kept(missing_paths);
}

#[test]
fn documents_that_a_clone_does_not_have_are_seen() {
    let caught = |path, text, what| {
        crate::caught(
            foreign_documents,
            &[(path, text)],
            &format!("{path}:1 cites {what}, which a clone does not have"),
        );
    };
    caught("a.rs", "//! As reference 002 describes it.", "reference 00");
    caught("a.toml", "# see DESIGN section 8", "DESIGN section");
    caught("a.sql", "-- see issue #12", "the number of an issue");
    caught("docs/a.md", "as shared/notes say", "shared/");
    crate::permitted(
        foreign_documents,
        &[("a.rs", "//! The reference for every word, and an issue of taste. let design = 1;")],
    );
}

#[test]
fn paths_that_do_not_exist_are_seen() {
    let files = |text| [("docs/A.md", text), ("schema/sql/b.sql", ""), ("schema/sql/c.sql", "")];
    let caught = |text, cited| {
        crate::caught(missing_paths, &files(text), &format!("docs/A.md:1 cites {cited}, which does not exist"));
    };
    caught("see `docs/B.md`.", "docs/B.md");
    caught("(docs/A.md, schema/sql/d.sql)", "schema/sql/d.sql");
    caught("schema/sql/{b,d}.sql", "schema/sql/d.sql");
    caught("schema/lua/<id>.lua", "schema/lua/<id>.lua");
    crate::permitted(
        missing_paths,
        &files(
            "docs/A.md, schema/sql/<id>.sql; schema/sql/*.sql, schema/sql/{b,c}.sql schema/ENGINE/ https://x.org/docs/B.md $HOME/docs/B.md",
        ),
    );
}
