//! `advisory_lock` against a private server: what its transaction of many locks can do to two workers, and that no job is lost or
//! counted twice by it.

mod consuming;

use std::sync::Arc;
use std::time::Duration;

use consuming::{admin, consumer, enqueue, options, set_up};
use qbench_backends::{AckStatus, Backend, BackendConfig, Consumer, ErrorKind, Lease, ServerUrl, WorkerId};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinSet;

const NAMESPACE: &str = "qbench_advisory";

async fn server() -> PostgresServer {
    PostgresServer::start(StartOptions::new(Durability::D1)).await.expect("PostgreSQL starts")
}

fn config(url: &ServerUrl, pairs: &[(&str, &str)]) -> BackendConfig {
    BackendConfig {
        url: Some(url.clone()),
        durability: Durability::D1,
        lease: Duration::from_secs(60),
        poll_interval: Duration::from_millis(5),
        workers: 4,
        timeout: Duration::from_secs(20),
        options: options(pairs),
        ..BackendConfig::new(NAMESPACE)
    }
}

async fn claim(consumer: &mut Consumer, limit: u32) -> Vec<Lease> {
    consuming::claim(consumer, limit, Duration::from_millis(500)).await
}

#[tokio::test]
async fn two_that_lock_the_same_jobs_in_another_order_deadlock_and_the_loser_has_done_nothing() {
    let server = server().await;
    let backend = set_up("advisory_lock", &config(server.url(), &[("lock", "transaction")])).await;
    let mut admin = admin(&*backend).await;
    enqueue(&*backend, 0..2).await;
    let mut consumer = consumer(&*backend).await;
    let leases = claim(&mut consumer, 2).await;
    assert_eq!(leases.len(), 2);

    // Another worker, one lock ahead, and too patient to be the victim.
    let mut rival = PgConnection::connect(server.url().expose()).await.expect("connects");
    rival.execute("SET deadlock_timeout = '1min'").await.expect("a superuser may");
    rival.execute("BEGIN").await.expect("begins");
    let lock = |lease: &Lease| {
        AssertSqlSafe(format!("SELECT pg_advisory_xact_lock(hashtext('\"{NAMESPACE}\"'), {})", lease.token.0[0]))
    };
    rival.execute(lock(&leases[1])).await.expect("locks");
    let mut statuses = Vec::new();
    let (acked, rivals) = tokio::join!(consumer.acker.ack(&leases, &mut statuses), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rival.execute(lock(&leases[0])).await
    });
    let error = acked.expect_err("a deadlock");
    assert_eq!((error.kind(), error.count_key()), (ErrorKind::Rejected, "40P01"), "{error}");
    rivals.expect("the other one goes on");
    assert!(statuses.is_empty());
    let census = admin.census().await.expect("counts");
    assert_eq!((census.in_flight, census.done), (2, Some(0)), "the first job's completion was taken back, too");

    rival.execute("COMMIT").await.expect("commits");
    consumer.acker.ack(&leases, &mut statuses).await.expect("acks");
    assert_eq!(statuses, [AckStatus::Acked, AckStatus::Acked]);
    let census = admin.census().await.expect("counts");
    assert_eq!((census.enqueued, census.in_flight, census.done), (Some(2), 0, Some(2)));
    drop((rival, consumer, admin));
    server.stop().await.expect("PostgreSQL ends");
}

/// Claims and acks in batches until there is nothing left, trying again what a deadlock took back; returns the jobs acked
/// and the deadlocks met.
async fn work(backend: Arc<dyn Backend>, id: u32) -> (usize, usize) {
    let mut consumer = backend.consumer(WorkerId(id)).await.expect("connects");
    let (mut done, mut deadlocks) = (0, 0);
    loop {
        let mut leases = claim(&mut consumer, 10).await;
        if leases.is_empty() {
            return (done, deadlocks);
        }
        // Jobs finish in any order.
        leases.sort_by_key(|lease| lease.job.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut statuses = Vec::new();
        while let Err(error) = consumer.acker.ack(&leases, &mut statuses).await {
            assert_eq!((error.kind(), error.count_key()), (ErrorKind::Rejected, "40P01"), "{error}");
            deadlocks += 1;
        }
        assert_eq!(statuses, vec![AckStatus::Acked; leases.len()]);
        done += leases.len();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_counted_once_whatever_deadlocks_there_are() {
    const JOBS: u64 = 600;
    let server = server().await;
    for options in [
        &[][..],
        &[("statistics", "append")],
        &[("lock", "transaction")],
        &[("lock", "transaction"), ("statistics", "append")],
        &[("lock", "transaction"), ("entrypoints", "7")],
    ] {
        let backend = set_up("advisory_lock", &config(server.url(), options)).await;
        let mut admin = admin(&*backend).await;
        enqueue(&*backend, 0..JOBS).await;
        let mut workers = JoinSet::new();
        for id in 0..4 {
            workers.spawn(work(Arc::clone(&backend), id));
        }
        let worked = workers.join_all().await;
        let deadlocks: usize = worked.iter().map(|(_, deadlocks)| deadlocks).sum();
        println!("{options:?}: {deadlocks} deadlocks among {JOBS} jobs");
        assert_eq!(worked.iter().map(|(done, _)| *done as u64).sum::<u64>(), JOBS, "{options:?}");
        let census = admin.census().await.expect("counts");
        assert_eq!((census.enqueued, census.ready, census.done), (Some(JOBS), 0, Some(JOBS)), "{options:?}");
        if !options.contains(&("lock", "transaction")) || options.contains(&("statistics", "append")) {
            assert_eq!(deadlocks, 0, "{options:?}: nobody holds one counter while it waits for another");
        }
    }
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test]
async fn a_batch_costs_requests_per_job_and_says_so() {
    let server = server().await;
    for (options, of_ten) in [(&[][..], 60), (&[("lock", "transaction")], 32)] {
        let config = config(server.url(), options);
        let backend = set_up("advisory_lock", &config).await;
        let mut admin = admin(&*backend).await;
        enqueue(&*backend, 0..10).await;
        let mut consumer = consumer(&*backend).await;
        let before = config.counters.requests();
        let leases = claim(&mut consumer, 10).await;
        assert_eq!((leases.len(), config.counters.requests() - before), (10, 10), "a claim of ten");
        let before = config.counters.requests();
        consumer.acker.ack(&leases, &mut Vec::new()).await.expect("acks");
        assert_eq!(config.counters.requests() - before, of_ten, "an ack of ten: {options:?}");
        let notes = admin.describe().await.expect("describes").notes.join("; ");
        assert!(notes.contains("a job is a statement of its own"), "{notes}");
    }
    server.stop().await.expect("PostgreSQL ends");
}
