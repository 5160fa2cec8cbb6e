//! Adapters that work, and adapters that break in every way that matters: a clear sentence, an audited result, and no
//! process left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::{qbench, result_in};
use qbench_schema::result::{RunResult, RunStatus, Verdict};
use tempfile::TempDir;

/// `qbench` with the deliberately broken adapters beside the shipped ones; adapters write down who they are in `dir`.
fn with_broken_adapters(dir: &Path) -> Command {
    let mut command = qbench();
    command.env("QBENCH_ADAPTERS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters")).env("TMPDIR", dir);
    command
}

/// Arguments of a small run of an adapter, with its files in `out`.
fn small_run(adapter: &str, out: &Path) -> Vec<String> {
    let load = "--scenario cold --saturate --work 0ms --duration 2s --workers 2 --producers 1 --enqueue-batch 10";
    let mut arguments = vec!["run".to_owned(), "--backend".to_owned(), format!("external:{adapter}")];
    arguments.extend(load.split(' ').map(str::to_owned));
    arguments.extend(["--out".to_owned(), out.display().to_string()]);
    arguments
}

fn run(adapter: &str, dir: &Path) -> (Output, RunResult) {
    let out = dir.join("out");
    let output = with_broken_adapters(dir).args(small_run(adapter, &out)).output().unwrap();
    let result = result_in(&out, &format!("external:{adapter}"), "cold");
    (output, result)
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
    let begun = Instant::now();
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "of {pids:?} some live");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A run that broke amid the load: its files are there, nothing is called ok, and the reason has all of `words`.
fn breaks(adapter: &str, words: &[&str]) {
    let dir = TempDir::new().unwrap();
    let (output, result) = run(adapter, dir.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
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
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
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
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((result.status, result.audit.verdict), (RunStatus::Finished, Verdict::Violated));
    assert!(result.audit.lost > 0, "{:?}", result.audit);
    assert_gone(dir.path());
}

#[test]
fn adapters_and_their_children_do_not_outlive_a_killed_harness() {
    let dir = TempDir::new().unwrap();
    let mut child = with_broken_adapters(dir.path())
        .args(small_run("hangs", &dir.path().join("out")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !fs::read_to_string(dir.path().join("pids")).is_ok_and(|text| text.ends_with('\n')) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no adapter was started");
        std::thread::sleep(Duration::from_millis(20));
    }
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
    let mut command = with_broken_adapters(dir.path());
    let output = command.env("QBENCH_ADAPTERS", dir.path()).args(small_run("changed", dir.path())).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("its name is `dies` and its folder's is `changed`"), "{words}");
}

#[test]
fn an_adapter_hides_no_setting_of_other_backends() {
    let dir = TempDir::new().unwrap();
    let folder = changed_adapter(dir.path(), "[contract]", &option("rate"));
    let run = |name: &str, load: &str| {
        let mut arguments = small_run(name, &dir.path().join("out"));
        arguments.extend(load.split(' ').map(str::to_owned));
        let mut command = with_broken_adapters(dir.path());
        let output = command.env("QBENCH_ADAPTERS", dir.path()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, words) = run(&folder.display().to_string(), "--seed 1");
    assert_eq!(status, Some(2), "{words}");
    assert!(words.contains("its option `rate` has the name of a setting of every run"), "{words}");
    fs::rename(folder, dir.path().join("dies")).unwrap();
    // Refused as a rate that cannot be, not as an option that echo lacks.
    let (status, words) = run("echo", "--set rate=cheese");
    assert_eq!(status, Some(2), "{words}");
    assert!(words.contains("cheese") && !words.contains("option"), "{words}");
}

#[test]
fn an_adapter_that_is_named_by_its_path_has_its_own_options() {
    let dir = TempDir::new().unwrap();
    let folder = changed_adapter(dir.path(), "[contract]", &option("cheese"));
    let manifest = fs::read_to_string(folder.join("adapter.toml")).unwrap();
    fs::write(folder.join("adapter.toml"), manifest.replace("\"python3\"", "\"/nowhere/python\"")).unwrap();
    for (pair, said) in [("cheese=2", "cannot be started: /nowhere/python"), ("chees=2", "unknown key `chees`")] {
        let mut arguments = small_run(&folder.display().to_string(), &dir.path().join("out"));
        arguments.extend(["--set".to_owned(), pair.to_owned()]);
        let output = with_broken_adapters(dir.path()).args(arguments).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
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
        let mut arguments = small_run("any", &dir.path().join("out"));
        arguments[2] = format!("external:{}", folder.display());
        let output = with_broken_adapters(dir.path()).args(arguments).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(said), "`{words}` should mention `{said}`");
    }
}

#[test]
fn adapters_are_listed_and_an_unknown_one_is_answered_with_the_nearest() {
    let dir = TempDir::new().unwrap();
    let listed = with_broken_adapters(dir.path()).args(["list", "backends"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for id in ["external:echo ", "external:pgqueuer ", "external:bullmq ", "external:hangs "] {
        assert!(listed.contains(id), "{listed}");
    }
    let output = with_broken_adapters(dir.path()).args(small_run("ecco", dir.path())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("unknown backend `external:ecco`") && said.contains("external:echo"), "{said}");
}

#[test]
fn a_run_through_the_protocol_is_audited_and_its_adapter_s_cpu_is_a_role_of_its_own() {
    for consume in ["pull", "push"] {
        let dir = TempDir::new().unwrap();
        let out = dir.path().join("out");
        let mut arguments = small_run("echo", &out);
        arguments.extend(["--set".to_owned(), format!("consume={consume}")]);
        let output = with_broken_adapters(dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let result = result_in(&out, "external:echo", "cold");
        assert_eq!(result.audit.verdict, Verdict::Ok);
        assert!(result.jobs.completed > 200, "{:?}", result.jobs);
        assert!(result.cpu_us_per_job.adapter.unwrap() > 0.5, "{:?}", result.cpu_us_per_job);
        assert!(result.cpu_pct.adapter.unwrap() > 0.1, "{:?}", result.cpu_pct);
        assert!(result.notes.iter().any(|note| note.contains("their CPU is the role `adapter`")), "{:?}", result.notes);
    }
}

#[test]
fn the_echo_adapter_conforms_in_both_ways_of_consuming() {
    let output = qbench().args(["verify", "--backend", "external:echo"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("cases passed (backends: 1, option sets: 2, failed option sets: 0)"), "{said}");
}
