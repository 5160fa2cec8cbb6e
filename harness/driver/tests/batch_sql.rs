//! What `batch_sql` promises beyond the conformance suite, against private servers: order by priority, retry in the claim's own
//! statement, no deadlock at any number of workers, and statistics that agree with the audit to the last job.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{
    AckStatus, Backend, BackendConfig, BackendOptions, Consumer, JobId, Lease, NewJob, ProducerId, WorkResult,
    WorkerId, registry,
};
use qbench_driver::plan::LoadPlan;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::work::Failures;
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::load::WorkerSettings;
use qbench_schema::result::{Durability, Verdict};
use sqlx::{Connection, PgConnection};
use support::{drive, jobs, plan};

/// A private server, and a connection past the backend.
struct Rig {
    server: PostgresServer,
    raw: PgConnection,
}

impl Rig {
    async fn start() -> Self {
        let server = PostgresServer::start(StartOptions::new(Durability::D2)).await.unwrap();
        let raw = PgConnection::connect(server.url().expose()).await.unwrap();
        Rig { server, raw }
    }

    fn config(&self, options: &[(&str, &str)]) -> BackendConfig {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        BackendConfig {
            url: Some(self.server.url().clone()),
            lease: Duration::from_secs(60),
            poll_interval: Duration::from_millis(5),
            timeout: Duration::from_secs(20),
            options: BackendOptions::new(options),
            ..BackendConfig::new("qbench_test")
        }
    }

    async fn number(&mut self, question: &'static str) -> u64 {
        let answer: i64 = sqlx::query_scalar(question).fetch_one(&mut self.raw).await.unwrap();
        u64::try_from(answer).unwrap()
    }

    /// Deadlocks that the server broke, once it has been told of all of them.
    async fn deadlocks(&mut self) -> u64 {
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(&mut self.raw).await.unwrap();
        self.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
    }

    async fn stop(self) {
        drop(self.raw);
        self.server.stop().await.unwrap();
    }
}

fn open(config: &BackendConfig) -> Arc<dyn Backend> {
    registry::find("batch_sql").unwrap().open(config).unwrap()
}

async fn set_up(config: &BackendConfig) -> Arc<dyn Backend> {
    let backend = open(config);
    backend.admin().await.unwrap().setup().await.unwrap();
    backend
}

async fn enqueue(backend: &dyn Backend, numbers: std::ops::Range<u64>) {
    let jobs: Vec<NewJob> =
        numbers.map(|job| NewJob { job: JobId(job), payload: Bytes::from_static(b"payload") }).collect();
    backend.producer(ProducerId(0)).await.unwrap().enqueue(&jobs).await.unwrap();
}

async fn claim(consumer: &mut Consumer, limit: u32) -> Vec<Lease> {
    let mut leases = Vec::new();
    consumer.claimer.claim(limit, Duration::ZERO, &mut leases).await.unwrap();
    leases
}

fn numbers(leases: &[Lease]) -> Vec<u64> {
    leases.iter().map(|lease| lease.job.0).collect()
}

#[tokio::test]
async fn the_highest_priority_comes_first_and_within_it_the_order_of_arrival() {
    let rig = Rig::start().await;
    // Job n has priority n modulo 4.
    let backend = set_up(&rig.config(&[("priorities", "4"), ("entrypoints", "3")])).await;
    enqueue(&*backend, 0..40).await;
    let mut consumer = backend.consumer(WorkerId(0)).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..5 {
        order.extend(numbers(&claim(&mut consumer, 7).await));
    }
    let expected: Vec<u64> = (0..4).rev().flat_map(|priority| (0..10).map(move |step| step * 4 + priority)).collect();
    assert_eq!(order, expected[..35]);

    // Five jobs of priority 0 are left. One of priority 3 that comes later goes before them.
    enqueue(&*backend, 43..44).await;
    assert_eq!(numbers(&claim(&mut consumer, 2).await), [43, expected[35]]);
    rig.stop().await;
}

#[tokio::test]
async fn a_job_that_was_given_back_comes_first_again_when_the_worker_looks_at_the_front() {
    let rig = Rig::start().await;
    let backend = set_up(&rig.config(&[])).await;
    enqueue(&*backend, 0..40).await;
    let mut consumer = backend.consumer(WorkerId(0)).await.unwrap();
    let held = claim(&mut consumer, 10).await;
    consumer.acker.nack(&held[2..3]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(numbers(&claim(&mut consumer, 3).await), [2, 10, 11]);
    // At once when nothing else is left.
    assert_eq!(claim(&mut consumer, 100).await.len(), 28);
    consumer.acker.nack(&held[3..4]).await.unwrap();
    assert_eq!(numbers(&claim(&mut consumer, 3).await), [3]);
    rig.stop().await;
}

#[tokio::test]
async fn a_claim_takes_over_stale_jobs_in_the_same_statement_and_keeps_its_limit() {
    let rig = Rig::start().await;
    let config = BackendConfig { lease: Duration::from_millis(400), ..rig.config(&[]) };
    let backend = set_up(&config).await;
    enqueue(&*backend, 0..13).await;
    let mut vanishing = backend.consumer(WorkerId(0)).await.unwrap();
    assert_eq!(claim(&mut vanishing, 3).await.len(), 3);
    drop(vanishing);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut heir = backend.consumer(WorkerId(1)).await.unwrap();
    let before = config.counters.requests();
    let leases = claim(&mut heir, 5).await;
    assert_eq!(config.counters.requests() - before, 1);
    let delivered: Vec<(u64, u32)> = leases.iter().map(|lease| (lease.job.0, lease.attempt)).collect();
    assert_eq!(delivered, [(0, 2), (1, 2), (2, 2), (3, 1), (4, 1)]);
    rig.stop().await;
}

/// Completes `leases` in two batches at once, in opposite orders, over the connections of one worker id: everything that two
/// completions can wait for each other for.
async fn settle_twice(backend: &Arc<dyn Backend>, leases: &[Lease]) -> [Vec<AckStatus>; 2] {
    let settle = |mut leases: Vec<Lease>, backwards: bool| {
        let backend = Arc::clone(backend);
        tokio::spawn(async move {
            if backwards {
                leases.reverse();
            }
            let results: Vec<WorkResult> = leases
                .iter()
                .map(|lease| if lease.job.0 % 5 == 0 { WorkResult::Failed } else { WorkResult::Succeeded })
                .collect();
            let mut consumer = backend.consumer(WorkerId(0)).await.unwrap();
            let mut statuses = Vec::new();
            consumer.acker.ack_results(&leases, &results, &mut statuses).await.unwrap();
            statuses
        })
    };
    let both = (settle(leases.to_vec(), false), settle(leases.to_vec(), true));
    [both.0.await.unwrap(), both.1.await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_completions_of_the_same_jobs_in_opposite_orders_do_not_deadlock_and_count_each_job_once() {
    const ROUNDS: u64 = 20;
    const JOBS: u64 = 300;
    let mut rig = Rig::start().await;
    let backend = set_up(&rig.config(&[("priorities", "4"), ("entrypoints", "3")])).await;
    let mut consumer = backend.consumer(WorkerId(0)).await.unwrap();
    for round in 0..ROUNDS {
        enqueue(&*backend, round * JOBS..(round + 1) * JOBS).await;
        let leases = claim(&mut consumer, JOBS as u32).await;
        let statuses = settle_twice(&backend, &leases).await;
        let acked = statuses.iter().flatten().filter(|status| **status == AckStatus::Acked).count() as u64;
        assert_eq!((leases.len() as u64, acked), (JOBS, JOBS));
    }
    let census = backend.admin().await.unwrap().census().await.unwrap();
    let dead = ROUNDS * JOBS / 5;
    assert_eq!((census.done, census.dead), (Some(ROUNDS * JOBS - dead), dead));
    assert_eq!((census.enqueued, census.ready, census.in_flight), (Some(ROUNDS * JOBS), 0, 0));
    assert_eq!(rig.deadlocks().await, 0);
    rig.stop().await;
}

/// Flat out for two seconds, with jobs that fail and jobs that panic among the others.
fn flat_out(workers: u32) -> LoadPlan {
    let measured = MeasuredLoad::FlatOut { duration: Duration::from_secs(2), jobs_max: 10_000_000 };
    LoadPlan {
        schedule: Arc::new(Schedule::new(None, 0, measured)),
        max_backlog: 5_000,
        enqueue_batch: 20,
        workers,
        worker: WorkerSettings {
            claim_batch: jobs(10),
            ack_batch: Some(jobs(10)),
            ack_linger: Some(Duration::from_millis(10)),
            ..WorkerSettings::default()
        },
        failures: Failures { failed_share: 0.05, panicked_share: 0.01, seed: 9 },
        drain_deadline: Duration::from_secs(60),
        ..plan(1.0)
    }
}

/// Jobs completed by each worker, flat out for a while; nothing fails, and every account agrees.
async fn shares_of(rig: &mut Rig, options: &[(&str, &str)], workers: u32) -> Vec<u64> {
    let what = format!("{workers} workers {options:?}");
    let backend = open(&BackendConfig { workers, ..rig.config(options) });
    let driven = drive(backend, flat_out(workers), None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{what}: {:?}", driven.audit);
    assert!(driven.incidents.errors().is_empty(), "{what}: {:?}", driven.incidents.errors());
    let totals = driven.outcome.totals;
    assert!(totals.completed > 1_000 && totals.measured.panicked > 0, "{what}: {totals:?}");

    let census = driven.outcome.census.unwrap();
    assert_eq!((census.done, census.dead), (Some(totals.completed), totals.failed), "{what}");
    assert_eq!(census.enqueued, Some(totals.confirmed), "{what}");
    let by_worker: Vec<(i32, i64, i64)> = sqlx::query_as(
        "SELECT worker, sum(jobs) FILTER (WHERE result = 'successful')::bigint,
                coalesce(sum(jobs) FILTER (WHERE result = 'exception'), 0)::bigint
         FROM qbench_test.statistics GROUP BY worker ORDER BY worker",
    )
    .fetch_all(&mut rig.raw)
    .await
    .unwrap();
    let shares = driven.outcome.recording.completed_by_worker;
    assert_eq!(by_worker.iter().map(|row| row.1 as u64).collect::<Vec<_>>(), shares, "{what}");
    assert_eq!(by_worker.iter().map(|row| row.2 as u64).sum::<u64>(), totals.failed, "{what}");
    shares
}

/// Whether no worker got more than twice what another did.
fn are_alike(shares: &[u64]) -> bool {
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    most / 2 <= *least
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_any_number_of_workers_nothing_deadlocks_and_the_statistics_agree_with_the_audit() {
    let mut rig = Rig::start().await;
    for options in [&[][..], &[("priorities", "3"), ("entrypoints", "2")]] {
        for workers in [2, 4, 8, 16] {
            // A host that gives one process less than another for a while says nothing of the queue; then it is tried again.
            let mut shares = Vec::new();
            for _ in 0..3 {
                shares = shares_of(&mut rig, options, workers).await;
                if are_alike(&shares) {
                    break;
                }
            }
            assert!(are_alike(&shares), "{workers} workers {options:?}: one got twice what another did: {shares:?}");
        }
    }
    assert_eq!(rig.deadlocks().await, 0);
    rig.stop().await;
}
