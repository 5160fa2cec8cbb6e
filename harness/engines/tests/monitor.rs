//! What the monitors must get right: whose CPU it was, what the server said, and that they never take a run down.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected stops there.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use qbench_backends::{
    Admin, BackendConfig, Census, Depth, Description, JobId, NewJob, ProducerId, Result as BackendResult, ServerUrl,
    WorkerId, registry,
};
use qbench_engines::background::{Pgbench, PgbenchConfig};
use qbench_engines::engine::Engine;
use qbench_engines::monitor::{MonitorConfig, MonitorSummary, Monitors, Roles, RowsTo, ServerTarget};
use qbench_engines::nats::{NatsEngine, NatsServer};
use qbench_engines::postgres::{PostgresEngine, PostgresServer};
use qbench_engines::services::StartOptions;
use qbench_engines::valkey::{ValkeyEngine, ValkeyServer};
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_schema::files::RunFiles;
use qbench_schema::result::Durability;
use qbench_schema::server_stats::{DbStatsRow, NatsStatsRow, ValkeyStatsRow};
use qbench_schema::system::SystemRow;
use serde::de::DeserializeOwned;
use sqlx::{Connection, PgConnection};

const INTERVAL: Duration = Duration::from_millis(100);

/// Longest wait for something that happens soon on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run's folder with monitors in it.
struct Watched {
    folder: tempfile::TempDir,
    files: RunFiles,
    phase: PhaseCell,
    monitors: Monitors,
}

fn on(engine: &'static dyn Engine, url: ServerUrl, objects: Vec<String>) -> Option<ServerTarget> {
    Some(ServerTarget { engine, url, objects, serves_background: true })
}

fn watch(roles: Roles, target: Option<ServerTarget>, admin: Option<Box<dyn Admin>>) -> Watched {
    let folder = tempfile::tempdir().unwrap();
    let files = RunFiles::new(folder.path(), "memory", "warm");
    let phase = PhaseCell::default();
    let monitors = Monitors::start(MonitorConfig {
        clock: RunClock::start(),
        phase: phase.clone(),
        rows: RowsTo::Files(files.clone()),
        roles,
        target,
        admin,
        interval: INTERVAL,
        meter: None,
    });
    Watched { folder, files, phase, monitors }
}

/// What went wrong: the notes without the one on how the host's busy time divides, which depends on who else is busy.
fn trouble(summary: &MonitorSummary) -> Vec<&str> {
    let division = " of the host's busy time in the measured window; the rest: ";
    summary.notes.iter().map(String::as_str).filter(|note| !note.contains(division)).collect()
}

/// Every row of a file. Fails when one of them does not parse, as a reader of the file would.
fn rows<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// Waits until the rows of a file satisfy `enough`.
async fn wait_for_rows<T: DeserializeOwned>(path: &Path, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if path.exists() {
            let rows = rows(path);
            if enough(&rows) {
                return rows;
            }
        }
        assert!(Instant::now() < deadline, "{} never got the rows that were waited for", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A shell that works in known portions: it stops itself before and after each.
struct Worker(Pid);

impl Worker {
    fn start(script: &str) -> Self {
        let child = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::null()).process_group(0).spawn();
        let worker = Worker(Pid::from_raw(child.unwrap().id() as i32));
        worker.wait_until_stopped();
        worker
    }

    fn work(&self) {
        kill(self.0, Signal::SIGCONT).unwrap();
        self.wait_until_stopped();
    }

    fn wait_until_stopped(&self) {
        assert!(matches!(waitpid(self.0, Some(WaitPidFlag::WUNTRACED)), Ok(WaitStatus::Stopped(..))));
    }

    fn role(&self) -> Vec<u32> {
        vec![self.0.as_raw() as u32]
    }

    /// Ends it; CPU seconds of it and of the children that it waited for, as the kernel tells a parent.
    fn end(self) -> f64 {
        kill(self.0, Signal::SIGKILL).unwrap();
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        let mut status = 0;
        // SAFETY: both pointers are to live memory of the right type, which zeroes are valid for.
        let usage = unsafe {
            assert_eq!(libc::wait4(self.0.as_raw(), &mut status, 0, usage.as_mut_ptr()), self.0.as_raw());
            usage.assume_init()
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}

/// Watches `worker` in the roles that `roles` gives it while it works once; what the monitors saw, and its CPU seconds as the kernel
/// charged them.
fn watch_work(worker: Worker, roles: impl FnOnce(Vec<u32>) -> Roles) -> (MonitorSummary, f64) {
    let run = watch(roles(worker.role()), None, None);
    run.monitors.measured_start();
    worker.work();
    run.monitors.measured_end();
    (run.monitors.finish(), worker.end())
}

/// Counts to a few hundred thousand: some tenths of a second of CPU.
const COUNT: &str = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done";

#[tokio::test]
async fn the_cpu_of_a_role_is_what_the_kernel_charged_its_process() {
    let worker = Worker::start(&format!("kill -STOP $$; {COUNT}; kill -STOP $$"));
    let (summary, charged_s) = watch_work(worker, |background| Roles { background, ..Roles::default() });
    let seen_s = summary.cpu_s.background.unwrap();
    assert!((seen_s / charged_s - 1.0).abs() < 0.1, "saw {seen_s} s, the kernel charged {charged_s} s");
    assert_eq!(summary.cpu_s.server, None, "a role without processes has no CPU");
    assert_eq!(trouble(&summary), Vec::<&str>::new());
}

#[tokio::test]
async fn the_busy_time_of_the_host_is_explained_whoever_else_is_busy() {
    let worker = Worker::start(&format!("kill -STOP $$; {COUNT}; {COUNT}; {COUNT}; {COUNT}; kill -STOP $$"));
    let (summary, _) = watch_work(worker, |server| Roles { server, ..Roles::default() });
    let cpu_s = summary.cpu_s;
    let (host_s, server_s) = (cpu_s.host.unwrap(), cpu_s.server.unwrap());
    let harness_s = cpu_s.harness.unwrap() + cpu_s.meter.unwrap();
    // On a machine that does nothing else the roles have nearly all of it; what others use is counted beside them.
    let kernel_s = cpu_s.kernel.unwrap_or(0.0) + cpu_s.wake_ups.unwrap_or(0.0);
    let explained_s = server_s + harness_s + kernel_s + cpu_s.others.unwrap();
    assert!(explained_s > 0.8 * host_s - 0.1, "{cpu_s:?}");
    assert!(explained_s < 1.1 * host_s + 0.1, "nobody is counted twice: {cpu_s:?}");
    let share = summary.cpu_roles_of_host_pct.unwrap();
    assert!((share - 100.0 * (server_s + harness_s + kernel_s) / host_s).abs() < 1e-9, "{share}");
    let told = summary.notes.iter().any(|note| note.contains("other processes "));
    assert_eq!(
        told,
        share < 95.0 && host_s >= 0.5,
        "where the rest went is told when there is one: {:?}",
        summary.notes
    );
}

#[tokio::test]
async fn short_lived_grandchildren_stay_counted_after_their_end() {
    // Subshells of about 10 ms each, far shorter than a sampling interval.
    let script = "kill -STOP $$; n=0; while [ $n -lt 60 ]; do \
                  (i=0; while [ $i -lt 8000 ]; do i=$((i+1)); done); n=$((n+1)); done; kill -STOP $$";
    let worker = Worker::start(script);
    let (summary, charged_s) = watch_work(worker, |server| Roles { server, ..Roles::default() });
    let seen_s = summary.cpu_s.server.unwrap();
    // Children's time comes in ticks of 10 ms, of user and system time each.
    assert!((seen_s - charged_s).abs() < 0.1 * charged_s + 0.02, "saw {seen_s} s, the kernel charged {charged_s} s");
}

#[tokio::test]
async fn a_role_keeps_the_cpu_of_a_root_that_died() {
    let worker = Worker::start(&format!("kill -STOP $$; {COUNT}; kill -STOP $$"));
    let run = watch(Roles { server: worker.role(), ..Roles::default() }, None, None);
    run.monitors.measured_start();
    worker.work();
    let system = run.files.system();
    let worked = rows::<SystemRow>(&system).len();
    wait_for_rows::<SystemRow>(&system, |rows| rows.len() >= worked + 2).await;
    let charged_s = worker.end();
    let lived = rows::<SystemRow>(&system).len();
    wait_for_rows::<SystemRow>(&system, |rows| rows.len() >= lived + 3).await;
    run.monitors.measured_end();
    let summary = run.monitors.finish();
    let seen_s = summary.cpu_s.server.unwrap();
    assert!((seen_s / charged_s - 1.0).abs() < 0.1, "saw {seen_s} s, the kernel charged {charged_s} s");
    assert!(summary.notes.iter().any(|note| note.starts_with("watch the server's processes")), "{:?}", summary.notes);
}

#[tokio::test]
async fn the_harness_is_this_process_with_threads_that_ended_and_without_its_children() {
    let worker = Worker::start(&format!("kill -STOP $$; {COUNT}; {COUNT}; {COUNT}; kill -STOP $$"));
    let run = watch(Roles { server: worker.role(), ..Roles::default() }, None, None);
    run.monitors.measured_start();
    std::thread::spawn(|| {
        let cpu_s = || {
            let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
        };
        while cpu_s() < 0.2 {}
    })
    .join()
    .unwrap();
    worker.work();
    run.monitors.measured_end();
    let summary = run.monitors.finish();
    worker.end();
    let (harness_s, server_s) = (summary.cpu_s.harness.unwrap(), summary.cpu_s.server.unwrap());
    assert!(harness_s >= 0.2, "the thread alone used 0.2 s, {harness_s} s were seen");
    assert!(harness_s < 0.2 + server_s / 2.0, "{harness_s} s of the harness hold some of {server_s} s of its child");
    let host_s = summary.cpu_s.host.unwrap();
    assert!(host_s > 0.9 * (harness_s + server_s) - 0.05, "the host's {host_s} s hold those of its processes");
}

#[tokio::test]
async fn rows_parse_back_carry_the_phase_and_stay_on_the_clock() {
    let run = watch(Roles::default(), None, None);
    let system = run.files.system();
    run.phase.enter(RunPhase::Measured);
    // Read while it is being written, as after a kill: every row is whole.
    let rows =
        wait_for_rows::<SystemRow>(&system, |rows| rows.iter().filter(|row| row.phase == "measured").count() >= 4)
            .await;
    for pair in rows.windows(2) {
        assert!(pair[0].at_us < pair[1].at_us);
    }
    let row = rows.last().unwrap();
    assert!(row.cpu_host_pct >= 0.0 && row.mem_used_bytes > 0 && row.mem_available_bytes > 0);
    assert!(row.harness_rss_bytes.unwrap() > 1_000_000);
    assert!(row.harness_cpu_pct.is_some() && row.harness_ctx_switches.is_some());
    assert_eq!((row.server_cpu_pct, row.server_rss_bytes, row.background_cpu_pct), (None, None, None));
    let summary = run.monitors.finish();
    assert!(summary.rss_harness_bytes >= row.harness_rss_bytes);
    assert_eq!((summary.cpu_pct.harness, summary.steal_pct), (None, None), "no window was marked");
    assert!(!run.files.server_stats("db").exists(), "there is no server to ask");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_note() {
    let run = watch(Roles::default(), None, None);
    let files = RunFiles::new(&run.folder.path().join("missing"), "memory", "warm");
    let monitors = Monitors::start(MonitorConfig {
        clock: RunClock::start(),
        phase: PhaseCell::default(),
        rows: RowsTo::Files(files),
        roles: Roles::default(),
        target: None,
        admin: None,
        interval: INTERVAL,
        meter: None,
    });
    monitors.measured_start();
    let summary = monitors.finish();
    assert!(trouble(&summary)[0].starts_with("create a monitor's file: "), "{:?}", summary.notes);
    assert!(summary.cpu_pct.harness.is_some(), "a window that was never closed ends with the monitors");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_note_and_the_others_go_on() {
    let url = ServerUrl::new("postgres://ann:s3cret@127.0.0.1:1/jobs");
    let run = watch(Roles::default(), on(&PostgresEngine, url, Vec::new()), None);
    wait_for_rows::<SystemRow>(&run.files.system(), |rows| rows.len() >= 3).await;
    let summary = run.monitors.finish();
    assert_eq!(summary.notes.len(), 1, "{:?}", summary.notes);
    let note = &summary.notes[0];
    assert!(note.starts_with("connect the PostgreSQL monitor: postgres://ann:***@127.0.0.1:1/jobs: "), "{note}");
    assert!(note.ends_with(" times)"), "{note}");
    assert_eq!(summary.deadlocks, None);
}

async fn postgres() -> PostgresServer {
    PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap()
}

async fn session(url: &ServerUrl) -> PgConnection {
    PgConnection::connect(url.expose()).await.unwrap()
}

async fn run_sql(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// Two transactions lock two rows in opposite order; the server ends one of them.
async fn deadlock(url: &ServerUrl) {
    let (mut ann, mut bob) = (session(url).await, session(url).await);
    run_sql(&mut ann, "BEGIN; SELECT FROM q.jobs WHERE id = 1 FOR UPDATE").await;
    run_sql(&mut bob, "BEGIN; SELECT FROM q.jobs WHERE id = 2 FOR UPDATE").await;
    let (ann_waits, bob_waits) = tokio::join!(
        sqlx::raw_sql("SELECT FROM q.jobs WHERE id = 2 FOR UPDATE").execute(&mut ann),
        sqlx::raw_sql("SELECT FROM q.jobs WHERE id = 1 FOR UPDATE").execute(&mut bob),
    );
    let ended = [ann_waits.is_err(), bob_waits.is_err()];
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
    // Their counters reach the views when they end.
    ann.close().await.unwrap();
    bob.close().await.unwrap();
}

#[tokio::test]
async fn postgresql_tells_what_it_did() {
    let server = postgres().await;
    let mut client = session(server.url()).await;
    run_sql(
        &mut client,
        "CREATE SCHEMA q;
         CREATE TABLE q.jobs (id bigint PRIMARY KEY, n int);
         CREATE TABLE q.parts (id bigint PRIMARY KEY) PARTITION BY HASH (id);
         CREATE TABLE q.part_0 PARTITION OF q.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE q.part_1 PARTITION OF q.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    )
    .await;
    let objects = ["q.jobs", "q.parts", "q.not_there"].map(String::from).to_vec();
    let target = on(&PostgresEngine, server.url().clone(), objects);
    let depth = Box::new(DepthOnly(Some(Depth { ready: 7, in_flight: 3 })));
    let run = watch(Roles { server: vec![server.pid()], ..Roles::default() }, target, Some(depth));
    let stats = run.files.server_stats("db");
    let first = wait_for_rows::<DbStatsRow>(&stats, |rows| !rows.is_empty()).await.remove(0);
    assert_eq!(
        (first.commits_total, first.wal_bytes_total, first.tup_updated_total),
        (0, 0, 0),
        "totals start at zero"
    );
    assert_eq!((first.backlog_ready, first.backlog_in_flight), (Some(7), Some(3)));

    run.monitors.measured_start();
    // The server's counters of the start are read by another thread; nothing of what follows may be among them.
    wait_for_rows::<DbStatsRow>(&stats, |rows| rows.len() >= 4).await;
    run_sql(&mut client, "INSERT INTO q.jobs SELECT id, 0 FROM generate_series(1, 1000) AS id").await;
    run_sql(&mut client, "INSERT INTO q.parts SELECT id FROM generate_series(1, 500) AS id").await;
    run_sql(&mut client, "UPDATE q.jobs SET n = 1 WHERE id <= 400").await;
    run_sql(&mut client, "CHECKPOINT").await;
    client.close().await.unwrap();
    deadlock(server.url()).await;
    let url = server.url().clone();
    let sleeper = tokio::spawn(async move {
        let mut sleeper = session(&url).await;
        let _ = sqlx::raw_sql("SELECT pg_sleep(600)").execute(&mut sleeper).await;
    });
    let rows = wait_for_rows::<DbStatsRow>(&stats, |rows| {
        rows.last().is_some_and(|row| {
            row.deadlocks_total == 1 && row.live_tuples >= 1500 && row.wait_events.contains("Timeout:PgSleep=1")
        })
    })
    .await;
    run.monitors.measured_end();
    sleeper.abort();
    let row = rows.last().unwrap();
    assert_eq!(row.live_tuples, 1500, "both tables, the partitioned one by its partitions");
    assert_eq!((row.tup_updated_total, row.dead_tuples), (400, 400));
    assert!(row.commits_total >= 4 && row.rollbacks_total >= 1, "{row:?}");
    assert!(row.wal_bytes_total > 100_000 && row.wal_syncs_total.unwrap() > 0, "{row:?}");
    assert!(row.checkpoints_total >= 1 && row.blocks_hit_total > 0, "{row:?}");
    assert!(row.table_bytes > 3 * 8192 && row.index_bytes > 3 * 8192, "{row:?}");
    assert!(row.active_backends >= 1, "{row:?}");

    let summary = run.monitors.finish();
    assert_eq!(summary.deadlocks, Some(1));
    assert_eq!(summary.cost.dead_tuples, Some(400));
    assert!(summary.cost.log_bytes.unwrap() > 100_000 && summary.cost.fsyncs.unwrap() > 0, "{:?}", summary.cost);
    assert!(summary.cost.log_bytes.unwrap() <= row.wal_bytes_total, "the window lies within the run");
    assert!(summary.cost.server_ctx_switches.unwrap() > 0 && summary.cost.harness_ctx_switches.unwrap() > 0);
    assert_eq!(summary.cost.memory_growth_bytes, None);
    assert_eq!(trouble(&summary), Vec::<&str>::new());
    assert!(summary.cpu_s.server.unwrap() > 0.0, "the backends that ended are counted");
    assert!(summary.rss_server_bytes.unwrap() > 5_000_000);
    server.stop().await.unwrap();
}

/// CPU seconds of processes with what they inherited from children, in ticks of 10 ms.
fn charged_s(pids: &[i32]) -> f64 {
    let stat = |pid: &i32| procfs::process::Process::new(*pid).ok()?.stat().ok();
    let ticks = |stat: procfs::process::Stat| stat.utime + stat.stime + (stat.cutime + stat.cstime) as u64;
    pids.iter().filter_map(stat).map(ticks).sum::<u64>() as f64 / procfs::ticks_per_second() as f64
}

/// The postmaster and its children.
fn processes_of(server: &PostgresServer) -> Vec<i32> {
    let postmaster = server.pid() as i32;
    let stats = procfs::process::all_processes().unwrap().filter_map(|process| process.ok()?.stat().ok());
    stats.filter(|stat| stat.pid == postmaster || stat.ppid == postmaster).map(|stat| stat.pid).collect()
}

#[tokio::test]
async fn the_sessions_of_pgbench_count_for_the_background_load_even_after_their_end() {
    let server = postgres().await;
    let config = PgbenchConfig {
        program: server.pgbench().to_owned(),
        server: server.url().clone(),
        clients: 2,
        scale: 2,
        cores: None,
    };
    let mut pgbench = Pgbench::prepare(config).await.unwrap().start(RunClock::start()).unwrap();
    pgbench.wait_until_running(PATIENCE).await.unwrap();
    let mut client = session(server.url()).await;
    let sessions: Vec<i32> =
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE application_name = 'qbench:pgbench'")
            .fetch_all(&mut client)
            .await
            .unwrap();
    assert_eq!(sessions.len(), 2);
    let program = [pgbench.pid() as i32];

    let roles = Roles { server: vec![server.pid()], background: vec![pgbench.pid()], ..Roles::default() };
    let target = on(&PostgresEngine, server.url().clone(), Vec::new());
    let run = watch(roles, target, None);
    // The first row comes with the first look at the sessions.
    wait_for_rows::<DbStatsRow>(&run.files.server_stats("db"), |rows| rows.len() >= 2).await;
    let (server_before_s, program_before_s) = (charged_s(&processes_of(&server)), charged_s(&program));
    run.monitors.measured_start();
    let (sessions_before_s, begun) = (charged_s(&sessions), Instant::now());
    while charged_s(&sessions) - sessions_before_s < 0.5 {
        assert!(begun.elapsed() < PATIENCE, "pgbench does nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let used_s = charged_s(&sessions) - sessions_before_s;
    // Its end is that of its sessions: what they used is then among the children's time of the postmaster.
    let program_s = charged_s(&program) - program_before_s;
    pgbench.stop();
    let begun = Instant::now();
    while sessions.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        assert!(begun.elapsed() < PATIENCE, "a session outlives pgbench");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.monitors.measured_end();
    let server_s = charged_s(&processes_of(&server)) - server_before_s;
    let summary = run.monitors.finish();
    let (seen_server_s, seen_background_s) = (summary.cpu_s.server.unwrap(), summary.cpu_s.background.unwrap());
    // What a session used between the last look at it and its end stays with the server.
    let slack_s = 0.1 + 0.1 * used_s;
    assert!(seen_background_s > used_s - slack_s, "saw {seen_background_s} s, the sessions alone used {used_s} s");
    let (seen_s, charged_s) = (seen_server_s + seen_background_s, server_s + program_s);
    assert!(seen_s < charged_s + slack_s, "saw {seen_s} s in two roles, the kernel charged {charged_s} s");
    assert_eq!((summary.cost.log_bytes, summary.cost.fsyncs), (None, None));
    let told = "WAL and flushes per job are left out: the background load works on the same server";
    assert!(summary.notes.iter().any(|note| note.starts_with(told)), "{:?}", summary.notes);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_slow_backlog_query_leaves_its_cell_empty_and_delays_no_row() {
    let server = postgres().await;
    let target = on(&PostgresEngine, server.url().clone(), Vec::new());
    let run = watch(Roles::default(), target, Some(Box::new(DepthOnly(None))));
    let rows = wait_for_rows::<DbStatsRow>(&run.files.server_stats("db"), |rows| rows.len() >= 4).await;
    assert!(rows.iter().all(|row| row.backlog_ready.is_none()));
    let summary = run.monitors.finish();
    assert_eq!(summary.notes.len(), 1, "{:?}", summary.notes);
    assert!(
        summary.notes[0].starts_with("ask the backend for its backlog, the cell stays empty: no answer within 1s ("),
        "{:?}",
        summary.notes
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn valkey_tells_what_it_did() {
    let server = ValkeyServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let client = redis::Client::open(server.url().expose()).unwrap();
    let mut client = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("q:meta").arg("no stream").exec_async(&mut client).await.unwrap();
    let objects = ["q:jobs", "q:meta", "q:not_there"].map(String::from).to_vec();
    let target = on(&ValkeyEngine, server.url().clone(), objects);
    let run = watch(Roles { server: vec![server.pid()], ..Roles::default() }, target, None);
    let stats = run.files.server_stats("valkey");
    let first = wait_for_rows::<ValkeyStatsRow>(&stats, |rows| !rows.is_empty()).await.remove(0);
    assert_eq!((first.stream_length, first.xadd_calls_total), (None, 0), "no key is a stream yet");

    run.monitors.measured_start();
    wait_for_rows::<ValkeyStatsRow>(&stats, |rows| rows.len() >= 4).await;
    const PAYLOAD_BYTES: usize = 10_000;
    let mut commands = redis::pipe();
    commands.cmd("XGROUP").arg(&["CREATE", "q:jobs", "workers", "0", "MKSTREAM"][..]);
    for _ in 0..50 {
        commands.cmd("XADD").arg(&["q:jobs", "*", "payload", &"x".repeat(PAYLOAD_BYTES)][..]);
    }
    commands.cmd("XREADGROUP").arg(&["GROUP", "workers", "w0", "COUNT", "20", "STREAMS", "q:jobs", ">"][..]);
    commands.exec_async(&mut client).await.unwrap();
    let rows = wait_for_rows::<ValkeyStatsRow>(&stats, |rows| {
        rows.last().is_some_and(|row| row.xreadgroup_calls_total == 1 && row.cpu_main_thread_pct.is_some())
    })
    .await;
    let row = rows.last().unwrap();
    assert_eq!((row.stream_length, row.pending), (Some(50), Some(20)));
    assert_eq!((row.xadd_calls_total, row.xack_calls_total), (50, 0));
    assert!(row.commands_total >= 52 && row.clients >= 2 && row.used_memory_bytes > 0, "{row:?}");
    assert!(row.stream_bytes.unwrap() > 0 && row.aof_bytes.unwrap() > 0, "{row:?}");
    run.monitors.measured_end();
    let summary = run.monitors.finish();
    assert_eq!(trouble(&summary), Vec::<&str>::new());
    // 50 payloads, each with its command and its framing.
    let payloads_bytes = 50 * PAYLOAD_BYTES as u64;
    let log_bytes = summary.cost.log_bytes.unwrap();
    assert!((payloads_bytes..payloads_bytes + 50 * 200).contains(&log_bytes), "{:?}", summary.cost);
    assert!(summary.cost.memory_growth_bytes.unwrap() > payloads_bytes as i64 / 2, "{:?}", summary.cost);
    assert_eq!((summary.cost.fsyncs, summary.cost.dead_tuples), (None, None));
    assert!(summary.rss_server_bytes.unwrap() > 1_000_000);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn nats_tells_what_it_did() {
    let server = NatsServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let config = BackendConfig { durability: Durability::D0, ..BackendConfig::new("q").at(server.url()) };
    let backend = registry::find("nats_jetstream").unwrap().open(&config).unwrap();
    let mut admin = backend.admin().await.unwrap();
    let objects = admin.describe().await.unwrap().objects;
    let target = on(&NatsEngine, server.url().clone(), objects);
    let run = watch(Roles { server: vec![server.pid()], ..Roles::default() }, target, None);
    let stats = run.files.server_stats("nats");
    let first = wait_for_rows::<NatsStatsRow>(&stats, |rows| !rows.is_empty()).await.remove(0);
    assert_eq!((first.messages, first.in_messages_total), (None, 0), "there is no stream yet");

    admin.setup().await.unwrap();
    run.monitors.measured_start();
    wait_for_rows::<NatsStatsRow>(&stats, |rows| rows.last().is_some_and(|row| row.messages == Some(0))).await;
    const PAYLOAD_BYTES: usize = 10_000;
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let jobs: Vec<NewJob> = (0..50).map(|job| NewJob { job: JobId(job), payload: payload.clone() }).collect();
    backend.producer(ProducerId(0)).await.unwrap().enqueue(&jobs).await.unwrap();
    let mut leases = Vec::new();
    let mut consumer = backend.consumer(WorkerId(0)).await.unwrap();
    consumer.claimer.claim(20, PATIENCE, &mut leases).await.unwrap();
    let rows = wait_for_rows::<NatsStatsRow>(&stats, |rows| {
        rows.last().is_some_and(|row| (row.ready, row.ack_pending) == (Some(30), Some(20)))
    })
    .await;
    let row = rows.last().unwrap();
    assert_eq!((row.messages, row.redelivered, row.waiting_pulls), (Some(50), Some(0), Some(0)));
    assert!(row.in_messages_total >= 51 && row.out_messages_total >= 70, "{row:?}");
    assert!(row.in_bytes_total >= 50 * PAYLOAD_BYTES as u64 && row.connections >= 3, "{row:?}");
    assert!(row.stream_bytes.unwrap() >= 50 * PAYLOAD_BYTES as u64 && row.rss_bytes > 1_000_000, "{row:?}");
    assert_eq!((row.stream_bytes, row.file_store_bytes), (Some(row.memory_store_bytes), 0));
    run.monitors.measured_end();
    let summary = run.monitors.finish();
    assert_eq!(trouble(&summary), Vec::<&str>::new());
    assert!(summary.cost.memory_growth_bytes.unwrap() >= 50 * PAYLOAD_BYTES as i64, "{:?}", summary.cost);
    assert_eq!((summary.cost.log_bytes, summary.cost.fsyncs, summary.cost.dead_tuples), (None, None, None));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_vanishes_is_noted_and_the_host_is_still_watched() {
    let server = ValkeyServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let target = on(&ValkeyEngine, server.url().clone(), vec!["q:jobs".to_owned()]);
    let run = watch(Roles { server: vec![server.pid()], ..Roles::default() }, target, None);
    let (stats, system) = (run.files.server_stats("valkey"), run.files.system());
    wait_for_rows::<ValkeyStatsRow>(&stats, |rows| rows.len() >= 2).await;
    server.stop().await.unwrap();
    let before = rows::<SystemRow>(&system).len();
    let after = wait_for_rows::<SystemRow>(&system, |rows| rows.len() >= before + 5).await;
    assert_eq!(after.last().unwrap().server_rss_bytes, None);
    let summary = run.monitors.finish();
    for subject in ["watch the server's processes: ", "connect the Valkey monitor: "] {
        assert!(summary.notes.iter().any(|note| note.starts_with(subject)), "{subject}{:?}", summary.notes);
    }
    assert!(rows::<ValkeyStatsRow>(&stats).len() >= 2, "what it said before is kept");
}

/// A control side that knows its depth at once, or does not answer while the run lasts.
struct DepthOnly(Option<Depth>);

const DEPTH_ONLY: &str = "a monitor asks for the depth only";

#[async_trait]
impl Admin for DepthOnly {
    async fn describe(&mut self) -> BackendResult<Description> {
        unreachable!("{DEPTH_ONLY}")
    }

    async fn setup(&mut self) -> BackendResult<()> {
        unreachable!("{DEPTH_ONLY}")
    }

    async fn reset(&mut self) -> BackendResult<()> {
        unreachable!("{DEPTH_ONLY}")
    }

    async fn depth(&mut self) -> BackendResult<Depth> {
        match self.0 {
            Some(depth) => Ok(depth),
            None => std::future::pending().await,
        }
    }

    async fn census(&mut self) -> BackendResult<Census> {
        unreachable!("{DEPTH_ONLY}")
    }

    async fn teardown(&mut self) -> BackendResult<()> {
        unreachable!("{DEPTH_ONLY}")
    }
}
