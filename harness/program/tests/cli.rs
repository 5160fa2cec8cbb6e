//! The program as its users meet it: real processes, real servers, exit status, one clear sentence.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::{pid, qbench, run, said, start_unheard, wait_for, wait_until_measuring, words};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_engines::valkey::ValkeyServer;
use qbench_ground::pinning::Cores;
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::{ConfiguredValue, Manifest};
use qbench_schema::record::{JobRecord, Stage};
use qbench_schema::result::{Durability, RunResult, RunStatus, Verdict};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};
use tempfile::TempDir;

/// A small load, so that many tests fit beside each other.
const SMALL: &str = "--rate 100 --duration 2s --workers 4";

/// The run was refused with that status and one sentence on standard error that has all of `words`.
fn refused(output: &Output, status: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("qbench: ")).collect();
    assert_eq!(sentences.len(), 1, "one clear sentence, not: {said}");
    for word in words {
        assert!(sentences[0].contains(word), "`{}` should mention `{word}`", sentences[0]);
    }
}

/// A folder that servers of an ordinary user can live below.
fn open_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// Processes other than the harness that were started with a path below `dir`.
fn processes_below(dir: &Path) -> Vec<String> {
    let needle = dir.to_str().unwrap();
    let of = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|pid| String::from_utf8_lossy(&of(&pid)).replace('\0', " "))
        .filter(|line| line.contains(needle) && !line.contains("qbench run"))
        .collect()
}

/// Pids of the servers that run below `dir`.
fn servers_below(dir: &Path) -> Vec<i32> {
    let dir = dir.canonicalize().unwrap();
    let below = |process: &procfs::process::Process| process.cwd().is_ok_and(|cwd| cwd.starts_with(&dir));
    procfs::process::all_processes().unwrap().flatten().filter(below).map(|process| process.pid).collect()
}

/// What `/proc/<pid>/status` says on the cores of every thread of a process.
fn cores_of(pid: i32) -> Vec<String> {
    let tasks = procfs::process::Process::new(pid).unwrap().tasks().unwrap();
    let statuses =
        tasks.filter_map(|task| fs::read_to_string(format!("/proc/{pid}/task/{}/status", task.ok()?.tid)).ok());
    let line =
        |status: String| status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:").map(str::to_owned));
    statuses.filter_map(line).map(|cores| cores.trim().to_owned()).collect()
}

fn first_core() -> String {
    let all = Cores::of_this_process().unwrap().to_string();
    all.split(['-', ',']).next().unwrap().to_owned()
}

fn last_core() -> String {
    let all = Cores::of_this_process().unwrap().to_string();
    all.rsplit(['-', ',']).next().unwrap().to_owned()
}

fn result_of(files: &RunFiles) -> RunResult {
    serde_json::from_slice(&fs::read(files.result()).unwrap()).unwrap()
}

fn records_of(files: &RunFiles) -> Vec<JobRecord> {
    let text = fs::read_to_string(files.metrics()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_unknown_backend_is_refused_with_the_nearest_name() {
    refused(&run("run --backend skip_lockt --scenario cold"), 2, &["skip_lockt", "skip_locked"]);
}

#[test]
fn an_unknown_scenario_profile_and_key_are_refused_with_the_nearest_name() {
    refused(&run("run --backend null --scenario colt"), 2, &["colt", "cold"]);
    refused(&run("run --backend null --scenario cold --profile quik"), 2, &["quik", "quick"]);
    let set = run("run --backend null --scenario cold --set comit=ack");
    refused(&set, 2, &["comit", "commit"]);
    let variable =
        qbench().args(words("run --backend null --scenario cold")).env("QBENCH_WORKRS", "3").output().unwrap();
    refused(&variable, 2, &["QBENCH_WORKRS", "QBENCH_WORKERS"]);
}

#[test]
fn an_unknown_key_in_the_settings_file_is_refused_with_file_and_nearest_name() {
    let dir = open_dir();
    fs::write(dir.path().join("qbench.toml"), "workres = 3\n").unwrap();
    let output = qbench().args(words("run --backend null --scenario cold")).current_dir(dir.path()).output().unwrap();
    refused(&output, 2, &["qbench.toml", "workres", "workers"]);
}

#[test]
fn an_option_of_another_backend_is_refused() {
    let output = run("run --backend skip_locked --scenario cold --set commit=ack");
    refused(&output, 2, &["commit", "skip_locked"]);
}

#[test]
fn a_rate_of_zero_is_refused() {
    refused(&run("run --backend null --scenario cold --rate 0"), 2, &["--rate 0"]);
}

#[test]
fn more_load_than_the_workers_can_carry_is_refused_with_the_arithmetic() {
    let output = run("run --backend skip_locked --scenario warm --workers 20 --rate 5000 --work 10ms");
    refused(&output, 2, &["20 workers x 1 / 10ms = 2,000 jobs/s", "--allow-overload"]);
}

#[test]
fn a_way_of_waiting_that_a_backend_does_not_have_is_refused() {
    let output = run("run --backend skip_locked --scenario cold --wake block");
    refused(&output, 2, &["--wake block", "skip_locked", "poll"]);
}

#[test]
fn a_limit_of_notifications_is_refused_where_workers_poll() {
    let line = "run --backend skip_locked --scenario cold --notify-limit 10ms";
    for polling in ["", " --wake poll"] {
        refused(&run(&format!("{line}{polling}")), 2, &["--notify-limit", "skip_locked", "--wake notify"]);
    }
    // In a comparison of all that push, a queue that needs no notifications takes part.
    let folder = tempfile::tempdir().unwrap();
    let output = run(&format!(
        "run --backend memory --scenario cold --rate 100 --duration 1s --wake push --notify-limit 10ms --out {}",
        folder.path().display()
    ));
    assert_ne!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn cores_that_do_not_exist_and_servers_that_are_not_ours_are_not_bound() {
    const LINE: &str = "run --backend skip_locked --scenario cold";
    refused(&run(&format!("{LINE} --pin server=1000")), 2, &["core 1000 does not exist here"]);
    refused(&run(&format!("{LINE} --pin sever=0")), 2, &["no role `sever`", "server=0-1,harness=2"]);
    let core = first_core();
    let variable = qbench()
        .args(words(LINE))
        .args(words("--pg-url postgres://ann@db.example/x"))
        .env("QBENCH_PIN", format!("server={core}"))
        .output()
        .unwrap();
    refused(&variable, 2, &["postgres://ann@db.example/x", "did not start", "taskset"]);
}

#[test]
fn an_argument_that_is_no_text_is_refused_and_a_reader_that_has_seen_enough_is_no_fault() {
    use std::os::unix::ffi::OsStrExt;
    let broken = std::ffi::OsStr::from_bytes(b"--out=\xff");
    let output = qbench().args(words("run --backend")).arg(broken).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));

    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let output = qbench().args(words("list backends")).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = qbench().args(words("list backends")).stdout(full).stderr(Stdio::piped()).output().unwrap();
    refused(&output, 1, &["standard output", "No space left"]);
}

#[test]
fn the_conformance_suite_takes_no_settings_of_a_load() {
    for flag in ["--rate 5", "--set commit=ack", "--pin server=0"] {
        let output = run(&format!("verify --backend null {flag}"));
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(said(&output).contains("unexpected argument"), "{flag}");
    }
}

#[test]
fn a_place_that_servers_cannot_use_is_a_mistake_of_usage() {
    if !nix::unistd::Uid::effective().is_root() {
        // Anybody else's servers run as that very user, who can use what is theirs.
        return;
    }
    let closed = TempDir::new().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let out = open_dir();
    let output = qbench()
        .args(words("run --backend valkey_streams --scenario cold --out"))
        .arg(out.path())
        .env("QBENCH_TMPDIR", closed.path())
        .output()
        .unwrap();
    refused(&output, 2, &["QBENCH_TMPDIR", closed.path().to_str().unwrap()]);
}

#[test]
fn a_machine_is_calibrated_where_its_servers_keep_their_data() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let output =
        qbench().arg("calibrate").env("QBENCH_TMPDIR", &missing).env("TMPDIR", folder.path()).output().unwrap();
    refused(&output, 1, &[missing.to_str().unwrap(), "data of private servers"]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let output = run("run --backend null --scenario cold --out /dev/null/results");
    refused(&output, 1, &["/dev/null/results", "--out"]);
}

#[test]
fn a_dead_server_is_named_and_leaves_a_result_that_says_so() {
    for (flag, backend, url) in [
        ("--pg-url", "skip_locked", "postgres://ann@127.0.0.1:1/x"),
        ("--valkey-url", "valkey_streams", "redis://127.0.0.1:1"),
    ] {
        let dir = open_dir();
        let out = dir.path().to_str().unwrap();
        let output = run(&format!("run --backend {backend} --scenario cold {flag} {url} --out {out}"));
        refused(&output, 1, &["127.0.0.1:1"]);
        let result = result_of(&RunFiles::new(dir.path(), backend, "cold"));
        assert_eq!(result.status, RunStatus::Failed);
        assert!(result.error.unwrap().contains("127.0.0.1:1"));
    }
}

#[test]
fn an_address_that_is_none_is_a_mistake_of_usage() {
    let dir = open_dir();
    let out = dir.path().to_str().unwrap();
    let output = run(&format!("run --backend skip_locked --scenario cold --pg-url localhost --out {out}"));
    refused(&output, 2, &["localhost", "postgres://"]);
}

#[test]
fn a_finished_recording_is_never_overwritten() {
    let dir = open_dir();
    let out = dir.path().to_str().unwrap();
    let line = format!("run --backend null --scenario cold --out {out} --rate 50 --duration 300ms --work 0ms");
    let first = run(&line);
    assert!(matches!(first.status.code(), Some(0 | 3)), "{}", said(&first));
    let before = fs::read(RunFiles::new(dir.path(), "null", "cold").result()).unwrap();
    refused(&run(&line), 2, &["never overwritten"]);
    assert_eq!(fs::read(RunFiles::new(dir.path(), "null", "cold").result()).unwrap(), before);
}

#[test]
fn every_intended_job_is_sent_recorded_and_audited() {
    let dir = open_dir();
    let out = dir.path().to_str().unwrap();
    let output = run(&format!(
        "run --backend memory --scenario cold --rate 2000 --duration 2s --work 1ms --arrivals poisson --json --out {out}"
    ));
    let printed: RunResult = serde_json::from_slice(&output.stdout).unwrap();
    let files = RunFiles::new(dir.path(), "memory", "cold");
    assert_eq!(result_of(&files), printed, "what is printed is what is written");
    let jobs = printed.jobs;
    assert_eq!((jobs.sent, jobs.enqueued, jobs.completed), (jobs.intended, jobs.intended, jobs.intended));
    assert_eq!(printed.audit.verdict, Verdict::Ok, "{:?}", printed.audit);
    let records = records_of(&files);
    assert_eq!(records.len() as u64, jobs.completed);
    let shares: u64 = printed.workers.iter().map(|share| share.completed).sum();
    assert_eq!(shares, jobs.completed);

    for record in &records {
        program::assert_instants_in_order(record);
        // The first two are sums of the others.
        let stages: u64 = Stage::ALL[2..].iter().map(|stage| record.stage_us(*stage)).sum();
        assert_eq!(stages, record.stage_us(Stage::EndToEnd));
    }
    let manifest: Manifest = serde_json::from_slice(&fs::read(files.manifest()).unwrap()).unwrap();
    assert_eq!(manifest.configuration["rate"].source, "flag");
    assert_eq!(manifest.configuration["profile"].source, "default");
}

#[test]
fn percentiles_recomputed_from_the_job_file_agree_within_one_percent() {
    let dir = open_dir();
    let out = dir.path().to_str().unwrap();
    run(&format!("run --backend memory --scenario cold --rate 1000 --duration 2s --out {out}"));
    let files = RunFiles::new(dir.path(), "memory", "cold");
    let result = result_of(&files);
    for (stage, said) in [(Stage::EndToEnd, result.end_to_end_ms), (Stage::WorkTime, result.work_time_ms)] {
        let mut latencies: Vec<u64> = records_of(&files).iter().map(|record| record.stage_us(stage)).collect();
        latencies.sort_unstable();
        for (quantile, said_ms) in [(0.50, said.p50), (0.95, said.p95), (0.99, said.p99), (1.0, said.max)] {
            let rank = (latencies.len() as f64 * quantile).ceil() as usize;
            let exact_ms = latencies[rank - 1] as f64 / 1e3;
            assert!((said_ms / exact_ms - 1.0).abs() < 0.01, "{stage:?} {quantile}: {said_ms} against {exact_ms}");
        }
    }
}

/// Starts a run of 30 s against private servers below `dir` and returns once records are being written.
fn start_long_run(dir: &Path, backend: &str) -> (Child, RunFiles) {
    start_long_run_with(dir, backend, &[])
}

fn start_long_run_with(dir: &Path, backend: &str, arguments: &[&str]) -> (Child, RunFiles) {
    let out = dir.join("out");
    let line = format!("run --backend {backend} --scenario cold --rate 200 --duration 30s");
    let mut command = qbench();
    command.args(words(&line)).args(arguments).arg("--out").arg(&out).env("QBENCH_TMPDIR", dir);
    let child = start_unheard(&mut command);
    let files = RunFiles::new(&out, backend, "cold");
    wait_until_measuring(&files);
    (child, files)
}

#[test]
fn a_harness_that_is_killed_leaves_no_server_and_files_that_parse() {
    for backend in ["skip_locked", "valkey_streams"] {
        let dir = open_dir();
        let (mut child, files) = start_long_run(dir.path(), backend);
        assert!(!processes_below(dir.path()).is_empty(), "its server runs below the folder");
        kill(pid(&child), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        wait_for("the end of every server", Duration::from_secs(5), || processes_below(dir.path()).is_empty());
        assert!(!records_of(&files).is_empty());
        assert_eq!(result_of(&files).status, RunStatus::Running, "nobody could say how it ended");
        let mut rows = csv::Reader::from_path(files.system()).unwrap();
        assert!(rows.deserialize::<qbench_schema::system::SystemRow>().all(|row| row.is_ok()));
        let left: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        wait_for("the removal of private folders", Duration::from_secs(10), || {
            fs::read_dir(dir.path()).unwrap().count() == 1
        });
        assert!(left.contains(&dir.path().join("out")));
    }
}

#[test]
fn an_interrupted_run_ends_its_servers_and_says_so() {
    let dir = open_dir();
    let (mut child, files) = start_long_run(dir.path(), "delete_returning");
    kill(pid(&child), Signal::SIGINT).unwrap();
    let mut status = None;
    wait_for("the end of the run", Duration::from_secs(20), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(processes_below(dir.path()).is_empty());
    let result = result_of(&files);
    assert_eq!(result.status, RunStatus::Interrupted);
    assert!(!result.validity.valid);
    assert_eq!(result.audit.verdict, Verdict::Ok, "{:?}", result.audit);
    assert!(result.jobs.sent > 0 && result.jobs.sent <= result.jobs.intended);
    assert!(!records_of(&files).is_empty());
}

#[test]
fn a_second_interrupt_ends_a_stuck_run_at_once_and_says_so() {
    let dir = open_dir();
    let (mut child, files) = start_long_run(dir.path(), "valkey_streams");
    // A server that does not answer keeps the run from ending in order.
    let servers = servers_below(dir.path());
    assert!(!servers.is_empty());
    for server in &servers {
        kill(Pid::from_raw(*server), Signal::SIGSTOP).unwrap();
    }
    let mut status = None;
    wait_for("the end of the run", Duration::from_secs(30), || {
        // More of them change nothing, and two that come together would be one.
        let _ = kill(pid(&child), Signal::SIGINT);
        std::thread::sleep(Duration::from_millis(300));
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(processes_below(dir.path()).is_empty());
    let result = result_of(&files);
    assert_eq!(result.status, RunStatus::Interrupted);
    assert!(result.validity.reasons[0].starts_with("stopped at once"), "{:?}", result.validity);
}

#[test]
fn roles_run_on_the_cores_that_they_were_given() {
    let (first, last) = (first_core(), last_core());
    let dir = open_dir();
    let pin = format!("server={first},harness={last}");
    let (mut child, files) = start_long_run_with(dir.path(), "valkey_streams", &["--pin", &pin]);
    let servers = servers_below(dir.path());
    let of_servers: Vec<String> = servers.iter().flat_map(|server| cores_of(*server)).collect();
    let of_harness = cores_of(pid(&child).as_raw());
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert!(!of_servers.is_empty() && of_servers.iter().all(|cores| *cores == first), "{of_servers:?}, not {first}");
    assert!(of_harness.len() > 2 && of_harness.iter().all(|cores| *cores == last), "{of_harness:?}, not {last}");
    let manifest: Manifest = serde_json::from_slice(&fs::read(files.manifest()).unwrap()).unwrap();
    assert_eq!(
        (manifest.configuration["pin"].value.as_str(), manifest.configuration["pin"].source.as_str()),
        (&*pin, "flag")
    );
    let told = format!("bound to cores: server to {first}, harness to {last}");
    assert!(manifest.scheduling.iter().any(|sentence| sentence.starts_with(&told)), "{:?}", manifest.scheduling);
}

/// Runs a small load on a given server whose objects a made-up run elsewhere has locked, and again after that one's end.
async fn refused_while_another_run_works(
    backend: &'static str,
    variable: &'static str,
    url: String,
    unlock: impl Future,
) {
    let dir = open_dir();
    let command = |out: &str| {
        let mut command = qbench();
        let line = format!("run --backend {backend} --scenario cold {SMALL}");
        command.args(words(&line)).env(variable, &url);
        command.arg("--out").arg(dir.path().join(out));
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = command("locked").await.unwrap();
    refused(&output, 1, &["another run of qbench", "process 1 on elsewhere", "127.0.0.1", "another server"]);
    unlock.await;
    let output = command("free").await.unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_share_a_given_postgresql() {
    let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let other: PgConnectOptions = server.url().expose().parse().unwrap();
    let other = other.application_name("qbench:lock process 1 on elsewhere");
    let mut other = PgConnection::connect_with(&other).await.unwrap();
    other.execute("SELECT pg_advisory_lock(hashtextextended('qbench', 0))").await.unwrap();
    let unlock = other.close();
    refused_while_another_run_works("skip_locked", "QBENCH_PG_URL", server.url().expose().to_owned(), unlock).await;
    let mut user = PgConnection::connect(server.url().expose()).await.unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(sqlx::query_scalar::<_, i64>(locks).fetch_one(&mut user).await.unwrap(), 0, "it is given back");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_share_a_given_valkey() {
    let server = ValkeyServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let client = redis::Client::open(server.url().expose()).unwrap();
    let mut other = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg(&["qbench:lock", "process 1 on elsewhere"][..]).exec_async(&mut other).await.unwrap();
    let mut unlocking = other.clone();
    let unlock = async move { redis::cmd("DEL").arg("qbench:lock").exec_async(&mut unlocking).await.unwrap() };
    refused_while_another_run_works("valkey_streams", "QBENCH_VALKEY_URL", server.url().expose().to_owned(), unlock)
        .await;
    let left: u64 = redis::cmd("EXISTS").arg("qbench:lock").query_async(&mut other).await.unwrap();
    assert_eq!(left, 0, "it is given back");
    server.stop().await.unwrap();
}

#[test]
fn a_password_in_a_flag_is_moved_out_of_the_process_list() {
    let dir = open_dir();
    // A listener that accepts and never answers keeps the run alive while its arguments are read.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://ann:s3cret@{}/x", silent.local_addr().unwrap());
    let line = format!("run --backend skip_locked --scenario cold --pg-url {url} {SMALL} --out");
    let mut child = start_unheard(qbench().args(words(&line)).arg(dir.path()));
    wait_for("the move", Duration::from_secs(10), || {
        let arguments = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
        arguments.contains("skip_locked") && !arguments.contains("s3cret")
    });
    kill(pid(&child), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
}

/// The manifest's word on the address of PostgreSQL, in the configuration and among the arguments.
fn url_in_manifest(out: &Path) -> ConfiguredValue {
    let text = fs::read_to_string(RunFiles::new(out, "skip_locked", "cold").manifest()).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let given = manifest.command_line.iter().any(|argument| argument == "--pg-url");
    let configured = manifest.configuration["pg-url"].clone();
    assert_eq!(given, configured.source == "flag", "{:?}", manifest.command_line);
    configured
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_is_used_and_left_as_it_was() {
    let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let mut connection = PgConnection::connect(server.url().expose()).await.unwrap();
    connection.execute("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)").await.unwrap();
    let dir = open_dir();
    let command = |url: &str, out: &str| {
        let out = dir.path().join(out);
        let line = format!("run --backend skip_locked --scenario cold --durability d1 {SMALL} --out");
        let mut command = qbench();
        command.args(words(&line)).arg(out).env("QBENCH_PG_URL", url);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };

    let output = command(server.url().expose(), "good").await.unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    assert_eq!(url_in_manifest(&dir.path().join("good")).source, "environment");
    let result = result_of(&RunFiles::new(&dir.path().join("good"), "skip_locked", "cold"));
    assert_eq!((result.audit.verdict, result.identity.durability), (Verdict::Ok, Durability::D1), "{:?}", result.audit);
    assert!(result.cpu_us_per_job.server.is_some(), "the postmaster was found: {:?}", result.notes);
    let schemas = sqlx::query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'qbench%'");
    assert!(schemas.fetch_all(&mut connection).await.unwrap().is_empty(), "nothing of ours is left");
    let mine = sqlx::query("SELECT count(*) FROM mine").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mine.get::<i64, _>(0), 1);

    // The password in the flag is moved into the environment on the way, and stays a flag for the reader.
    let url = server.url().expose().to_owned();
    let out = dir.path().join("flag");
    let mut flagged = qbench();
    let line = format!("run --backend skip_locked --scenario cold --pg-url {url} {SMALL} --out");
    flagged.args(words(&line)).arg(&out);
    let output = tokio::task::spawn_blocking(move || flagged.output().unwrap()).await.unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    let configured = url_in_manifest(&out);
    assert_eq!((configured.source.as_str(), configured.value.contains(":***@")), ("flag", true), "{configured:?}");

    let wrong = server.url().expose().replace('@', "x@");
    let output = command(&wrong, "wrong").await.unwrap();
    refused(&output, 1, &["password"]);
    let password = wrong.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap().1;
    for text in [output.stdout, output.stderr] {
        assert!(!String::from_utf8_lossy(&text).contains(password));
    }

    connection.execute("CREATE SCHEMA qbench; CREATE TABLE qbench.jobs (id int)").await.unwrap();
    let output = command(server.url().expose(), "foreign").await.unwrap();
    refused(&output, 1, &["qbench"]);
    assert!(connection.execute("SELECT * FROM qbench.jobs").await.is_ok(), "a foreign table is not dropped");
    server.stop().await.unwrap();
}
