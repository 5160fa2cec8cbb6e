//! Validity gates (METHODOLOGY L6) tripped by real runs: the sentence names the figure, and the exit status is 3.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use program::{result_in, run, said};
use qbench_schema::result::{Regime, RunResult, RunStatus, Verdict};
use tempfile::TempDir;

/// Runs `backend` in the cold scenario with `flags`, and expects a finished run that is not valid.
fn not_valid(backend: &str, flags: &str) -> RunResult {
    let out = TempDir::new().unwrap();
    let output = run(&format!("run --backend {backend} --scenario cold --out {} {flags}", out.path().display()));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let result = result_in(out.path(), backend, "cold");
    assert_eq!(result.status, RunStatus::Finished);
    assert!(!result.validity.valid);
    for reason in &result.validity.reasons {
        assert!(said.contains(reason.as_str()), "`{reason}` should be said: {said}");
    }
    result
}

fn names(result: &RunResult, words: &[&str]) {
    let has_all = |reason: &String| words.iter().all(|word| reason.contains(word));
    assert!(result.validity.reasons.iter().any(has_all), "{words:?} in {:?}", result.validity.reasons);
}

#[test]
fn one_producer_that_cannot_keep_up_with_the_schedule_is_too_few_and_no_late_generator() {
    // A durable insert takes far longer than the 100 us between two of these jobs.
    const FLAGS: &str = "--rate 10000 --duration 500ms --producers 1 --workers 4 --work 0ms";
    // A disk that others use, too, may take its time over five thousand inserts.
    let result = not_valid("skip_locked", &format!("{FLAGS} --drain-deadline 5m"));
    names(&result, &["too few producers", "--producers"]);
    assert_eq!(result.audit.verdict, Verdict::Ok, "late, and complete: {:?}", result.audit);
    let (lag, wait) = (result.schedule_lag_ms, result.producer_wait_ms);
    assert!(wait.p50 > 0.9 * lag.p50, "the lateness is the wait for the producer: {wait:?} of {lag:?}");
}

#[test]
fn workers_that_are_slower_than_they_should_be_let_the_backlog_grow() {
    // By the arithmetic one worker carries 1,000 jobs/s; a sleep of 1 ms is really more than 1.1 ms.
    let result = not_valid("memory", "--rate 880 --duration 3s --workers 1 --work 1ms");
    assert_eq!(result.identity.regime, Regime::Normal);
    names(&result, &["the backlog grew by", "jobs/s"]);
}

#[test]
fn a_drain_deadline_that_is_too_short_leaves_the_audit_inconclusive() {
    const FLAGS: &str = "--rate 100 --duration 2s --workers 1 --work 100ms --allow-overload --drain-deadline 1s";
    let result = not_valid("memory", FLAGS);
    assert_eq!((result.audit.verdict, result.identity.regime), (Verdict::Inconclusive, Regime::Overload));
    names(&result, &["audit inconclusive", "not drained"]);
}

#[test]
fn a_backlog_that_is_worked_off_was_sent_before_and_is_no_offered_load() {
    let out = TempDir::new().unwrap();
    let load = "--scenario drain --prefill 3000 --workers 4 --work 1ms";
    let output = run(&format!("run --backend memory --out {} {load}", out.path().display()));
    let result = result_in(out.path(), "memory", "drain");
    assert_eq!(result.status, RunStatus::Finished, "{}", said(&output));
    assert_eq!((result.audit.verdict, result.jobs.completed), (Verdict::Ok, 3_000), "{:?}", result.audit);
    assert!(!result.validity.reasons.iter().any(|reason| reason.contains("offered load")), "{:?}", result.validity);
}
