//! Ctrl-C while workers hold as much as they can, against real servers: what was finished is acked, what was not begun is
//! handed back, and the account of the server agrees.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use program::{pid, result_in, start_unheard, wait_until_measuring, with_broken_adapters, words};
use qbench_backends::registry;
use qbench_schema::files::RunFiles;
use qbench_schema::result::{RunStatus, Verdict};

/// Long enough that a stop always finds jobs in work.
const WORK_S: f64 = 0.2;

/// What a stop may take beside its last jobs: the end of private servers and the last files, on a machine that is busy with other
/// tests. How fast it is belongs to a benchmark; this catches one that hangs.
const ALLOWANCE: Duration = Duration::from_secs(10);

/// Four workers with two slots each carry 40 jobs/s; the rest of 200 jobs/s waits in their buffers and in the queue. Acks
/// would wait five seconds for a batch that never fills.
const LOAD: &str = "--rate 200 --duration 60s --workers 4 --concurrency 2 --work 200ms --claim-batch 10 --prefetch 20 --refill 5 \
                    --ack-batch 100 --ack-linger 5s --enqueue-batch 10 --allow-overload --json";

/// Waits for the end of `child`, at most as long as a stop may take.
fn end_of(mut child: Child, backend: &str) -> ExitStatus {
    let limit = Duration::from_secs_f64(WORK_S + 1.0) + ALLOWANCE;
    let stopped = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if stopped.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{backend} did not end within {limit:?} of the stop");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stop_with_full_buffers(backend: &str, options: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let out = dir.path().join("out");
    let mut command = with_broken_adapters(dir.path());
    command.env("QBENCH_TMPDIR", dir.path());
    let line = format!("run --backend {backend} --scenario cold {LOAD} {options} --out {}", out.display());
    let child = start_unheard(command.args(words(&line)));
    wait_until_measuring(&RunFiles::new(&out, backend, "cold"));
    // The first acks came after five seconds of linger, so buffers have been full for long.
    kill(pid(&child), Signal::SIGINT).unwrap();
    end_of(child, backend);

    let result = result_in(&out, backend, "cold");
    assert_eq!(result.status, RunStatus::Interrupted);
    assert_eq!((result.audit.verdict, result.audit.lost), (Verdict::Ok, 0), "{backend}: {:?}", result.audit);
    assert_eq!((result.audit.duplicated, result.audit.redelivered), (0, 0), "{backend}");
    assert!(result.jobs.completed > 0 && result.jobs.completed + 100 < result.jobs.enqueued, "{:?}", result.jobs);
    assert!(result.drain_s < WORK_S + 1.0, "{backend}: the last ack came {} s after the stop", result.drain_s);
    assert!(result.local_wait_ms.p50 > 100.0, "{backend}: buffers were full: {:?}", result.local_wait_ms);
}

/// A test per line: its name, the backend, its flags.
macro_rules! hands_back {
    ($($test:ident: $backend:literal $flags:literal,)*) => {
        const TRIED: &[&str] = &[$($backend),*];

        $(
        #[test]
        fn $test() {
            stop_with_full_buffers($backend, $flags);
        }
        )*
    };
}

#[test]
fn every_queue_outside_this_process_is_tried() {
    for entry in registry::backends().filter(|entry| entry.engine.has_objects) {
        assert!(TRIED.contains(&entry.id), "{} has no line", entry.id);
    }
}

hands_back! {
    skip_locked_hands_back_what_was_not_begun: "skip_locked" "",
    delete_returning_hands_back_what_was_not_begun: "delete_returning" "",
    partitioned_hands_back_what_was_not_begun: "partitioned" "",
    batch_sql_hands_back_what_was_not_begun: "batch_sql" "",
    advisory_lock_hands_back_what_was_not_begun: "advisory_lock" "",
    valkey_streams_hands_back_what_was_not_begun: "valkey_streams" "",
    valkey_list_hands_back_what_was_not_begun: "valkey_list" "",
    nats_jetstream_hands_back_what_was_not_begun: "nats_jetstream" "",
    sqlite_hands_back_what_was_not_begun: "sqlite" "",
    a_pulling_adapter_hands_back_what_was_not_begun: "external:echo" "--set consume=pull",
    a_pushing_adapter_hands_back_what_was_not_begun: "external:echo" "--set consume=push",
}

/// The account is asked for when all is given back, and what arrives on a channel that is being closed is given back too.
#[test]
fn a_pushing_adapter_that_takes_its_time_is_waited_for() {
    stop_with_full_buffers("external:closes_slowly", "");
}
