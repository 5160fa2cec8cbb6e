//! What notifications cost and save, against a private server: one per batch, one listener, no herd, and nobody who asks for
//! work in vain. That they arrive is the conformance suite's to say.

mod consuming;

use std::time::Duration;

use consuming::{ack_held, admin, claim, consumer, enqueue, jobs, option_sets_on_postgres, producer, set_up};
use qbench_backends::{BackendConfig, BackendOptions, Consumer, ServerUrl, Wake, WorkerId, registry};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const NAMESPACE: &str = "qbench_notify";
/// Far longer than any test: what it finds, no notification told.
const FALLBACK: Duration = Duration::from_secs(60);

async fn server() -> PostgresServer {
    PostgresServer::start(StartOptions::new(Durability::D1)).await.expect("PostgreSQL starts")
}

fn config(url: &ServerUrl, options: &BackendOptions, wake: Wake) -> BackendConfig {
    BackendConfig {
        url: Some(url.clone()),
        durability: Durability::D1,
        lease: Duration::from_secs(60),
        wake,
        poll_interval: FALLBACK,
        timeout: Duration::from_secs(20),
        options: options.clone(),
        ..BackendConfig::new(NAMESPACE)
    }
}

/// Jobs that a notification tells of: the sum of what stands before each `@`.
fn jobs_told(payload: &str) -> u64 {
    payload.split(',').map(|share| share.split('@').next().unwrap_or_default().parse::<u64>().expect("a number")).sum()
}

#[tokio::test]
async fn a_batch_is_one_notification_and_none_where_nobody_asked() {
    let server = server().await;
    let mut listener = PgListener::connect(server.url().expose()).await.expect("connects");
    listener.listen(NAMESPACE).await.expect("listens");
    for (id, name, options) in option_sets_on_postgres() {
        let config = config(server.url(), &options, Wake::Notify);
        let backend = set_up(id, &config).await;
        let mut producer = producer(&*backend).await;
        let mut consumer = consumer(&*backend).await;
        producer.enqueue(&jobs(0..100)).await.expect("enqueues");
        let heard = listener.recv().await.expect("hears");
        assert_eq!(jobs_told(heard.payload()), 100, "{name}: {}", heard.payload());
        assert_eq!(heard.payload().contains('@'), id == "partitioned", "{name}: {}", heard.payload());

        let leases = claim(&mut consumer, 1, Duration::ZERO).await;
        assert_eq!(leases.len(), 1);
        consumer.acker.nack(&leases).await.expect("gives back");
        let heard = listener.recv().await.expect("hears");
        assert_eq!(jobs_told(heard.payload()), 1, "{name}");
        consumer.acker.nack(&leases).await.expect("has nothing to give back");
        assert_eq!(config.counters.wake().notifications_sent, 2, "{name}");

        let silent = self::config(server.url(), &options, Wake::Poll);
        let backend = registry::find(id).expect("registered").open(&silent).expect("opens");
        enqueue(&*backend, 100..200).await;
        let more = timeout(Duration::from_millis(200), listener.recv()).await;
        assert!(more.is_err(), "{name}: {more:?}");
    }
    drop(listener);
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test]
async fn consumers_share_one_listener_that_ends_with_the_last_of_them() {
    const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'qbench:%:listener:%'";
    let server = server().await;
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    let config = config(server.url(), &BackendOptions::default(), Wake::Notify);
    let backend = set_up("skip_locked", &config).await;
    let mut admin = admin(&*backend).await;
    let notes = admin.describe().await.expect("describes").notes;
    assert!(notes.iter().any(|note| note.contains("lock on the whole database")), "{notes:?}");
    for _ in 0..2 {
        let mut consumers = Vec::new();
        for id in 0..5 {
            consumers.push(backend.consumer(WorkerId(id)).await.expect("connects"));
        }
        let listeners: i64 = sqlx::query_scalar(LISTENERS).fetch_one(&mut raw).await.expect("counts");
        assert_eq!(listeners, 1);
        consumers.truncate(1);
        enqueue(&*backend, 0..1).await;
        let leases = claim(&mut consumers[0], 1, FALLBACK / 2).await;
        ack_held(&mut consumers[0], &leases).await;
        drop(consumers);
        let patience = Instant::now() + Duration::from_secs(10);
        while sqlx::query_scalar::<_, i64>(LISTENERS).fetch_one(&mut raw).await.expect("counts") > 0 {
            assert!(Instant::now() < patience, "a listener is left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(raw);
    server.stop().await.expect("PostgreSQL ends");
}

/// Claims up to `limit` jobs at a time and acks them, for `time`; waits as long as a worker does in one claim.
async fn work(mut consumer: Consumer, limit: u32, time: Duration) -> usize {
    let end = Instant::now() + time;
    let mut done = 0;
    while Instant::now() < end {
        let leases = claim(&mut consumer, limit, Duration::from_millis(250)).await;
        if !leases.is_empty() {
            ack_held(&mut consumer, &leases).await;
        }
        done += leases.len();
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_rest_a_worker_asks_once_and_a_job_is_found_by_the_one_that_is_woken() {
    let sets = option_sets_on_postgres();
    let connections = sets.len() as u32 * (2 * WORKERS_AT_REST + 3);
    let options = StartOptions { connections, ..StartOptions::new(Durability::D1) };
    let server = PostgresServer::start(options).await.expect("PostgreSQL starts");
    // All at the same time, each in a schema of its own: they wait nearly all the while.
    let mut at_rest = JoinSet::new();
    for (number, (id, name, options)) in sets.into_iter().enumerate() {
        let namespace = format!("{NAMESPACE}_{number}");
        let config = BackendConfig { namespace, ..config(server.url(), &options, Wake::Notify) };
        at_rest.spawn(async move { look_at_rest(id, &name, &config).await });
    }
    at_rest.join_all().await;
    server.stop().await.expect("PostgreSQL ends");
}

const WORKERS_AT_REST: u32 = 8;

async fn look_at_rest(id: &str, name: &str, config: &BackendConfig) {
    const JOBS: u64 = 40;
    let capabilities = registry::find(id).and_then(|entry| entry.capabilities(&config.options).ok()).expect("valid");
    let backend = set_up(id, config).await;
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS_AT_REST {
        let consumer = consumer(&*backend).await;
        let limit = capabilities.max_claim_batch.get().min(10);
        workers.spawn(work(consumer, limit, Duration::from_secs(6)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = config.counters.wake();
    assert_eq!(idle.empty_claims, u64::from(WORKERS_AT_REST), "{name}: everybody looks once to begin with");
    let mut producer = producer(&*backend).await;
    for job in 0..JOBS {
        producer.enqueue(&jobs(job..job + 1)).await.expect("enqueues");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let done: usize = workers.join_all().await.into_iter().sum();
    assert_eq!(done as u64, JOBS, "{name}");
    let counted = config.counters.wake().since(idle);
    assert_eq!((counted.notifications_sent, counted.notifications_received), (JOBS, JOBS), "{name}");
    // A claim may overtake the word of its job; then somebody looks for it in vain.
    assert!(counted.empty_claims <= JOBS / 4, "{name}: {} looks in vain", counted.empty_claims);
    assert_eq!(counted.listener_reconnects, 0, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_limit_one_notification_tells_of_many_jobs_and_of_every_one() {
    const LIMIT: Duration = Duration::from_millis(200);
    let server = server().await;
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    for id in ["skip_locked", "partitioned"] {
        let config =
            BackendConfig { notify_limit: LIMIT, ..config(server.url(), &BackendOptions::default(), Wake::Notify) };
        let backend = set_up(id, &config).await;
        let mut workers = JoinSet::new();
        for number in 0..16 {
            let consumer = backend.consumer(WorkerId(number)).await.expect("opens");
            workers.spawn(work(consumer, 10, Duration::from_secs(5)));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (before, begin) = (config.counters.wake(), Instant::now());
        let mut producer = producer(&*backend).await;
        for job in 0..100 {
            producer.enqueue(&jobs(job..job + 1)).await.expect("enqueues");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(LIMIT).await;
        let sent = config.counters.wake().since(before).notifications_sent;
        let most = begin.elapsed().as_millis() as u64 / LIMIT.as_millis() as u64 + 1;
        assert!((2..=most).contains(&sent), "{id}: {sent} notifications, at most {most} expected");
        // Whoever notifies loses the connection, and finds another one.
        let notifiers =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'qbench:%:notifier:%'";
        let ended = sqlx::query(notifiers).execute(&mut raw).await.expect("ends it").rows_affected();
        assert_eq!(ended, 1, "{id}: one session notifies");
        producer.enqueue(&jobs(100..105)).await.expect("enqueues");
        let done: usize = workers.join_all().await.into_iter().sum();
        assert_eq!(done, 105, "{id}");
    }
    raw.close().await.expect("closes");
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_wakes_as_many_as_it_needs() {
    let server = server().await;
    let config = config(server.url(), &BackendOptions::default(), Wake::Notify);
    let backend = set_up("skip_locked", &config).await;
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let consumer = consumer(&*backend).await;
        workers.spawn(work(consumer, 10, Duration::from_secs(2)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = config.counters.wake();
    let mut producer = producer(&*backend).await;
    producer.enqueue(&jobs(0..20)).await.expect("enqueues");
    let done = workers.join_all().await;
    assert_eq!(done.iter().sum::<usize>(), 20);
    assert_eq!(done.iter().filter(|done| **done > 0).count(), 2, "{done:?}");
    assert_eq!(config.counters.wake().since(before).empty_claims, 0);
    server.stop().await.expect("PostgreSQL ends");
}
