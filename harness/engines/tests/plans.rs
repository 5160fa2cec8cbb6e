//! How the statements of producers and workers are executed at working depth, read from the plans of live sessions (METHODOLOGY F11).

mod consuming;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use consuming::{ack_held, claim, consumer, producer, set_up};
use qbench_backends::{BackendConfig, BackendOptions, Consumer, JobId, NewJob, Producer, WorkerId};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::{Server, StartOptions};
use qbench_schema::result::Durability;
use qbench_schema::sql;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const NAMESPACE: &str = "qbench_plans";
/// Jobs that were done before.
const DONE: u64 = 5_000;
/// Jobs that wait.
const WAITING: u64 = 500;
/// In which designs an ack has a statement for each of several jobs.
const BATCH: usize = 100;

const DESIGNS: &[(&str, &[(&str, &str)])] = &[
    ("skip_locked", &[]),
    ("delete_returning", &[]),
    ("delete_returning", &[("commit", "ack")]),
    ("delete_returning", &[("commit", "visibility")]),
    ("partitioned", &[("partitions", "2")]),
    ("batch_sql", &[]),
    ("advisory_lock", &[]),
];

/// Plans of every statement of every session, with the settings that bear on them.
fn explained() -> StartOptions {
    let settings = [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_settings", "on"),
        // The plans that are looked at must come from the session alone, whatever the minute.
        ("autovacuum", "off"),
    ];
    let settings: BTreeMap<_, _> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    StartOptions { settings, ..StartOptions::new(Durability::D1) }
}

fn jobs(numbers: std::ops::Range<u64>) -> Vec<NewJob> {
    numbers.map(|job| NewJob { job: JobId(job), payload: Bytes::from_static(&[0xA5; 512]) }).collect()
}

/// A job through its whole life.
async fn one_job(producer: &mut dyn Producer, consumer: &mut Consumer, job: u64) {
    producer.enqueue(&jobs(job..job + 1)).await.expect("enqueues");
    let leases = claim(consumer, 1, Duration::ZERO).await;
    assert_eq!(leases.len(), 1);
    ack_held(consumer, &leases).await;
}

/// What the server wrote into its log between the two marks.
fn logged(data_dir: &Path, mark: &str) -> String {
    let log = std::fs::read_to_string(data_dir.with_file_name("server-1.log")).expect("the server's log");
    let mut parts = log.split(mark);
    let between = parts.nth(1).expect("a first mark").to_owned();
    assert!(parts.next().is_some(), "a second mark");
    between
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_working_depth_rows_are_found_by_an_index_whoever_decides_on_plans() {
    let server = PostgresServer::start(explained()).await.expect("PostgreSQL starts");
    let data_dir = server.private().expect("one of our own").data_dir;
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    // With statistics of the drained queue, too, as autovacuum makes them in a quiet minute.
    for (plans, is_analysed) in [("server", false), ("server", true), ("pinned", false)] {
        for (id, set) in DESIGNS {
            let options = BackendOptions::new(set.iter().copied().chain([("plans", plans)]));
            let config = BackendConfig {
                url: Some(server.url().clone()),
                durability: Durability::D1,
                workers: 1,
                options,
                ..BackendConfig::new(NAMESPACE)
            };
            let backend = set_up(id, &config).await;
            let (mut producer, mut consumer) = (producer(&*backend).await, consumer(&*backend).await);
            // As a worker does before the first job comes; after five times the server may keep a plan.
            for job in 0..8 {
                assert!(claim(&mut consumer, 1, Duration::ZERO).await.is_empty());
                one_job(&mut *producer, &mut consumer, job).await;
            }
            let mut others = backend.consumer(WorkerId(0)).await.expect("connects");
            for first in (8..DONE).step_by(BATCH) {
                producer.enqueue(&jobs(first..first + BATCH as u64)).await.expect("enqueues");
                let mut left = BATCH;
                while left > 0 {
                    let leases = claim(&mut others, BATCH as u32, Duration::ZERO).await;
                    ack_held(&mut others, &leases).await;
                    left -= leases.len();
                }
            }
            if is_analysed {
                raw.execute("VACUUM ANALYZE").await.expect("analyses");
            }
            producer.enqueue(&jobs(0..WAITING)).await.expect("enqueues");
            let mark = format!("qbench mark {id} {set:?} {plans} {is_analysed}").replace('"', "");
            let question = format!("SELECT '{mark}'");
            raw.execute(AssertSqlSafe(question.clone())).await.expect("marks");
            for job in 0..3 {
                one_job(&mut *producer, &mut consumer, job).await;
            }
            raw.execute(AssertSqlSafe(question)).await.expect("marks");
            let log = logged(&data_dir, &mark);
            assert!(log.contains("Index Scan") && log.contains("Insert on"), "{mark}: {log}");
            let (before, scan) = log.split_once("Seq Scan on").unwrap_or((&log, ""));
            assert!(scan.is_empty(), "{mark} reads a whole table: …{}", &before[before.len().saturating_sub(1_500)..]);
            for setting in ["enable_seqscan = 'off'", "jit = 'off'", "plan_cache_mode = 'force_generic_plan'"] {
                assert_eq!(log.contains(setting), plans == "pinned", "{mark}: {setting}");
            }
        }
    }
    raw.close().await.expect("closes");
    server.stop().await.expect("PostgreSQL ends");
}

/// A hot statement: design and option, file, name, types of its parameters, arguments of a call.
type Hot =
    (&'static str, &'static [(&'static str, &'static str)], sql::SqlFile, &'static str, &'static str, &'static str);

const VISIBILITY: &[(&str, &str)] = &[("commit", "visibility")];

const HOT: &[Hot] = &[
    ("skip_locked", &[], sql::QUEUE, "enqueue", "bigint[], bytea[]", "ARRAY[1], ARRAY['x'::bytea]"),
    ("skip_locked", &[], sql::LEASED, "claim", "bigint, integer, float8", "1, 1, 60"),
    ("skip_locked", &[], sql::LEASED, "ack", "bigint[], integer", "ARRAY[1], 1"),
    ("delete_returning", &[], sql::DELETE_RETURNING, "claim", "bigint, integer", "1, 1"),
    ("delete_returning", &[], sql::DELETE_RETURNING, "ack", "bigint[]", "ARRAY[1]"),
    ("delete_returning", VISIBILITY, sql::DELETE_RETURNING, "claim_visible", "bigint, float8", "1, 60"),
    (
        "delete_returning",
        VISIBILITY,
        sql::DELETE_RETURNING,
        "archive",
        "bigint[], integer[], integer",
        "ARRAY[1], ARRAY[1], 1",
    ),
    (
        "batch_sql",
        &[],
        sql::BATCH_SQL,
        "claim",
        "bigint, text[], float8, integer, bigint",
        "1, '{entrypoint_0}', NULL, 0, 0",
    ),
    (
        "batch_sql",
        &[],
        sql::BATCH_SQL,
        "complete",
        "bigint[], integer[], text[], integer",
        "'{1}', '{1}', '{successful}', 1",
    ),
];

/// A statement whose parameters the planner sees in a place where they change its estimate is planned at every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_one_plan_for_each_hot_statement() {
    let server = PostgresServer::start(explained()).await.expect("PostgreSQL starts");
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    for (id, set, file, name, types, arguments) in HOT {
        let config = BackendConfig {
            url: Some(server.url().clone()),
            durability: Durability::D1,
            options: BackendOptions::new(set.iter().copied()),
            ..BackendConfig::new(NAMESPACE)
        };
        let backend = set_up(id, &config).await;
        producer(&*backend).await.enqueue(&jobs(0..WAITING)).await.expect("enqueues");
        let text = file.statement(name).replace("{schema}", NAMESPACE).replace("{table}", "jobs");
        raw.execute(AssertSqlSafe(format!("PREPARE hot ({types}) AS {text}"))).await.expect("prepares");
        for _ in 0..8 {
            raw.execute(AssertSqlSafe(format!("EXECUTE hot ({arguments})"))).await.expect("executes");
        }
        let question = "SELECT generic_plans FROM pg_prepared_statements WHERE name = 'hot'";
        let kept: i64 = sqlx::query_scalar(question).fetch_one(&mut raw).await.expect("tells");
        // The first five calls are planned each for itself, whatever the statement.
        assert_eq!(kept, 3, "{id} {set:?}, {name}");
        raw.execute("DEALLOCATE hot").await.expect("forgets");
    }
    raw.close().await.expect("closes");
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_claim_that_may_be_lost_returns_before_it_is_on_the_disk() {
    // Nobody else flushes for ten seconds.
    let settings = BTreeMap::from([("wal_writer_delay".to_owned(), "10s".to_owned())]);
    let options = StartOptions { settings, ..StartOptions::new(Durability::D2) };
    let server = PostgresServer::start(options).await.expect("PostgreSQL starts");
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    for (claim_commit, is_durable) in [("durable", true), ("async", false)] {
        let config = BackendConfig {
            url: Some(server.url().clone()),
            durability: Durability::D2,
            options: BackendOptions::new([("claim_commit", claim_commit)]),
            ..BackendConfig::new(NAMESPACE)
        };
        let backend = set_up("skip_locked", &config).await;
        producer(&*backend).await.enqueue(&jobs(0..10)).await.expect("enqueues");
        let mut consumer = consumer(&*backend).await;
        let mut flushed = Vec::new();
        for _ in 0..3 {
            let leases = claim(&mut consumer, 1, Duration::ZERO).await;
            flushed.push(all_is_flushed(&mut raw).await);
            ack_held(&mut consumer, &leases).await;
            assert!(all_is_flushed(&mut raw).await, "{claim_commit}: an ack is as durable as its class");
        }
        match is_durable {
            true => assert_eq!(flushed, [true; 3], "{claim_commit}"),
            // The server may flush for reasons of its own, though hardly three times.
            false => assert!(flushed.contains(&false), "{claim_commit}"),
        }
    }
    let refused = BackendOptions::new([("claim_commit", "async")]);
    let entry = qbench_backends::registry::find("delete_returning").expect("registered");
    let error = entry.capabilities(&refused).expect_err("a claim there is a delete").to_string();
    assert!(error.contains("claim_commit=async") && error.contains("commit=visibility"), "{error}");
    raw.close().await.expect("closes");
    server.stop().await.expect("PostgreSQL ends");
}

async fn all_is_flushed(raw: &mut PgConnection) -> bool {
    let question = "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()";
    sqlx::query_scalar(question).fetch_one(raw).await.expect("tells")
}
