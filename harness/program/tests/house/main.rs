//! House rules: what the code promises to a reader, held by tests. Each rule is a function from a tree of files to complaints. It is
//! run over this checkout, and over a made-up tree with a fault in it, so that a rule that sees nothing fails.

mod backends;
mod circles;
mod citations;
mod engines;
mod floors;
mod labels;
mod links;
mod rust;
mod tree;

use tree::Tree;

/// Fails with every complaint of `rule` about this checkout.
#[track_caller]
fn kept(rule: impl Fn(&Tree) -> Vec<String>) {
    let complaints = rule(&Tree::of_this_checkout());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Fails unless `rule` says `complaint`, and nothing else, of a tree of these files.
#[track_caller]
fn caught(rule: impl Fn(&Tree) -> Vec<String>, files: &[(&str, &str)], complaint: &str) {
    assert_eq!(rule(&Tree::of(files)), [complaint]);
}

/// Fails when `rule` has anything to say of a tree of these files.
#[track_caller]
fn permitted(rule: impl Fn(&Tree) -> Vec<String>, files: &[(&str, &str)]) {
    assert_eq!(rule(&Tree::of(files)), Vec::<String>::new());
}
