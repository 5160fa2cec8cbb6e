//! Adapters that work, and adapters that break in every way that matters: a clear sentence, an audited result, and no
//! process left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use program::{result_in, said, start_unheard, wait_for, with_broken_adapters, words};
use qbench_schema::result::{RunResult, RunStatus, Verdict};
use tempfile::TempDir;

/// A small run of an adapter, with its files in `out` below `dir`, and with the words of `more` as further arguments.
fn small_run(adapter: &str, dir: &Path, more: &str) -> Command {
    let load = "--scenario cold --saturate --work 0ms --duration 2s --workers 2 --producers 1 --enqueue-batch 10";
    let line = format!("run --backend external:{adapter} {load} {more} --out {}", dir.join("out").display());
    let mut command = with_broken_adapters(dir);
    command.args(words(&line));
    command
}

fn run(adapter: &str, dir: &Path) -> (Output, RunResult) {
    let output = small_run(adapter, dir, "").output().unwrap();
    let result = result_in(&dir.join("out"), &format!("external:{adapter}"), "cold");
    (output, result)
}

/// The run is refused as a mistake of usage; what it says.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

/// The adapter that wrote its number down in `dir`, and the child that it had started.
fn processes_of(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("pids")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// A zombie that nobody has waited for yet does not live.
fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

fn assert_gone(dir: &Path) {
    let pids = processes_of(dir);
    assert_eq!(pids.len(), 2);
    wait_for(&format!("the end of all of {pids:?}"), Duration::from_secs(10), || !pids.iter().any(|pid| lives(*pid)));
}

/// A run that broke amid the load: its files are there, nothing is called ok, and the reason has all of `words`.
fn breaks(adapter: &str, words: &[&str]) {
    let dir = TempDir::new().unwrap();
    let (output, result) = run(adapter, dir.path());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(result.status, RunStatus::Failed);
    let error = result.error.clone().unwrap();
    for word in words.iter().chain(&[&*format!("external:{adapter}")]) {
        assert!(error.contains(word), "`{error}` should mention `{word}`");
    }
    assert!(!result.validity.valid);
    assert!(result.validity.reasons.iter().any(|reason| reason.contains(words[0])), "{:?}", result.validity.reasons);
    assert_eq!(result.audit.verdict, Verdict::Inconclusive, "{:?}", result.audit);
    assert!(result.jobs.sent >= 200, "the load was under way: {:?}", result.jobs);
    assert_gone(dir.path());
}

#[test]
fn an_adapter_that_dies_ends_the_run_with_its_last_words() {
    breaks("dies", &["ended by itself (exit status: 7)", "out of cheese in dies"]);
}

#[test]
fn an_adapter_that_hangs_is_ended_after_the_limit_of_a_round_trip() {
    breaks("hangs", &["did not answer", "within 15 s and was ended"]);
}

#[test]
fn an_adapter_that_prints_something_else_is_ended_with_the_line_shown() {
    breaks("rubbish", &["no message of the protocol", "Welcome to CheeseQueue 3.1!"]);
}

#[test]
fn an_adapter_of_another_version_is_refused_with_both_versions() {
    let dir = TempDir::new().unwrap();
    let (output, result) = run("version_2", dir.path());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("external:version_2: it speaks protocol 2, and this qbench speaks 1"), "{said}");
    assert_eq!(result.status, RunStatus::Failed);
    assert!(!result.validity.valid && result.audit.verdict != Verdict::Ok);
    assert_gone(dir.path());
}

#[test]
fn jobs_that_an_adapter_loses_are_found() {
    let dir = TempDir::new().unwrap();
    let (output, result) = run("loses_jobs", dir.path());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!((result.status, result.audit.verdict), (RunStatus::Finished, Verdict::Violated));
    assert!(result.audit.lost > 0, "{:?}", result.audit);
    assert_gone(dir.path());
}

#[test]
fn adapters_and_their_children_do_not_outlive_a_killed_harness() {
    let dir = TempDir::new().unwrap();
    let mut child = start_unheard(&mut small_run("hangs", dir.path(), ""));
    wait_for("the start of an adapter", Duration::from_secs(60), || {
        fs::read_to_string(dir.path().join("pids")).is_ok_and(|text| text.ends_with('\n'))
    });
    assert!(processes_of(dir.path()).iter().all(|pid| lives(*pid)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(dir.path());
}

/// A copy of a broken adapter in `dir`, with `from` in its manifest replaced.
fn changed_adapter(dir: &Path, from: &str, to: &str) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/dies/adapter.toml");
    let folder = dir.join("changed");
    fs::create_dir_all(&folder).unwrap();
    let text = fs::read_to_string(shipped).unwrap();
    assert!(text.contains(from));
    fs::write(folder.join("adapter.toml"), text.replace(from, to)).unwrap();
    folder
}

/// Part of a manifest that gives the adapter an option.
fn option(key: &str) -> String {
    format!("[options.{key}]\ndefault = \"1\"\nhelp = \"for tests\"\n\n[contract]")
}

#[test]
fn an_adapter_that_calls_itself_otherwise_than_its_folder_is_refused() {
    let dir = TempDir::new().unwrap();
    changed_adapter(dir.path(), "summary", "summary");
    let words = refused(small_run("changed", dir.path(), "").env("QBENCH_ADAPTERS", dir.path()));
    assert!(words.contains("its name is `dies` and its folder's is `changed`"), "{words}");
}

#[test]
fn an_adapter_hides_no_setting_of_other_backends() {
    let dir = TempDir::new().unwrap();
    let folder = changed_adapter(dir.path(), "[contract]", &option("rate"));
    let run = |name: &str, more: &str| refused(small_run(name, dir.path(), more).env("QBENCH_ADAPTERS", dir.path()));
    let words = run(&folder.display().to_string(), "--seed 1");
    assert!(words.contains("its option `rate` has the name of a setting of every run"), "{words}");
    fs::rename(folder, dir.path().join("dies")).unwrap();
    // Refused as a rate that cannot be, not as an option that echo lacks.
    let words = run("echo", "--set rate=cheese");
    assert!(words.contains("cheese") && !words.contains("option"), "{words}");
}

#[test]
fn an_adapter_that_is_named_by_its_path_has_its_own_options() {
    let dir = TempDir::new().unwrap();
    let folder = changed_adapter(dir.path(), "[contract]", &option("cheese"));
    let manifest = fs::read_to_string(folder.join("adapter.toml")).unwrap();
    fs::write(folder.join("adapter.toml"), manifest.replace("\"python3\"", "\"/nowhere/python\"")).unwrap();
    for (pair, said) in [("cheese=2", "cannot be started: /nowhere/python"), ("chees=2", "unknown key `chees`")] {
        let words = refused(&mut small_run(&folder.display().to_string(), dir.path(), &format!("--set {pair}")));
        assert!(words.contains(said), "{words}");
    }
}

#[test]
fn what_is_wrong_with_an_adapter_folder_is_said_before_anything_runs() {
    for (from, to, said) in [
        ("protocol = 1", "protocol = 9", "it is for protocol 9, and this qbench speaks 1"),
        ("summary", "sumary", "unknown field `sumary`"),
        ("\"python3\"", "\"/nowhere/python\"", "cannot be started: /nowhere/python"),
        (
            "summary",
            "installed = \"/nowhere/lib\"\ninstall = \"get.sh\"\nsummary",
            "(/nowhere/lib is missing); install it with: ",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let folder = changed_adapter(dir.path(), from, to);
        let words = refused(&mut small_run(&folder.display().to_string(), dir.path(), ""));
        assert!(words.contains(said), "`{words}` should mention `{said}`");
    }
}

#[test]
fn adapters_are_listed_and_an_unknown_one_is_answered_with_the_nearest() {
    let dir = TempDir::new().unwrap();
    let listed = with_broken_adapters(dir.path()).args(words("list backends")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for id in ["external:echo ", "external:pgqueuer ", "external:bullmq ", "external:hangs "] {
        assert!(listed.contains(id), "{listed}");
    }
    let said = refused(&mut small_run("ecco", dir.path(), ""));
    assert!(said.contains("unknown backend `external:ecco`") && said.contains("external:echo"), "{said}");
}

#[test]
fn a_run_through_the_protocol_is_audited_and_its_adapter_s_cpu_is_a_role_of_its_own() {
    for consume in ["pull", "push"] {
        let dir = TempDir::new().unwrap();
        let output = small_run("echo", dir.path(), &format!("--set consume={consume}")).output().unwrap();
        let result = result_in(&dir.path().join("out"), "external:echo", "cold");
        let is_as_it_should_be = output.status.success() || result.validity.is_spoiled_by_the_host_alone();
        assert!(is_as_it_should_be, "{}", said(&output));
        assert_eq!(result.audit.verdict, Verdict::Ok);
        assert!(result.jobs.completed > 200, "{:?}", result.jobs);
        assert!(result.cpu_us_per_job.adapter.unwrap() > 0.5, "{:?}", result.cpu_us_per_job);
        assert!(result.cpu_pct.adapter.unwrap() > 0.1, "{:?}", result.cpu_pct);
        assert!(result.notes.iter().any(|note| note.contains("their CPU is the role `adapter`")), "{:?}", result.notes);
    }
}

#[test]
fn the_echo_adapter_conforms_in_both_ways_of_consuming() {
    let output = program::run("verify --backend external:echo");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", said(&output));
    assert!(printed.contains("cases passed (backends: 1, option sets: 2, failed option sets: 0)"), "{printed}");
}
