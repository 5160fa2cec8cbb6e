//! The program as a process of its own. Every test file compiles this and uses its own part.
#![allow(dead_code, reason = "every test file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use qbench_schema::files::RunFiles;
use qbench_schema::record::JobRecord;
use qbench_schema::result::RunResult;

/// `qbench`, without what the developer's shell or checkout sets.
pub fn qbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbench"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("QBENCH_") || key.starts_with("PG")) {
        command.env_remove(key);
    }
    command.current_dir(std::env::temp_dir());
    command
}

/// `qbench` with the deliberately broken adapters beside the shipped ones; adapters write down who they are in `dir`.
pub fn with_broken_adapters(dir: &Path) -> Command {
    let mut command = qbench();
    command.env("QBENCH_ADAPTERS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters")).env("TMPDIR", dir);
    command
}

/// The verdict of `<backend>_<scenario>` in `dir`.
pub fn result_in(dir: &Path, backend: &str, scenario: &str) -> RunResult {
    serde_json::from_slice(&fs::read(RunFiles::new(dir, backend, scenario).result()).unwrap()).unwrap()
}

/// Runs `qbench` with the words of `line` as its arguments.
pub fn run(line: &str) -> Output {
    qbench().args(words(line)).output().unwrap()
}

/// The words of a line, each an argument.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

/// Starts `command` with nobody who reads what it prints.
pub fn start_unheard(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a program said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that we started, for signals.
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// Waits until something has happened, and fails where it has not within `limit`.
pub fn wait_for(what: &str, limit: Duration, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a run has written the first record of a job.
pub fn wait_until_measuring(files: &RunFiles) {
    let measuring = || fs::metadata(files.metrics()).is_ok_and(|metadata| metadata.len() > 0);
    wait_for("measuring", Duration::from_secs(90), measuring);
}

/// The eight instants of a job follow each other.
pub fn assert_instants_in_order(record: &JobRecord) {
    let instants = [
        record.intended_us,
        record.released_us,
        record.sent_us,
        record.enqueued_us,
        record.claimed_us,
        record.started_us,
        record.finished_us,
        record.acked_us,
    ];
    assert!(instants.is_sorted(), "{record:?}");
}
