//! `qbench capacity` as its users meet it, on a queue whose capacity is known.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use program::{pid, qbench, run, said, start_unheard, wait_for, words};
use qbench_schema::capacity::CapacityRow;

/// The queue takes 300 jobs/s; constant arrivals, so that nothing but that rate makes it wait.
const LINE: &str = "capacity --backends memory --scenario cold --slo p99=300ms --arrivals constant --work 0ms --workers 4 \
                    --set claims_per_s=300 --json";
const TRUE_JOBS_S: f64 = 300.0;

fn rows(json: &[u8]) -> Vec<CapacityRow> {
    serde_json::from_slice(json).unwrap()
}

fn found(dir: &Path) -> Option<Vec<CapacityRow>> {
    serde_json::from_slice(&std::fs::read(dir.join("capacity.json")).ok()?).ok()
}

#[test]
fn a_known_capacity_is_bracketed_within_five_percent_and_a_search_that_was_stopped_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = format!("{LINE} --out {}", out.display());
    let mut child = start_unheard(qbench().args(words(&line)));
    let has_two = || found(&out).is_some_and(|rows| rows[0].probes.len() >= 2);
    wait_for("two probes", Duration::from_secs(60), has_two);
    kill(pid(&child), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "stopped");
    let before = found(&out).unwrap();

    let refused = run(&line);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("--resume"), "{}", said(&refused));
    let changed = run(&format!("{} --resume", line.replace("--workers 4", "--workers 5")));
    assert_eq!(changed.status.code(), Some(2), "{}", said(&changed));
    assert!(said(&changed).contains("workers was 4 and is 5"), "{}", said(&changed));

    let output = run(&format!("{line} --resume"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let rows = rows(&output.stdout);
    let row = &rows[0];
    assert_eq!(row.probes[..2], before[0].probes[..2], "probes that finished are kept");
    let (passed, failed) = (row.passed_jobs_s.unwrap(), row.failed_jobs_s.unwrap());
    assert!(passed <= TRUE_JOBS_S * 1.03 && failed >= TRUE_JOBS_S * 0.97, "{passed} to {failed}");
    assert!(failed / passed <= 1.05 && row.confirmed, "{row:?}");
    assert_eq!((row.backend.as_str(), row.slo.as_str()), ("memory", "p99=300ms"));
    let at = |rate: f64| row.probes.iter().filter(|probe| probe.rate_jobs_s == rate).count();
    assert!(at(passed) >= 3 && at(failed) >= 2, "both ends were tried again: {row:?}");
    assert!(row.probes.iter().all(|probe| probe.passed == probe.because.is_empty()));
    assert!(out.join("graphs/rate_latency.png").exists());
}

#[test]
fn nonsense_is_refused_before_anything_runs() {
    for (line, words) in [
        ("capacity --backends memory --slo p98=50ms", ["--slo", "p99=50ms"]),
        ("capacity --backends memory --rate 50", ["--rate", "the search decides it"]),
        ("capacity --backends memroy", ["memroy", "memory"]),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
        assert!(words.iter().all(|word| said(&output).contains(word)), "{line}: {}", said(&output));
    }
}
