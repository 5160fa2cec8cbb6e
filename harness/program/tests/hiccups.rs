//! Pauses of the harness and of the machine (METHODOLOGY M7), made with signals: whoever stands still is named. And the meter that is a
//! process of its own ends with the harness, whatever becomes of that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::{qbench, result_in};
use qbench_schema::result::{Blame, RunResult, RunStatus, Verdict};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const FREEZE: Duration = Duration::from_millis(200);

/// A run of the queue in the harness's own process, in the middle of its measured phase.
struct Run {
    harness: Child,
    meter: Pid,
    out: TempDir,
}

impl Run {
    fn start() -> Self {
        let out = TempDir::new().unwrap();
        let harness = qbench()
            .args(["run", "--backend", "memory", "--scenario", "cold", "--workers", "4", "--work", "1ms"])
            .args(["--rate", "500", "--duration", "5s", "--producers", "8", "--out"])
            .arg(out.path())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The job file grows once measured jobs complete.
        let metrics = out.path().join("memory_cold_metrics.jsonl");
        wait_until("a job completes", || std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 0));
        sleep(Duration::from_secs(1));
        let meter = meter_of(harness.id());
        Run { harness, meter, out }
    }

    fn harness(&self) -> Pid {
        Pid::from_raw(self.harness.id() as i32)
    }

    fn stop_for(&self, pids: &[Pid], length: Duration) {
        pids.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
        sleep(length);
        pids.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
    }

    fn end(mut self) -> (ExitStatus, RunResult) {
        let status = self.harness.wait().unwrap();
        assert!(!is_a_meter(self.meter), "the meter ended with the run");
        (status, result_in(self.out.path(), "memory", "cold"))
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether `pid` is a process that runs the hidden command.
fn is_a_meter(pid: Pid) -> bool {
    let path = format!("/proc/{pid}/cmdline");
    std::fs::read(Path::new(&path)).is_ok_and(|line| line.ends_with(b"\0hiccup-meter\0"))
}

fn meter_of(harness: u32) -> Pid {
    let children = || {
        procfs::process::all_processes()
            .unwrap()
            .filter_map(|process| process.ok()?.stat().ok())
            .filter(|stat| stat.ppid == harness as i32)
            .map(|stat| Pid::from_raw(stat.pid))
    };
    wait_until("the meter runs", || children().any(is_a_meter));
    children().find(|pid| is_a_meter(*pid)).unwrap()
}

fn reasons(result: &RunResult) -> Vec<(Blame, &str)> {
    let words = result.validity.reasons.iter().map(String::as_str);
    assert_eq!(result.validity.blame.len(), result.validity.reasons.len());
    result.validity.blame.iter().copied().zip(words).collect()
}

#[test]
fn a_harness_that_is_stopped_is_named_and_its_run_is_not_valid() {
    let run = Run::start();
    run.stop_for(&[run.harness()], FREEZE);
    let (status, result) = run.end();
    assert_eq!((status.code(), result.status), (Some(3), RunStatus::Finished));
    let is_the_freeze = |(blame, words): &(Blame, &str)| {
        *blame == Blame::Harness && words.starts_with("the harness paused ") && words.contains("(the host did not)")
    };
    assert!(reasons(&result).iter().any(is_the_freeze), "{:?}", reasons(&result));
    assert!(!result.validity.is_spoiled_by_the_host_alone());
    let inner = result.hiccup_harness_ms.unwrap();
    assert!(inner.max >= 190.0 && inner.p99 >= 100.0, "{inner:?}: 200 of 5,000 ticks were late");
    assert!(result.hiccup_ms.unwrap().max < 190.0, "{:?}", result.hiccup_ms);
    let seen = |row: &&qbench_schema::result::TimelineRow| row.hiccup_harness_max_ms.is_some_and(|ms| ms >= 190.0);
    assert!(result.timeline.iter().any(|row| seen(&row)), "{:?}", result.timeline);
    assert_eq!(result.audit.verdict, Verdict::Ok, "late, and complete");
}

#[test]
fn a_machine_that_stops_both_is_named_and_the_harness_is_not() {
    let run = Run::start();
    run.stop_for(&[run.meter, run.harness()], FREEZE);
    let (_, result) = run.end();
    let reasons = reasons(&result);
    assert!(!result.validity.valid, "200 ms of 5 s are more than one per cent");
    assert!(reasons.iter().any(|(blame, words)| *blame == Blame::Host && words.starts_with("this host paused ")));
    assert!(!reasons.iter().any(|(_, words)| words.contains("the harness paused")), "{reasons:?}");
    assert_eq!(result.tail_spoiled.unwrap().by, Blame::Host);
}

#[test]
fn a_meter_that_is_killed_is_a_note_and_a_pause_then_counts_against_the_harness() {
    let run = Run::start();
    kill(run.meter, Signal::SIGKILL).unwrap();
    run.stop_for(&[run.harness()], FREEZE);
    let (_, result) = run.end();
    assert_eq!(result.hiccup_ms, None);
    let is_told = |note: &String| note.contains("gives no figures: it ended without a report (signal: 9 (SIGKILL))");
    assert!(result.notes.iter().any(is_told), "{:?}", result.notes);
    let reasons = reasons(&result);
    assert!(
        reasons.iter().any(|(blame, words)| *blame == Blame::Harness && words.contains("is not known")),
        "{reasons:?}"
    );
}

#[test]
fn no_meter_outlives_a_harness_that_is_killed() {
    let mut run = Run::start();
    kill(run.harness(), Signal::SIGKILL).unwrap();
    run.harness.wait().unwrap();
    wait_until("the meter has ended", || !is_a_meter(run.meter));
}
