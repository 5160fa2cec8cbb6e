//! The search for a capacity against a stand-in for `qbench run`: what goes wrong beside the search itself.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod fake;

use std::time::Duration;

use fake::{Fake, cells, configuration};
use qbench_orchestration::capacity::{Candidate, Plan, ProbeSize, find};
use qbench_orchestration::{Progress, RunCommand};

#[test]
fn a_probe_whose_end_cannot_be_written_down_says_so_once_and_why_it_broke() {
    let fake = Fake::new();
    let cell = cells(&["refused"], &["warm"]).remove(0);
    let plan = Plan {
        candidates: vec![Candidate { cell, start_jobs_s: 100.0, bound: None }],
        slo: "p99=50ms".parse().unwrap(),
        size: ProbeSize { duration: Duration::from_secs(1), jobs: 1 },
        out: fake.out(),
        seed: 1,
        configuration: configuration("500"),
    };
    // A folder stands where the verdict is written.
    let result = fake.out().join("refused_warm/probe-01/refused_warm_result.json");
    std::fs::create_dir_all(result.with_extension("json.new")).unwrap();
    let command = RunCommand { program: fake.program(), arguments: Vec::new(), retries: 0, calibrate: false };
    let mut progress = Progress::lines(Box::new(fake.shown.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(find(&plan, false, &command, &mut progress)).unwrap_err().to_string();
    let broke = "exit status 1: cannot connect to the server | is it running?";
    assert!(error.starts_with(&format!("{broke}; and {} cannot be written: ", result.display())), "{error}");
    assert_eq!(error.matches("refused_warm_result.json").count(), 1, "{error}");
}
