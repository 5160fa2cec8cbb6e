//! Links between pages lead somewhere, to the heading that they name.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// Links of pages to files or headings that do not exist.
pub fn complaints(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (page, text) in tree.ending(&[".md"]) {
        let prose = without_code(text);
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.to_owned() } else { beside(page, file) };
            match tree.text(&file) {
                None if tree.has(&file) => {}
                None => complaints.push(format!("{page} links to {target}, which does not exist")),
                Some(text) if !heading.is_empty() && !headings(text).contains(heading) => {
                    complaints.push(format!("{page} links to {target}, and {file} has no such heading"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

/// `text` without what stands between fences.
fn without_code(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The path of `file` as seen from the page.
fn beside(page: &str, file: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What a link calls each heading: small letters, no punctuation, a hyphen for each space.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = without_code(text);
    let titles = lines
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase());
    titles
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    crate::kept(complaints);
}

#[test]
fn links_to_nowhere_are_seen() {
    let page = ("docs/B.md", "# `B`, and more: L1\n\n```\n# no heading\n[x](nowhere.md)\n```\n");
    let caught = |text, complaint| crate::caught(complaints, &[page, ("docs/A.md", text)], complaint);
    caught("[x](C.md)", "docs/A.md links to C.md, which does not exist");
    caught("[x](../docs/B.md#c)", "docs/A.md links to ../docs/B.md#c, and docs/B.md has no such heading");
    caught("[x](B.md#no-heading)", "docs/A.md links to B.md#no-heading, and docs/B.md has no such heading");
    crate::permitted(
        complaints,
        &[page, ("A.md", "[x](docs/B.md#b-and-more-l1) [y](docs) [z](https://a.b/c.md) [w](#top)\n# Top")],
    );
}
