//! Client and server apart: an observer sees what a monitor here sees, leaves nothing behind, and a run by way of it is a run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use program::{pid, qbench, result_in, said, start_unheard, wait_for, wait_until_measuring, words};
use qbench_backends::{BackendConfig, JobId, NewJob, ProducerId, ServerUrl, registry};
use qbench_engines::engine::Engine;
use qbench_engines::monitor::{MonitorConfig, MonitorSummary, Monitors, Roles, RowsTo, ServerTarget};
use qbench_engines::observe::command::ObserverCommand;
use qbench_engines::observe::protocol::BackendAsked;
use qbench_engines::observe::remote::{RemoteHost, WatchPlan};
use qbench_engines::postgres::PostgresEngine;
use qbench_engines::services::Server;
use qbench_engines::valkey::ValkeyEngine;
use qbench_ground::clock::{PhaseCell, RunClock};
use qbench_schema::files::RunFiles;
use qbench_schema::load::Tuning;
use qbench_schema::manifest::Manifest;
use qbench_schema::result::{Durability, RunResult, RunStatus, Verdict};
use qbench_schema::server_stats::{DbStatsRow, ValkeyStatsRow};
use qbench_schema::system::SystemRow;
use serde::de::DeserializeOwned;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longest wait for something that takes seconds on any machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A folder that the user of private servers may enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

fn rows<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// Both figures are there, and the second is the first within 2 %.
fn alike(what: &str, here: Option<f64>, there: Option<f64>) {
    let (here, there) = (here.unwrap(), there.unwrap());
    assert!(here > 0.0 && (there / here - 1.0).abs() <= 0.02, "{what}: {here} here, {there} there");
}

/// One server, watched from here and by an observer at the same time while `load` keeps it busy, with `jobs` jobs in the queue of
/// `backend`. Both mark the window while the server is idle, so that no instant between the two marks can matter.
async fn watched_twice(
    engine: &'static dyn Engine,
    backend: &str,
    jobs: u64,
    load: impl AsyncFn(&ServerUrl),
) -> (MonitorSummary, MonitorSummary, tempfile::TempDir) {
    let program = env!("CARGO_BIN_EXE_qbench");
    let host = RemoteHost::connect(ObserverCommand::new("", program), &[]).await.unwrap();
    let offset = host.clock_offset().await.unwrap();
    assert!(offset.monotonic_ns.unsigned_abs() <= u128::from(offset.uncertain_ns), "one host, one clock: {offset:?}");
    let server = host.start_server(engine, Durability::D1, Tuning::Stock, 20, LOOPBACK).await.unwrap();
    let url = server.url().clone();

    let config = BackendConfig { durability: Durability::D1, ..BackendConfig::new("apart").at(&url) };
    let entry = registry::find(backend).unwrap();
    let wake = entry.capabilities(&config.options).unwrap().wakes[0];
    let queue = entry.open(&BackendConfig { wake, ..config }).unwrap();
    let mut admin = queue.admin().await.unwrap();
    admin.setup().await.unwrap();
    let objects = admin.describe().await.unwrap().objects;
    let mut producer = queue.producer(ProducerId(0)).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (RunFiles::new(folder.path(), "here", "x"), RunFiles::new(folder.path(), "there", "x"));
    let (clock, interval) = (RunClock::start(), Duration::from_millis(200));
    let statistics = engine.statistics().unwrap();
    let monitors = Monitors::start(MonitorConfig {
        clock,
        phase: PhaseCell::default(),
        rows: RowsTo::Files(here),
        roles: Roles { server: vec![engine.process_of(&url).await.unwrap()], ..Roles::default() },
        target: Some(ServerTarget { engine, url: url.clone(), objects: objects.clone(), serves_background: false }),
        admin: Some(queue.admin().await.unwrap()),
        interval,
        meter: None,
    });
    let plan = WatchPlan {
        clock,
        offset,
        system: &there.system_server(),
        server: &there.server_stats(statistics),
        objects: &objects,
        interval,
        backend: BackendAsked {
            id: backend.to_owned(),
            options: Default::default(),
            namespace: "apart".to_owned(),
            durability: Durability::D1,
            wake: wake.name().to_owned(),
            workers: 1,
        },
    };
    host.watch(plan).await.unwrap();

    host.measured_start();
    // Answered when the mark has been made.
    host.clock_offset().await.unwrap();
    monitors.measured_start();
    // The counters at the mark are read a round trip later, on the monitors' own threads.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let new_job = |job| NewJob { job: JobId(job), payload: Bytes::from_static(&[7; 256]) };
    for job in (0..jobs).map(new_job) {
        producer.enqueue(&[job]).await.unwrap();
    }
    load(&url).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    host.measured_end();
    host.clock_offset().await.unwrap();
    monitors.measured_end();
    let own = tokio::task::spawn_blocking(move || monitors.finish()).await.unwrap();
    let observed = host.unwatch().await.unwrap();
    assert_eq!(observed.died, None);
    host.stop().await.unwrap();
    (own, observed.summary, folder)
}

fn assert_alike(here: &MonitorSummary, there: &MonitorSummary) {
    assert!(here.cpu_s.server > Some(0.3), "the load was one: {:?}", here.cpu_s);
    alike("CPU of the server", here.cpu_s.server, there.cpu_s.server);
    let count = |count: Option<u64>| count.map(|count| count as f64);
    alike("memory of the server", count(here.rss_server_bytes), count(there.rss_server_bytes));
    alike("log", count(here.cost.log_bytes), count(there.cost.log_bytes));
    assert_eq!(here.deadlocks, there.deadlocks);
}

/// Keeps a core of the server busy for some seconds.
async fn busy<F: Future<Output = ()>>(mut work: impl FnMut() -> F) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        work().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_of_postgresql_what_a_monitor_here_sees() {
    let load = async |url: &ServerUrl| {
        use sqlx::Connection;
        let connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
        let connection = tokio::sync::Mutex::new(connection);
        busy(async || {
            // Needs no memory that comes and goes.
            let count = sqlx::query("SELECT count(*) FROM generate_series(1, 500) AS a, generate_series(1, 500) AS b");
            count.execute(&mut *connection.lock().await).await.unwrap();
        })
        .await;
    };
    let (here, there, folder) = watched_twice(&PostgresEngine, "skip_locked", 60, load).await;
    assert_alike(&here, &there);
    let of = |run: &str| rows::<DbStatsRow>(&RunFiles::new(folder.path(), run, "x").server_stats("db"));
    let (own, observed) = (of("here"), of("there"));
    let (own_last, observed_last) = (own.last().unwrap(), observed.last().unwrap());
    assert_eq!((own_last.backlog_ready, observed_last.backlog_ready), (Some(60), Some(60)));
    assert_eq!((own_last.table_bytes, own_last.index_bytes), (observed_last.table_bytes, observed_last.index_bytes));
    alike("WAL", Some(own_last.wal_bytes_total as f64), Some(observed_last.wal_bytes_total as f64));
    // Instants are those of the run's clock, though they were read elsewhere.
    let gap_us = own_last.at_us.abs_diff(observed_last.at_us);
    assert!(gap_us < 20_000_000 && observed.windows(2).all(|pair| pair[0].at_us < pair[1].at_us), "{gap_us}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_of_valkey_what_a_monitor_here_sees() {
    let load = async |url: &ServerUrl| {
        let connection = redis::Client::open(url.expose()).unwrap().get_multiplexed_async_connection().await.unwrap();
        busy(async || {
            let mut pipeline = redis::pipe();
            for key in 0..500 {
                pipeline.get(format!("apart:{key}")).ignore();
            }
            pipeline.query_async::<()>(&mut connection.clone()).await.unwrap();
        })
        .await;
    };
    let (here, there, folder) = watched_twice(&ValkeyEngine, "valkey_streams", 60, load).await;
    assert_alike(&here, &there);
    let switches = |summary: &MonitorSummary| summary.cost.server_ctx_switches.map(|count| count as f64);
    alike("context switches", switches(&here), switches(&there));
    let of = |run: &str| rows::<ValkeyStatsRow>(&RunFiles::new(folder.path(), run, "x").server_stats("valkey"));
    let (own, observed) = (of("here"), of("there"));
    let (own_last, observed_last) = (own.last().unwrap(), observed.last().unwrap());
    assert_eq!((own_last.stream_length, observed_last.stream_length), (Some(60), Some(60)));
    alike("commands", Some(own_last.commands_total as f64), Some(observed_last.commands_total as f64));
}

/// A small load.
const SMALL: &str =
    "--scenario warm --rate 100 --duration 3s --warmup 1s --warmup-rate 50 --workers 4 --producers 4 --work 1ms";

fn run_in(folder: &Path, backend: &str, flags: &[&str]) -> (std::process::Output, RunResult) {
    let mut command = qbench();
    command.args(["run", "--backend", backend]).args(words(SMALL)).args(flags).arg("--out").arg(folder.join("out"));
    let output = command.env("QBENCH_TMPDIR", folder).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    (output, result_in(&folder.join("out"), backend, "warm"))
}

/// Neither a private server's folder nor a process in one is left.
fn nothing_left_in(folder: &Path) -> bool {
    let is_private = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("qbench-");
    let folders = fs::read_dir(folder).unwrap().flatten().filter(|entry| is_private(&entry.file_name())).count();
    let at_work = procfs::process::all_processes().unwrap().flatten().filter_map(|process| process.cwd().ok());
    folders == 0 && at_work.filter(|cwd| cwd.starts_with(folder)).count() == 0
}

/// That of a run whose server is watched by an observer, with an account of every job, and figures of both hosts.
fn assert_observed(folder: &Path, backend: &str, result: &RunResult) {
    assert_eq!((result.status, result.audit.verdict), (RunStatus::Finished, Verdict::Ok), "{:?}", result.audit);
    assert!(result.cpu_us_per_job.server > Some(0.0) && result.rss_server_bytes > Some(0), "{:?}", result.notes);
    let host = result.server_host.as_ref().unwrap();
    assert_eq!(host.host_id, result.identity.server_host_id);
    assert!(host.cpu_pct > Some(0.0) && host.steal_pct.is_some() && host.hiccup_ms.is_some(), "{host:?}");
    // One machine has one clock, however it is asked.
    let uncertain_ms = host.clock_uncertain_us / 1e3;
    for offset_ms in [host.clock_offset_ms, host.clock_offset_after_ms.unwrap()] {
        assert!(offset_ms.abs() <= uncertain_ms, "{offset_ms} +- {uncertain_ms} ms");
    }
    let files = RunFiles::new(&folder.join("out"), backend, "warm");
    let (here, there): (Vec<SystemRow>, Vec<SystemRow>) = (rows(&files.system()), rows(&files.system_server()));
    assert!(here.iter().all(|row| row.server_cpu_pct.is_none()), "the server is not here");
    let measured: Vec<&SystemRow> = there.iter().filter(|row| row.phase == "measured").collect();
    assert!(measured.len() >= 2 && measured.iter().all(|row| row.server_cpu_pct.is_some()), "{there:?}");
    let manifest: Manifest = serde_json::from_slice(&fs::read(files.manifest()).unwrap()).unwrap();
    assert!(manifest.server_host.is_some_and(|host| host.cpu_count > 0));
}

/// No file of a run holds the password of a private server, which is 32 hexadecimal digits.
fn assert_no_password(folder: &Path) {
    for entry in fs::read_dir(folder.join("out")).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        let words = text.split(|c: char| !c.is_ascii_hexdigit());
        assert!(words.into_iter().all(|word| word.len() != 32), "{}", entry.path().display());
    }
}

#[test]
fn a_run_by_way_of_an_observer_is_a_run_with_figures_of_both_hosts() {
    for (backend, statistics) in [("skip_locked", "db"), ("valkey_streams", "valkey")] {
        let folder = open_folder();
        let (output, result) = run_in(folder.path(), backend, &["--observer", ""]);
        assert_observed(folder.path(), backend, &result);
        assert_eq!(result.identity.topology, "private, observed");
        assert!(result.round_trip_us.unwrap().before.unwrap().p50 > 0.0);
        let files = RunFiles::new(&folder.path().join("out"), backend, "warm");
        assert!(fs::read_to_string(files.server_stats(statistics)).unwrap().lines().count() >= 4);
        assert_no_password(folder.path());
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(words.contains("round trip to the server:") && words.contains("server's host:"), "{words}");
        assert!(nothing_left_in(folder.path()));
    }
}

/// A long run by way of an observer, which is under way.
fn start_long_run(folder: &Path) -> std::process::Child {
    let line =
        "run --backend valkey_streams --scenario cold --rate 100 --duration 120s --workers 2 --work 1ms --observer";
    let mut command = qbench();
    command.args(words(line)).arg("").arg("--out").arg(folder.join("out")).env("QBENCH_TMPDIR", folder);
    let child = start_unheard(&mut command);
    wait_until_measuring(&RunFiles::new(&folder.join("out"), "valkey_streams", "cold"));
    child
}

/// The observer of a run: its child that is one.
fn observer_of(run: Pid) -> Pid {
    let is_observer = |process: &procfs::process::Process| {
        process.stat().is_ok_and(|stat| stat.ppid == run.as_raw())
            && process.cmdline().is_ok_and(|words| words.get(1).is_some_and(|word| word == "observe"))
    };
    let found = procfs::process::all_processes().unwrap().flatten().find(is_observer);
    Pid::from_raw(found.unwrap().pid)
}

#[test]
fn a_run_whose_observer_is_killed_ends_with_the_reason_and_no_server_is_left() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let folder = open_folder();
        let mut run = start_long_run(folder.path());
        assert!(!nothing_left_in(folder.path()), "a server that runs is seen");
        kill(observer_of(pid(&run)), signal).unwrap();
        wait_for("the end of the run", PATIENCE, || run.try_wait().unwrap().is_some());
        let result = result_in(&folder.path().join("out"), "valkey_streams", "cold");
        assert_eq!(result.status, RunStatus::Failed);
        let error = result.error.unwrap();
        let expected = if signal == Signal::SIGKILL { "killed by SIGKILL" } else { "it was stopped" };
        assert!(error.contains("the observer on the server's host was lost") && error.contains(expected), "{error}");
        wait_for("the end of the server", PATIENCE, || nothing_left_in(folder.path()));
    }
}

#[test]
fn an_observer_whose_run_is_killed_leaves_no_server_behind() {
    let folder = open_folder();
    let mut run = start_long_run(folder.path());
    let observer = observer_of(pid(&run));
    run.kill().unwrap();
    run.wait().unwrap();
    wait_for("the end of the observer", PATIENCE, || kill(observer, None).is_err());
    wait_for("the end of the server", PATIENCE, || nothing_left_in(folder.path()));
}

#[tokio::test]
async fn what_is_no_observer_of_ours_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let other = serde_json::json!({
        "say": "hello", "protocol": 99, "version": "0.9.0", "revision": "abc", "host_id": "x", "reached_at": null,
        "host": {"hostname": "db1", "os": "", "kernel": "", "cpu_model": "", "cpu_count": 1, "memory_bytes": 1,
            "data_filesystem": "", "cpu_governor": null},
    });
    for (script, expected) in [
        (format!("echo welcome; echo '{other}'; cat >/dev/null"), "it speaks version 99"),
        ("echo '{\"say\":\"hello\",\"protocol\":7}'; cat >/dev/null".to_owned(), "it speaks version 7"),
        ("echo 'Permission denied (publickey).' >&2; exit 255".to_owned(), "Permission denied (publickey)."),
        ("exit 0".to_owned(), "it ended"),
    ] {
        let path = folder.path().join("way");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let command = ObserverCommand::new(path.to_str().unwrap(), "qbench");
        let refused = RemoteHost::connect(command, &[]).await.err().unwrap();
        assert!(refused.contains(expected) && refused.starts_with("the observer behind `"), "{refused}");
        fs::remove_file(&path).unwrap();
    }
    let missing = RemoteHost::connect(ObserverCommand::new("/nowhere/ssh db1", "qbench"), &[]).await.err().unwrap();
    assert!(missing.contains("/nowhere/ssh db1") && missing.contains("it does not start"), "{missing}");
}

#[test]
fn what_an_observer_cannot_do_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, expected) in [
        ("--backend sqlite --scenario warm --observer x", "has no server that could be on another host"),
        ("--backend skip_locked --scenario load --observer x", "runs pgbench beside the queue"),
        ("--backend skip_locked --scenario warm --observer x --server-host y", "leave one of them out"),
        ("--backend skip_locked --scenario warm --server-address 10.0.0.2", "needs --server-host or --observer"),
        ("--backend skip_locked --scenario warm --observer x --server-address db1", "an address in numbers"),
        ("--backend sqlite --scenario warm --delay 1ms", "has no server, so there is no way to one"),
        ("--backend skip_locked --scenario warm --delay 2s", "the delay must be at most 1s"),
    ] {
        let out = folder.path().join("out");
        let output = qbench().arg("run").args(words(flags)).arg("--out").arg(&out).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}: {}", said(&output));
        assert!(said(&output).contains(expected) && !out.exists(), "{flags}: {}", said(&output));
    }
}

#[test]
fn a_delay_is_added_to_each_round_trip_and_stands_in_the_identity() {
    for backend in ["skip_locked", "valkey_streams", "nats_jetstream"] {
        let folder = open_folder();
        let (_, result) = run_in(folder.path(), backend, &["--delay", "20ms"]);
        assert_eq!((result.status, result.audit.verdict), (RunStatus::Finished, Verdict::Ok), "{:?}", result.audit);
        assert_eq!(result.identity.topology, "private, relay +20ms");
        assert!(result.identity.configuration.contains("delay=20ms"), "{}", result.identity.configuration);
        // An enqueue is a round trip at least, and so is an ack.
        assert!(result.confirm_time_ms.p50 >= 20.0 && result.ack_time_ms.p50 >= 20.0, "{backend}");
        if let Some(ends) = result.round_trip_us {
            assert!(ends.p50_ms().unwrap() >= 20.0, "{ends:?}");
        }
        assert_eq!(result.round_trip_us.is_some(), backend != "nats_jetstream");
        let files = RunFiles::new(&folder.path().join("out"), backend, "warm");
        let manifest: Manifest = serde_json::from_slice(&fs::read(files.manifest()).unwrap()).unwrap();
        assert!(manifest.network[0].contains("adds 20 ms to each round trip"), "{:?}", manifest.network);
        assert_no_password(folder.path());
        assert!(nothing_left_in(folder.path()));
    }
}

/// A network namespace with a link to this host. Removed when it is dropped.
struct Namespace {
    name: String,
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words(arguments)).output().map_err(|error| format!("ip: {error}"))?;
    output.status.success().then_some(()).ok_or_else(|| format!("ip {arguments}: {}", said(&output)))
}

impl Namespace {
    /// Where the namespace is reached, and this host from there. A network for documentation (RFC 5737), which nobody is on.
    const THERE: &str = "198.51.100.2";
    const HERE: &str = "198.51.100.1";

    fn new() -> Result<Self, String> {
        if !Uid::effective().is_root() {
            return Err("only root makes network namespaces".to_owned());
        }
        let id = std::process::id();
        let namespace = Namespace { name: format!("qbench-{id}") };
        let (name, here, there) = (&namespace.name, format!("qb{id}a"), format!("qb{id}b"));
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {here} type veth peer name {there} netns {name}"))?;
        ip(&format!("addr add {}/30 dev {here}", Self::HERE))?;
        ip(&format!("link set {here} up"))?;
        ip(&format!("-n {name} addr add {}/30 dev {there}", Self::THERE))?;
        ip(&format!("-n {name} link set {there} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its link goes with it.
        let _ = ip(&format!("netns del {}", self.name));
    }
}

#[test]
fn a_server_in_another_network_namespace_is_started_watched_and_removed_there() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(reason) => return eprintln!("two hosts as network namespaces were not tried: {reason}"),
    };
    let observer = format!("ip netns exec {}", namespace.name);
    let apart = ["--observer", &observer, "--server-address", Namespace::THERE];
    for backend in ["skip_locked", "valkey_streams", "nats_jetstream"] {
        let folder = open_folder();
        let (_, result) = run_in(folder.path(), backend, &apart);
        assert_observed(folder.path(), backend, &result);
        let expected = format!("remote {}, host {}", Namespace::THERE, result.identity.server_host_id);
        assert_eq!(result.identity.topology, expected);
        assert_no_password(folder.path());
        assert!(nothing_left_in(folder.path()));
    }
    // By way of a relay, which is on this side.
    let folder = open_folder();
    let (_, result) = run_in(folder.path(), "skip_locked", &[&apart[..], &["--delay", "5ms"]].concat());
    assert_observed(folder.path(), "skip_locked", &result);
    assert!(result.identity.topology.ends_with(", relay +5ms"), "{}", result.identity.topology);
    assert!(result.round_trip_us.unwrap().p50_ms().unwrap() >= 5.0);

    let folder = open_folder();
    let mut nowhere = qbench();
    nowhere.args(["run", "--backend", "valkey_streams"]).args(words(SMALL)).args(["--observer", &observer]);
    let output = nowhere.arg("--out").arg(folder.path().join("out")).output().unwrap();
    assert!(said(&output).contains("give it with --server-address"), "{}", said(&output));
}
