//! Every label that is cited ("METHODOLOGY" and then a letter and a number) is the heading of a rule in docs/METHODOLOGY.md.

use std::collections::BTreeSet;

use crate::citations::passages;
use crate::tree::Tree;

const PAGE: &str = "docs/METHODOLOGY.md";
const WORD: &str = "METHODOLOGY";

/// Letters of labels, and how many rules each has.
const SERIES: &[(char, u32)] = &[('L', 9), ('A', 6), ('M', 9), ('F', 12), ('S', 10), ('X', 5)];

/// The label that `text` begins with, and its length.
fn label(text: &str) -> Option<&str> {
    let letter = text.chars().next().filter(|c| SERIES.iter().any(|(letter, _)| letter == c))?;
    let digits = text[letter.len_utf8()..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - 1);
    (digits > 0).then(|| &text[..1 + digits])
}

/// What stands behind each `METHODOLOGY` of `text`: labels, or `None` where there is none. The name of the page is no citation.
fn cited(text: &str) -> Vec<Option<&str>> {
    let mut cited = Vec::new();
    for (at, _) in text.match_indices(WORD) {
        let mut rest = &text[at + WORD.len()..];
        if rest.starts_with(".md") {
            continue;
        }
        let first = rest.strip_prefix(' ').and_then(label);
        cited.push(first);
        rest = first.map_or("", |first| &rest[1 + first.len()..]);
        while let Some(next) = [", ", " to ", " and "].iter().find_map(|by| label(rest.strip_prefix(by)?)) {
            cited.push(Some(next));
            rest = &rest[rest.find(next).unwrap_or_default() + next.len()..];
        }
    }
    cited
}

fn defined(tree: &Tree) -> BTreeSet<&str> {
    let page = tree.text(PAGE).unwrap_or_default();
    page.lines().filter_map(|line| line.strip_prefix("### ")).filter_map(label).collect()
}

/// Citations of rules that the page does not have.
pub fn unknown_labels(tree: &Tree) -> Vec<String> {
    let defined = defined(tree);
    let mut complaints = Vec::new();
    for (path, line, text) in passages(tree) {
        for label in cited(text.as_str()) {
            match label {
                None => complaints.push(format!("{path}:{line} cites {WORD} without the label of a rule")),
                Some(label) if !defined.contains(label) => {
                    complaints.push(format!("{path}:{line} cites {WORD} {label}, which {PAGE} does not have"));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

/// Rules that the page ought to have.
pub fn missing_rules(tree: &Tree) -> Vec<String> {
    let defined = defined(tree);
    SERIES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .filter(|label| !defined.contains(label.as_str()))
        .map(|label| format!("{PAGE} has no rule {label}"))
        .collect()
}

#[test]
fn every_label_that_is_cited_is_a_rule_of_the_page() {
    crate::kept(unknown_labels);
}

#[test]
fn the_page_has_every_rule() {
    crate::kept(missing_rules);
}

#[test]
fn unknown_labels_are_seen_behind_any_comment_and_in_any_list() {
    let page = (PAGE, "### L1 Arrivals\n### A1 Account\n");
    for (path, text) in [
        ("a.rs", "//! One clock (METHODOLOGY L2)."),
        ("a.rs", "//! One clock (METHODOLOGY L1, A1 and L2), and docs/METHODOLOGY.md."),
        ("a.sql", "-- METHODOLOGY L1 to L2"),
        ("docs/a.md", "[METHODOLOGY L2](METHODOLOGY.md)"),
    ] {
        crate::caught(
            unknown_labels,
            &[page, (path, text)],
            &format!("{path}:1 cites METHODOLOGY L2, which {PAGE} does not have"),
        );
    }
    crate::caught(
        unknown_labels,
        &[page, ("a.rs", "\n// see METHODOLOGY")],
        "a.rs:2 cites METHODOLOGY without the label of a rule",
    );
    crate::permitted(unknown_labels, &[page, ("a.rs", "// docs/METHODOLOGY.md (METHODOLOGY L1 to A1, Little's law)")]);
}

#[test]
fn a_missing_rule_is_seen() {
    let rules: String = SERIES
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("### {letter}{number} words\n")))
        .collect();
    crate::permitted(missing_rules, &[(PAGE, &rules)]);
    crate::caught(missing_rules, &[(PAGE, &rules.replace("### L4 ", "### "))], &format!("{PAGE} has no rule L4"));
}
