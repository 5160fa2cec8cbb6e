//! A matrix that varies settings, from the command line to the table: real processes, no server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use program::{qbench, result_in};

/// A small load on the backend that needs no server.
const SMALL: [&str; 10] =
    ["--backends", "memory", "--scenarios", "cold", "--rate", "200", "--duration", "1s", "--work", "1ms"];

fn matrix(arguments: &[&str], out: &Path) -> Output {
    qbench().arg("matrix").args(arguments).arg("--out").arg(out).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every run finished; whether its figures may be ranked is the gates' to say, and on a busy machine they may say no.
fn finished(output: &Output) {
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", text(&output.stderr));
}

fn refused(arguments: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let output = matrix(&[arguments, &SMALL].concat(), &dir.path().join("out"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "`{said}` should mention {words:?}");
    assert!(!dir.path().join("out").exists(), "nothing was begun");
}

#[test]
fn every_combination_has_a_folder_a_result_with_its_settings_and_a_row_and_resuming_repeats_none() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let arguments = [&["--vary", "workers=2,4", "--vary", "claim-batch=1,10"], &SMALL[..]].concat();
    let output = matrix(&arguments, &out);
    finished(&output);
    for (workers, claim_batch) in [(2, 1), (2, 10), (4, 1), (4, 10)] {
        let name = format!("workers={workers},claim-batch={claim_batch}");
        let result = result_in(&out.join(&name), "memory", "cold");
        assert_eq!(result.identity.variant.unwrap().name, name);
        assert_eq!(result.workers.len(), workers);
        assert!(
            result.identity.configuration.contains(&format!("claim-batch={claim_batch} ")),
            "{}",
            result.identity.configuration
        );
    }
    let again = matrix(&[&arguments[..], &["--resume"]].concat(), &out);
    assert!(text(&again.stdout).starts_with("0 valid, 4 skipped"), "{}", text(&again.stdout));
    let other = matrix(&[&["--vary", "workers=2,8", "--resume"], &SMALL[..]].concat(), &out);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("variants was workers=2,claim-batch=1"), "{}", text(&other.stderr));

    let analysis = out.join("analysis");
    let analyze = qbench().arg("analyze").arg(&out).arg("--output").arg(&analysis).output().unwrap();
    let table = text(&analyze.stdout);
    assert!(table.contains("memory (workers=2 claim-batch=10)"), "{table}");
    let summary = fs::read_to_string(analysis.join("summary.csv")).unwrap();
    assert_eq!(summary.lines().count(), 1 + 4, "{summary}");
}

/// Three rungs on the backend that needs no server.
const CLIMB: &str = r#"
    id = "mine"
    question = "What does each step bring?"
    limitations = []
    backends = ["memory"]
    scenarios = ["cold"]
    base = { rate = 100, duration = "1s", workers = 3, claim-batch = 1, prefetch = 0 }
    rung = [
        { name = "single" },
        { name = "batch", change = { claim-batch = 5 } },
        { name = "ahead", change = { prefetch = 10 } },
    ]
"#;

#[test]
fn a_plan_file_gives_way_to_flags_and_its_rungs_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("mine.toml");
    fs::write(&plan, CLIMB).unwrap();
    fs::write(dir.path().join("qbench.toml"), "prefetch = 10").unwrap();
    let out = dir.path().join("out");
    let mut command = qbench();
    // The very value that a rung changes to: below it, that would make the change none.
    command.current_dir(dir.path()).env("QBENCH_CLAIM_BATCH", "5").args(["matrix", "--rate", "150"]);
    let output = command.arg("--plan").arg(&plan).arg("--out").arg(&out).output().unwrap();
    finished(&output);
    let rungs = [("rung-01-single", 1, 0), ("rung-02-batch", 5, 0), ("rung-03-ahead", 5, 10)];
    for (place, (folder, claim_batch, prefetch)) in (1..).zip(rungs) {
        let result = result_in(&out.join(folder), "memory", "cold");
        assert_eq!((result.identity.offered_jobs_s, result.workers.len()), (150.0, 3), "flag above plan above profile");
        for setting in [format!("claim-batch={claim_batch} "), format!("prefetch={prefetch} ")] {
            assert!(result.identity.configuration.contains(&setting), "{folder}: {}", result.identity.configuration);
        }
        let variant = result.identity.variant.unwrap();
        assert_eq!((variant.plan.as_str(), variant.place, variant.climbs), ("mine", place, true));
        assert_eq!(variant.climbed_keys, ["claim-batch", "prefetch"]);
    }
    let other_rate = matrix(&["--plan", plan.to_str().unwrap(), "--rate", "120", "--resume"], &out);
    assert_eq!(other_rate.status.code(), Some(2), "{}", text(&other_rate.stderr));
    let refused = matrix(&["--plan", plan.to_str().unwrap(), "--claim-batch", "5"], &dir.path().join("other"));
    assert!(text(&refused.stderr).contains("claim-batch is given by a flag"), "{}", text(&refused.stderr));
}

#[test]
fn a_rung_is_shown_by_its_name_and_its_one_change() {
    let output = qbench().args(["list", "plans"]).output().unwrap();
    let plans = text(&output.stdout);
    let rungs: Vec<&str> = plans.lines().map(str::trim).filter(|line| line.starts_with("poll")).collect();
    assert_eq!(rungs, ["poll"], "the first rung changes nothing");
    assert!(plans.contains("prefetch     + prefetch=10\n"), "{plans}");

    let dir = tempfile::tempdir().unwrap();
    let plan = text(&matrix(&["--plan", "ladder", "--dry-run"], &dir.path().join("out")).stdout);
    assert!(plan.contains("rung-03-batch-claim/batch_sql_warm  about"), "{plan}");
}

#[test]
fn resuming_notices_a_setting_that_only_some_rungs_set() {
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("mine.toml");
    fs::write(&plan, CLIMB.replace("change =", "set =").replace("claim-batch = 1, ", "")).unwrap();
    let out = dir.path().join("out");
    let go = |claim_batch: &str| {
        let mut command = qbench();
        command.env("QBENCH_CLAIM_BATCH", claim_batch).args(["matrix", "--resume", "--plan"]);
        command.arg(&plan).arg("--out").arg(&out).output().unwrap()
    };
    finished(&go("2"));
    let other = go("3");
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("cold.claim-batch was 2 and is 3"), "{}", text(&other.stderr));
}

#[test]
fn the_dry_run_of_a_sweep_names_every_run_and_the_time_and_runs_none() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let output = matrix(&["--plan", "scaling", "--backends", "memory", "--repeat", "2", "--dry-run"], &out);
    let plan = text(&output.stdout);
    assert!(plan.starts_with("8 runs in 2 blocks, order from seed 1; about 3 minutes"), "{plan}");
    assert!(plan.contains("rep-02") && plan.contains("workers=16/memory_warm  about 23 seconds"), "{plan}");
    assert!(!out.exists());
}

#[test]
fn what_cannot_be_varied_is_refused_before_anything_is_begun() {
    refused(&["--vary", "workres=2"], &["workres", "did you mean `workers`"]);
    refused(&["--vary", "workers=2,4", "--workers", "3"], &["workers", "leave one of the two out"]);
    refused(&["--vary", "workers=2,4", "--set", "workers=3"], &["workers", "leave one of the two out"]);
    refused(&["--vary", "commit=claim,ack"], &["commit", "memory has no such option"]);
    refused(&["--vary", "workers=2,4", "--plan", "scaling"], &["--vary", "--plan"]);
    refused(&["--vary", "lease=60s,1ms"], &["lease=1ms", "ends before the work does"]);
    refused(&["--plan", "lader"], &["lader", "ladder"]);
}
