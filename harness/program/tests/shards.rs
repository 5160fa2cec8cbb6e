//! Several generators of one run: real processes on one real server, put together again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use program::{qbench, run, said, wait_for, words};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_engines::valkey::ValkeyServer;
use qbench_schema::files::RunFiles;
use qbench_schema::record::JobRecord;
use qbench_schema::result::{Durability, RunResult, RunStatus, Verdict};
use qbench_schema::shard::ShardNumber;
use tempfile::TempDir;

/// Seconds from the command to the agreed start: time for four processes on two cores to measure their floors and connect, with tests beside them.
const LEAD_S: u32 = 20;

/// An instant so many seconds from now, as a user would write it.
fn in_seconds(seconds: u32) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("+{seconds} seconds"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A run in shards, each a process, with all files in one folder.
struct Sharded {
    dir: TempDir,
    of: u32,
    backend: &'static str,
    scenario: &'static str,
    shards: Vec<Child>,
}

impl Sharded {
    /// Starts every shard. `line` is what all of them are given, `url` the variable with the address of their server.
    fn start(of: u32, backend: &'static str, scenario: &'static str, line: &str, url: Option<(&str, &str)>) -> Self {
        let dir = TempDir::new().unwrap();
        let start_at = in_seconds(LEAD_S);
        let shards = (1..=of)
            .map(|number| {
                let mut command = qbench();
                command
                    .args(words(&format!("run --backend {backend} --scenario {scenario} --shard {number}/{of} {line}")))
                    .args(["--start-at", &start_at, "--out"])
                    .arg(dir.path());
                command.envs(url);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        Sharded { dir, of, backend, scenario, shards }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn files(&self, number: u32) -> RunFiles {
        files(self.path(), self.backend, self.scenario, number, self.of)
    }

    /// Waits for every shard; each has finished, valid or not: a machine that is busy with tests may spoil figures.
    fn wait(&mut self) -> Vec<RunResult> {
        let outputs: Vec<Output> = self.shards.drain(..).map(|shard| shard.wait_with_output().unwrap()).collect();
        let result = |(number, output): (u32, &Output)| {
            assert!(matches!(output.status.code(), Some(0 | 3)), "shard {number}: {}", said(output));
            let result: RunResult = serde_json::from_slice(&fs::read(self.files(number).result()).unwrap()).unwrap();
            assert_eq!(result.status, RunStatus::Finished);
            result
        };
        (1..).zip(&outputs).map(result).collect()
    }
}

fn files(dir: &Path, backend: &str, scenario: &str, number: u32, of: u32) -> RunFiles {
    RunFiles::new(dir, backend, scenario).of_shard(ShardNumber { number, of })
}

fn merge(dirs: &[&Path], output: &Path) -> Output {
    qbench().arg("merge").args(dirs).arg("--output").arg(output).arg("--json").output().unwrap()
}

/// The one verdict that merging `dir` gives.
fn merged(dir: &Path, output: &Path) -> RunResult {
    let output = merge(&[dir], output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    let [result] =
        <[RunResult; 1]>::try_from(serde_json::from_slice::<Vec<RunResult>>(&output.stdout).unwrap()).unwrap();
    result
}

fn refused(output: &Output, status: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("qbench: ")).collect();
    assert_eq!(sentences.len(), 1, "one clear sentence, not: {said}");
    words.iter().for_each(|word| assert!(sentences[0].contains(word), "`{}` should mention `{word}`", sentences[0]));
}

fn records(path: &Path) -> Vec<JobRecord> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A copy of a folder of results, to be tampered with.
fn copy(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The audit and the merged percentiles of a run whose every job was sent and completed.
fn holds_together(result: &RunResult, merged_dir: &Path, jobs: u64) {
    let audit = &result.audit;
    assert_eq!(
        (audit.verdict, audit.lost, audit.duplicated, audit.unexpected),
        (Verdict::Ok, 0, 0, 0),
        "{:?}",
        audit.reasons
    );
    assert_eq!((result.jobs.intended, result.jobs.enqueued, result.jobs.completed), (jobs, jobs, jobs));
    let records = records(&RunFiles::new(merged_dir, &result.identity.backend, &result.identity.scenario).metrics());
    let mut by_job = BTreeMap::new();
    for record in &records {
        *by_job.entry(record.job).or_insert(0) += 1;
        program::assert_instants_in_order(record);
    }
    assert_eq!((by_job.len() as u64, records.len() as u64), (jobs, jobs), "each job once");
    assert!(records.is_sorted_by_key(|record| record.acked_us));
    let mut latencies_us: Vec<u64> = records.iter().map(|record| record.acked_us - record.intended_us).collect();
    latencies_us.sort_unstable();
    for (quantile, found_ms) in [(0.50, result.end_to_end_ms.p50), (0.99, result.end_to_end_ms.p99)] {
        let rank = (quantile * latencies_us.len() as f64).ceil() as usize - 1;
        let exact_ms = latencies_us[rank] as f64 / 1e3;
        assert!(
            (found_ms / exact_ms - 1.0).abs() <= 0.001,
            "p{quantile}: {found_ms} ms, and {exact_ms} ms in the job files"
        );
    }
}

const SMALL: &str = "--rate 200 --duration 4s --workers 4 --producers 4 --work 5ms --arrivals poisson --seed 7";

#[tokio::test(flavor = "multi_thread")]
async fn four_shards_on_one_postgresql_are_one_run_and_what_is_wrong_in_one_of_them_is_found() {
    let server =
        PostgresServer::start(StartOptions { connections: 200, ..StartOptions::new(Durability::D1) }).await.unwrap();
    let url = server.url().expose().to_owned();
    let mut sharded =
        Sharded::start(4, "skip_locked", "cold", &format!("{SMALL} --durability d1"), Some(("QBENCH_PG_URL", &url)));
    wait_for("the queue", Duration::from_secs(15), || sharded.files(1).result().exists());
    std::thread::sleep(Duration::from_secs(5));
    let elsewhere = TempDir::new().unwrap();
    let stranger = qbench()
        .args(words("run --backend skip_locked --scenario cold --out"))
        .arg(elsewhere.path())
        .env("QBENCH_PG_URL", &url)
        .output()
        .unwrap();
    refused(&stranger, 1, &["another run of qbench works on", "qbench:shard"]);

    let shards = sharded.wait();
    for (number, shard) in (1..).zip(&shards) {
        let identity = shard.identity.shard.as_ref().unwrap();
        assert_eq!((identity.number, identity.of, identity.run_offered_jobs_s), (number, 4, 200.0));
        assert_eq!(shard.identity.offered_jobs_s, 50.0, "its own share");
        assert_eq!(shard.audit.verdict, Verdict::Inconclusive, "{:?}", shard.audit);
        assert!(shard.audit.reasons[0].contains("qbench merge"), "{:?}", shard.audit.reasons);
    }
    let analyzed = qbench().arg("analyze").arg(sharded.path()).arg("--output").arg(elsewhere.path()).output().unwrap();
    assert_eq!(analyzed.status.code(), Some(1));
    assert!(
        said(&analyzed).contains("is shard 3/4 of a run") && said(&analyzed).contains("qbench merge"),
        "{}",
        said(&analyzed)
    );

    let out = TempDir::new().unwrap();
    let whole = merged(sharded.path(), out.path());
    let intended: u64 = shards.iter().map(|shard| shard.jobs.intended).sum();
    assert!(intended.abs_diff(800) < 170, "six standard deviations of a Poisson process: {intended}");
    holds_together(&whole, out.path(), intended);
    let merged_of = whole.merged.as_ref().unwrap();
    assert_eq!(merged_of.shards.len(), 4);
    assert!(merged_of.foreign_completed > 0, "jobs crossed");
    let error_us = merged_of.clock_error_us.unwrap();
    assert!(merged_of.moved_max_us <= error_us, "{merged_of:?}");
    assert_eq!(whole.identity.offered_jobs_s, 200.0);
    assert_eq!(whole.workers.len(), 16);
    assert_eq!(whole.workers.iter().map(|share| share.completed).sum::<u64>(), intended);
    assert_eq!(whole.timeline.iter().map(|second| second.completed).sum::<u64>(), intended);
    assert!(out.path().join("skip_locked_cold_db_stats.csv").exists(), "what the server said");
    let analysis = out.path().join("analysis");
    let analyzed = qbench().arg("analyze").arg(out.path()).arg("--output").arg(&analysis).output().unwrap();
    assert_eq!(analyzed.status.code(), Some(0), "{}", said(&analyzed));
    assert_eq!(fs::read_to_string(analysis.join("runs.csv")).unwrap().lines().count(), 2);
    refused(&merge(&[sharded.path()], out.path()), 2, &["never overwritten"]);

    mutations_are_found(&sharded);
    server.stop().await.unwrap();
}

/// What a mutation of one file of shard 2 makes of the audit.
fn mutations_are_found(sharded: &Sharded) {
    type Mutation = fn(Vec<String>) -> Vec<String>;
    type Expected = fn(&RunResult) -> bool;
    let without_first: Mutation = |lines| lines[1..].to_vec();
    let first_twice: Mutation = |lines| [lines[..1].to_vec(), lines].concat();
    let forged: Mutation = |mut lines| {
        let (head, tail) = lines[0].split_once(',').unwrap();
        assert!(head.starts_with("{\"job\":"), "{head}");
        lines[0] = format!("{{\"job\":{},{tail}", 4_000_001);
        lines
    };
    type File = fn(&RunFiles) -> PathBuf;
    let cases: [(&str, File, Mutation, Expected); 6] = [
        ("a completion elsewhere is dropped", RunFiles::foreign, without_first, |r| r.audit.lost == 1),
        ("a completion elsewhere is doubled", RunFiles::foreign, first_twice, |r| r.audit.duplicated == 1),
        ("a number is forged elsewhere", RunFiles::foreign, forged, |r| r.audit.unexpected == 1 && r.audit.lost == 1),
        ("a completion is dropped", RunFiles::metrics, without_first, |r| r.audit.lost == 1),
        ("a completion is doubled", RunFiles::metrics, first_twice, |r| r.audit.duplicated == 1),
        ("a number is forged", RunFiles::metrics, forged, |r| r.audit.unexpected == 1 && r.audit.lost == 1),
    ];
    for (what, file, mutate, is_expected) in cases {
        let dir = copy(sharded.path());
        let path = file(&files(dir.path(), sharded.backend, sharded.scenario, 2, sharded.of));
        let lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(|line| format!("{line}\n")).collect();
        fs::write(&path, mutate(lines).concat()).unwrap();
        let out = TempDir::new().unwrap();
        let output = merge(&[dir.path()], out.path());
        assert_eq!(output.status.code(), Some(3), "{what}: {}", said(&output));
        let [result] =
            <[RunResult; 1]>::try_from(serde_json::from_slice::<Vec<RunResult>>(&output.stdout).unwrap()).unwrap();
        assert_eq!(result.audit.verdict, Verdict::Violated, "{what}: {:?}", result.audit);
        assert!(is_expected(&result) && !result.validity.valid, "{what}: {:?}", result.audit);
    }

    let (dir, out) = (copy(sharded.path()), TempDir::new().unwrap());
    fs::remove_file(files(dir.path(), sharded.backend, sharded.scenario, 3, 4).result()).unwrap();
    refused(&merge(&[dir.path()], out.path()), 2, &["shards 3 of 4 are missing"]);
    refused(&merge(&[sharded.path(), dir.path()], out.path()), 2, &["shard 1/4 is there twice"]);
    fs::remove_file(files(sharded.path(), sharded.backend, sharded.scenario, 3, 4).account()).unwrap();
    refused(&merge(&[sharded.path()], out.path()), 1, &["shard-3-of-4_account.jsonl"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_on_one_valkey_warm_up_together_and_are_one_run() {
    let server = ValkeyServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let url = server.url().expose().to_owned();
    let line = "--rate 200 --duration 3s --warmup 2s --workers 4 --producers 4 --work 5ms";
    let mut sharded = Sharded::start(4, "valkey_streams", "warm", line, Some(("QBENCH_VALKEY_URL", &url)));
    sharded.wait();
    let out = TempDir::new().unwrap();
    let whole = merged(sharded.path(), out.path());
    holds_together(&whole, out.path(), 600);
    assert!(whole.merged.unwrap().foreign_completed > 0, "jobs crossed");
    let mut connection = redis::Client::open(url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("qbench*").query_async(&mut connection).await.unwrap();
    assert_eq!(left, Vec::<String>::new(), "queue, lock and seats are gone");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_with_a_queue_each_settle_their_own_jobs_alone() {
    let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let url = server.url().expose().to_owned();
    let line = "--rate 100 --duration 3s --workers 4 --producers 2 --work 5ms --durability d1 --queue-per-shard";
    let on_postgresql = Sharded::start(2, "partitioned", "cold", line, Some(("QBENCH_PG_URL", &url)));
    let in_process = Sharded::start(2, "memory", "cold", &line.replace("--durability d1", ""), None);
    for mut sharded in [on_postgresql, in_process] {
        for shard in sharded.wait() {
            assert_eq!(shard.audit.verdict, Verdict::Ok, "{:?}", shard.audit);
            assert_eq!(shard.jobs.completed, 150);
        }
        let out = TempDir::new().unwrap();
        let whole = merged(sharded.path(), out.path());
        holds_together(&whole, out.path(), 300);
        let merged_of = whole.merged.unwrap();
        assert!(merged_of.queue_per_shard);
        assert_eq!((merged_of.foreign_completed, merged_of.clock_error_us), (0, None));
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_killed_leaves_a_run_that_is_not_merged() {
    let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let url = server.url().expose().to_owned();
    let line = "--rate 100 --duration 4s --workers 4 --producers 2 --durability d1 --lease 2s";
    let mut sharded = Sharded::start(2, "skip_locked", "cold", line, Some(("QBENCH_PG_URL", &url)));
    let metrics = sharded.files(2).metrics();
    wait_for("measuring", Duration::from_secs(90), || fs::metadata(&metrics).is_ok_and(|file| file.len() > 0));
    sharded.shards[1].kill().unwrap();
    let killed = sharded.shards.remove(1).wait_with_output().unwrap();
    assert_eq!(killed.status.code(), None);
    let survivor = &sharded.wait()[0];
    assert!(survivor.notes.iter().any(|note| note.contains("shards 2 vanished")), "{:?}", survivor.notes);
    let out = TempDir::new().unwrap();
    refused(&merge(&[sharded.path()], out.path()), 2, &["shard 2/2 is missing", "did not finish", "killed"]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_late_or_left_alone_does_not_begin() {
    let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap();
    let url = server.url().expose().to_owned();
    let dir = TempDir::new().unwrap();
    let start = |lead_s: u32, shard: &str, out: &str| {
        let line =
            format!("run --backend skip_locked --scenario cold --rate 50 --duration 1s --workers 2 --shard {shard}");
        let mut command = qbench();
        command.args(words(&line)).args(["--start-at", &in_seconds(lead_s), "--out"]).arg(dir.path().join(out));
        command.env("QBENCH_PG_URL", &url).output().unwrap()
    };
    refused(&start(2, "1/2", "late"), 1, &["shard 1/2 is too late for --start-at", "choose a later start"]);
    refused(&start(15, "1/2", "alone"), 1, &["shard 1/2 does not begin", "shards 2 of 2 are not ready"]);
    refused(&start(10, "2/2", "lost"), 1, &["waited for shard 1 to set up the queue, in vain"]);
    let result: RunResult = serde_json::from_slice(
        &fs::read(files(&dir.path().join("alone"), "skip_locked", "cold", 1, 2).result()).unwrap(),
    )
    .unwrap();
    assert_eq!((result.status, result.jobs.sent), (RunStatus::Failed, 0));
    server.stop().await.unwrap();
}

#[test]
fn what_cannot_be_a_shard_is_refused_before_anything_starts() {
    let line = |more: &str| run(&format!("run --scenario cold --start-at 2100-01-01T00:00:00Z {more}"));
    refused(&line("--backend memory --shard 1/2"), 2, &["memory", "--queue-per-shard"]);
    refused(&line("--backend skip_locked --shard 1/2"), 2, &["--shard 1/2", "--pg-url"]);
    refused(&line("--backend skip_locked --shard 1/2 --queue-per-shard"), 2, &["--pg-url"]);
    refused(&line("--backend nats_jetstream --shard 1/2 --nats-url nats://127.0.0.1:1"), 2, &["NATS"]);
    refused(&line("--backend memory --shard 1/2 --queue-per-shard --saturate"), 2, &["--saturate"]);
    refused(&line("--backend memory --shard 1/2 --queue-per-shard --prefill 10"), 2, &["--prefill"]);
    let past =
        run("run --backend memory --scenario cold --shard 1/2 --queue-per-shard --start-at 2020-01-01T00:00:00Z");
    refused(&past, 2, &["--start-at 2020-01-01T00:00:00Z is past"]);
    for wrong in ["--shard 3/2", "--shard 2", "--shard 0/2"] {
        assert_eq!(line(&format!("--backend memory {wrong}")).status.code(), Some(2), "{wrong}");
    }
    let alone = run("run --backend memory --scenario cold --shard 1/2");
    assert!(alone.status.code() == Some(2) && said(&alone).contains("--start-at"), "{}", said(&alone));
    let none = TempDir::new().unwrap();
    refused(&merge(&[none.path()], &none.path().join("out")), 2, &["there is no shard of a run in"]);
}

/// Four shards with 20 workers each where one would be overloaded: the load is that of all of them.
#[test]
fn the_load_of_a_shard_is_its_share_of_the_whole() {
    let dir = TempDir::new().unwrap();
    let output = qbench()
        .args(words(
            "run --backend memory --scenario cold --rate 5000 --work 10ms --workers 20 --shard 1/4 --queue-per-shard",
        ))
        .args(["--start-at", &in_seconds(1), "--out"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(said(&output).contains("4 shards x 20 workers x 1 / 10ms = 8,000 jobs/s"), "{}", said(&output));
}
