//! `memory` and `null` pass the conformance suite, in real time and on several threads.

mod common;

use qbench_backends::conformance::{self, Outcome};
use qbench_backends::registry;

async fn passes(id: &str, cases: usize) {
    let entry = registry::find(id).expect("registered");
    let report = conformance::run(entry, &common::in_process(), "", |_| {}).await.expect("opens");
    println!("{report}");
    report.verdict().expect("every case that applies passes");
    // Written down, so that a capability that silently went away is noticed.
    assert_eq!(report.passed(), cases, "{id} is held to another number of cases than it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_passes() {
    passes("memory", 56).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn null_passes() {
    passes("null", 39).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_that_does_not_apply_says_which_capability_is_missing() {
    let entry = registry::find("null").expect("registered");
    let report = conformance::run(entry, &common::in_process(), "nack.ready_for_anybody", |_| {}).await.expect("opens");
    assert_eq!(report.results[0].outcome, Outcome::NotApplicable("nack is not supported".to_owned()));
    assert!(report.verdict().is_err(), "a run in which no case applied shows nothing");
}

#[test]
fn names_of_cases_are_unique_and_sorted_into_topics() {
    let mut names: Vec<&str> = conformance::cases().map(|case| case.name).collect();
    assert!(names.iter().all(|name| name.split('.').count() == 2), "a name is topic.words");
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
