//! Ctrl-C. Alone in its program, because it signals the whole process.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod fake;

use std::time::Duration;

use fake::Fake;
use nix::sys::signal::{Signal, raise};
use qbench_schema::result::RunStatus;

/// What the matrix says after the first interrupt.
const TAKEN_NOTE: &str = "Ctrl-C again kills it";

/// Runs the matrix, and interrupts this process once the script waits, then `again` once the matrix has taken note.
fn interrupted(backend: &str, again: bool) -> (Fake, qbench_orchestration::MatrixOutcome, RunStatus) {
    let fake = Fake::new();
    let plan = fake.plan(&[backend], &["cold", "warm"], 1);
    let folder = fake.program().parent().unwrap().to_path_buf();
    let shown = fake.shown.clone();
    let sender = std::thread::spawn(move || {
        Fake::await_pid(&folder);
        raise(Signal::SIGINT).unwrap();
        if again {
            while !shown.text().contains(TAKEN_NOTE) {
                std::thread::sleep(Duration::from_millis(20));
            }
            raise(Signal::SIGINT).unwrap();
        }
    });
    let outcome = fake.execute_with(&plan, &fake.survey(&plan, false).unwrap(), true);
    sender.join().unwrap();
    let first = format!("1 {backend} {}", plan.runs[0].cell.identity.scenario);
    let expected = ["calibrate calibration_before.json".to_owned(), first];
    assert_eq!(fake.order(), expected, "nothing is started after an interruption, no calibration either");
    let status = fake.result(&plan.runs[0].files).status;
    (fake, outcome, status)
}

#[test]
fn the_first_interrupt_ends_the_run_gracefully_and_the_second_kills_it() {
    let (fake, outcome, status) = interrupted("slow", false);
    assert_eq!((outcome.interrupted, outcome.remaining, outcome.failed.len()), (true, 2, 0));
    assert_eq!(status, RunStatus::Interrupted);
    assert!(outcome.to_string().contains("--resume"), "{outcome}");
    assert!(fake.shown.text().contains(TAKEN_NOTE), "{}", fake.shown.text());

    let (_, outcome, status) = interrupted("stubborn", true);
    assert_eq!((outcome.interrupted, outcome.remaining), (true, 2));
    assert_eq!(status, RunStatus::Interrupted, "a killed run gets its verdict from the matrix");
}
