//! What only `sqlite` promises: many writers without a refusal, classes as the sessions have them, plain words where there is no
//! queue, and a directory that goes with the run.

mod consuming;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consuming::{ack, admin, claim, jobs, producer};
use qbench_backends::{Backend, BackendConfig, Depth, ErrorKind, ProducerId, ServerUrl, Wake, WorkerId, registry};
use qbench_engines::sqlite::PrivateStore;
use qbench_schema::result::Durability;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

const JOBS: u64 = 2_000;
const WORKERS: u32 = 20;
const PRODUCERS: u64 = 4;

fn open(url: &ServerUrl, durability: Durability) -> Arc<dyn Backend> {
    open_with(url, durability, Duration::from_secs(10))
}

fn open_with(url: &ServerUrl, durability: Durability, timeout: Duration) -> Arc<dyn Backend> {
    let config = BackendConfig {
        url: Some(url.clone()),
        durability,
        wake: Wake::Block,
        workers: WORKERS,
        timeout,
        ..BackendConfig::new("qbench_test")
    };
    registry::find("sqlite").expect("registered").open(&config).expect("opens")
}

/// Producers on `into` and workers on `from`, one job at a time, until every job is done once. Any error is a panic.
async fn churn(into: &Arc<dyn Backend>, from: &Arc<dyn Backend>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..PRODUCERS {
        let mut producer = producer(&**into).await;
        tasks.spawn(async move {
            let first = number * JOBS;
            for job in jobs(first..first + JOBS / PRODUCERS).chunks(1) {
                producer.enqueue(job).await.expect("enqueues");
            }
            0
        });
    }
    for number in 0..WORKERS {
        let mut consumer = from.consumer(WorkerId(number)).await.expect("opens");
        let mut admin = admin(&**from).await;
        tasks.spawn(async move {
            let mut done = 0;
            while admin.census().await.expect("counts").done != Some(JOBS) {
                let leases = claim(&mut consumer, 1, Duration::from_millis(200)).await;
                ack(&mut consumer, &leases).await;
                done += leases.len() as u64;
            }
            done
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u64>(), JOBS, "each job was done once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_workers_and_four_producers_are_never_told_that_the_database_is_locked() {
    let store = PrivateStore::create(None).expect("a directory");
    let backend = open(store.url(), Durability::D0);
    admin(&*backend).await.setup().await.expect("sets up");
    churn(&backend, &backend).await;
    store.remove().expect("goes");
}

/// Two opened backends have two lines of writers, so here SQLite's own waiting is what keeps them apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_do_not_know_each_other_wait_for_each_other_too() {
    let store = PrivateStore::create(None).expect("a directory");
    let (one, other) = (open(store.url(), Durability::D0), open(store.url(), Durability::D0));
    admin(&*one).await.setup().await.expect("sets up");
    churn(&one, &other).await;
    store.remove().expect("goes");
}

#[tokio::test]
async fn a_class_is_read_back_from_a_session() {
    let store = PrivateStore::create(None).expect("a directory");
    for (class, synchronous) in [(Durability::D0, "0"), (Durability::D1, "1"), (Durability::D2, "2")] {
        let backend = open(store.url(), class);
        let mut admin = admin(&*backend).await;
        admin.setup().await.expect("sets up");
        let described = admin.describe().await.expect("describes");
        assert_eq!(described.durability, class);
        assert_eq!(described.settings["synchronous"], synchronous);
        assert_eq!(described.settings["journal_mode"], "wal");
        assert!(described.notes[0].contains("counted as the harness's"), "{:?}", described.notes);
    }
    store.remove().expect("goes");
}

#[tokio::test]
async fn where_there_is_no_queue_it_says_so() {
    let store = PrivateStore::create(None).expect("a directory");
    let backend = open(store.url(), Durability::D1);
    let error = backend.producer(ProducerId(0)).await.err().expect("nothing to open");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("is the queue set up"), "{error}");

    let mut admin = admin(&*backend).await;
    admin.setup().await.expect("sets up");
    let mut producer = producer(&*backend).await;
    admin.teardown().await.expect("removes it");
    let error = producer.enqueue(&jobs(1..2)).await.expect_err("whoever has the file open is told");
    assert!(error.to_string().contains("was removed meanwhile"), "{error}");
    store.remove().expect("goes");

    let error = backend.admin().await.err().expect("no directory");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("directory does not exist"), "{error}");
}

#[tokio::test]
async fn a_writer_from_outside_is_named_and_the_connection_lives_on() {
    let store = PrivateStore::create(None).expect("a directory");
    let backend = open_with(store.url(), Durability::D1, Duration::from_secs(2));
    let mut admin = admin(&*backend).await;
    admin.setup().await.expect("sets up");
    let mut producer = producer(&*backend).await;
    let file = admin.describe().await.expect("describes").objects[0].clone();
    let mut other = SqliteConnectOptions::new().filename(file).connect().await.expect("opens");
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.expect("locks");
    let error = producer.enqueue(&jobs(1..2)).await.expect_err("somebody else writes");
    assert_eq!((error.kind(), error.count_key()), (ErrorKind::Rejected, "SQLITE_BUSY"), "{error}");
    assert!(error.to_string().contains("another program has this file open"), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("unlocks");
    other.close().await.expect("closes");
    producer.enqueue(&jobs(1..2)).await.expect("nobody is in the way any more");
    assert_eq!(admin.depth().await.expect("counts").ready, 1);
    store.remove().expect("goes");
}

#[tokio::test]
async fn everything_is_in_the_directory_and_goes_with_it() {
    let store = PrivateStore::create(None).expect("a directory");
    let backend = open(store.url(), Durability::D1);
    let mut admin = admin(&*backend).await;
    admin.setup().await.expect("sets up");
    assert_eq!(admin.depth().await.expect("counts"), Depth::default());
    let file = PathBuf::from(&admin.describe().await.expect("describes").objects[0]);
    let directory = file.parent().and_then(|data| data.parent()).expect("two levels").to_owned();
    assert!(file.exists() && directory.exists());
    store.remove().expect("goes");
    assert!(!directory.exists());
}
