//! A server that stops for two seconds (METHODOLOGY L1, L2): arrivals go on, the latency says so, nothing is lost, and the
//! second-by-second rows show when it was. A generator that waits for an answer before it sends the next job would have sent
//! nothing meanwhile, and would have seen one slow job.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::{qbench, result_in, wait_until_measuring, words};
use qbench_backends::ServerUrl;
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_engines::valkey::ValkeyServer;
use qbench_schema::files::RunFiles;
use qbench_schema::result::{Blame, Durability, RunResult, Verdict};
use tempfile::TempDir;

const STALL: Duration = Duration::from_secs(2);
const RATE_JOBS_S: u64 = 200;
const DURATION_S: u64 = 12;

/// `root` and everything below it.
fn family(root: u32) -> Vec<Pid> {
    let mut family = vec![root as i32];
    loop {
        let children = procfs::process::all_processes()
            .unwrap()
            .filter_map(|process| process.ok()?.stat().ok())
            .filter(|stat| family.contains(&stat.ppid) && !family.contains(&stat.pid))
            .map(|stat| stat.pid)
            .collect::<Vec<_>>();
        if children.is_empty() {
            return family.into_iter().map(Pid::from_raw).collect();
        }
        family.extend(children);
    }
}

fn stall(root: u32) {
    let family = family(root);
    let signal = |signal| {
        for pid in &family {
            // A process that ended meanwhile needs no signal.
            let _ = kill(*pid, signal);
        }
    };
    signal(Signal::SIGSTOP);
    sleep(STALL);
    signal(Signal::SIGCONT);
}

/// Runs `backend` on the server whose first process is `root`, and stalls that in the middle of the measured phase.
fn run_with_a_stall(backend: &str, url_variable: &str, url: &ServerUrl, root: u32, out: &Path) -> RunResult {
    let line = format!(
        "run --backend {backend} --scenario cold --workers 4 --work 1ms --producers 32 --rate {RATE_JOBS_S} \
         --duration {DURATION_S}s --out {}",
        out.display()
    );
    let mut run = qbench().env(url_variable, url.expose()).args(words(&line)).spawn().unwrap();
    wait_until_measuring(&RunFiles::new(out, backend, "cold"));
    sleep(Duration::from_secs(4));
    stall(root);
    run.wait().unwrap();
    result_in(out, backend, "cold")
}

fn shows_the_stall(result: &RunResult) {
    assert_eq!(result.jobs.intended, RATE_JOBS_S * DURATION_S, "arrivals do not depend on the server");
    assert_eq!(result.jobs.sent, result.jobs.intended);
    assert_eq!((result.audit.lost, result.audit.duplicated), (0, 0), "{:?}", result.audit);
    assert_eq!(result.audit.verdict, Verdict::Ok, "{:?}", result.audit);
    // The stall is the queue's doing, and its latency says so. What this machine did meanwhile is another matter.
    let reasons = result.validity.reasons.iter().zip(&result.validity.blame);
    let others: Vec<_> = reasons.filter(|(_, blame)| **blame != Blame::Host).collect();
    assert!(others.is_empty(), "a stall of the server makes no run invalid: {others:?}");
    assert!(result.producer_wait_ms.max >= 1_000.0, "32 producers hold 32 jobs: {:?}", result.producer_wait_ms);
    assert!(result.end_to_end_ms.p99 >= 1_500.0, "p99 is {} ms", result.end_to_end_ms.p99);
    let rows = &result.timeline;
    let silent = rows.iter().take(DURATION_S as usize).filter(|row| row.completed < RATE_JOBS_S / 10).count();
    assert!(silent >= 1, "some second shows next to no completion: {rows:?}");
    assert!(rows.iter().any(|row| row.end_to_end_max_ms >= 1_500.0 && row.intended == RATE_JOBS_S), "{rows:?}");
    assert!(rows.iter().any(|row| row.backlog >= RATE_JOBS_S || row.end_to_end_p50_ms >= 500.0), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_stopped_for_two_seconds_shows_in_the_latency_of_every_job_that_was_due_meanwhile() {
    let server = PostgresServer::start(StartOptions::new(Durability::D2)).await.unwrap();
    let out = TempDir::new().unwrap();
    let result = run_with_a_stall("skip_locked", "QBENCH_PG_URL", server.url(), server.pid(), out.path());
    server.stop().await.unwrap();
    shows_the_stall(&result);
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_stopped_for_two_seconds_shows_in_the_latency_of_every_job_that_was_due_meanwhile() {
    let server = ValkeyServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let out = TempDir::new().unwrap();
    let result = run_with_a_stall("valkey_streams", "QBENCH_VALKEY_URL", server.url(), server.pid(), out.path());
    server.stop().await.unwrap();
    shows_the_stall(&result);
}
