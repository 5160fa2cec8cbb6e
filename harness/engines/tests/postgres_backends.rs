//! What the backends on PostgreSQL promise beyond the conformance suite, against private servers: durability classes as the
//! server gives them, the price of asking for the depth, round trips, and partitions.

mod consuming;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consuming::{ack_held, admin, claim, consumer, enqueue, jobs, option_sets_on_postgres, options, producer, set_up};
use qbench_backends::{
    Backend, BackendConfig, ClientCounters, ErrorKind, JobId, NewJob, ServerUrl, WorkerId, registry,
};
use qbench_engines::postgres::{PostgresPrograms, PostgresServer};
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

const NAMESPACE: &str = "qbench_test";
const CLASSES: [Durability; 3] = [Durability::D0, Durability::D1, Durability::D2];

/// A private server, a configuration for backends on it, and a connection past them.
struct Rig {
    server: PostgresServer,
    config: BackendConfig,
    raw: PgConnection,
}

impl Rig {
    /// The server's own settings are those of D2, whatever class a backend is asked for.
    async fn start() -> Self {
        let server = PostgresServer::start(StartOptions::new(Durability::D2)).await.expect("PostgreSQL starts");
        let raw = PgConnection::connect(server.url().expose()).await.expect("connects");
        let config = config(server.url());
        Rig { server, config, raw }
    }

    fn with(&self, pairs: &[(&str, &str)]) -> BackendConfig {
        BackendConfig { options: options(pairs), ..self.config.clone() }
    }

    /// Waits until no session of a backend is left. A session hands in its last statistics before it goes.
    async fn sessions_have_ended(&mut self) {
        for _ in 0..200 {
            let left: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, 'qbench:')",
            )
            .fetch_one(&mut self.raw)
            .await
            .expect("counts sessions");
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("sessions are left");
    }

    async fn number(&mut self, question: &'static str) -> i64 {
        sqlx::query_scalar(question).fetch_one(&mut self.raw).await.expect("answers")
    }

    async fn stop(self) {
        drop(self.raw);
        self.server.stop().await.expect("PostgreSQL ends");
    }
}

fn config(url: &ServerUrl) -> BackendConfig {
    BackendConfig {
        url: Some(url.clone()),
        lease: Duration::from_secs(60),
        poll_interval: Duration::from_millis(5),
        timeout: Duration::from_secs(20),
        ..BackendConfig::new(NAMESPACE)
    }
}

/// Every relation of ours that has storage, with its persistence: tables, archives, indexes, sequences and TOAST tables.
const STORED: &str = "
    WITH ours AS (
        SELECT class.oid, class.relname, class.relkind, class.relpersistence, class.reltoastrelid
        FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE namespace.nspname = 'qbench_test' AND class.relkind IN ('r', 'i', 'S'))
    SELECT relname::text, relkind::text, relpersistence::text FROM ours
    UNION ALL
    SELECT class.relname::text, class.relkind::text, class.relpersistence::text
    FROM pg_class AS class JOIN ours ON class.oid = ours.reltoastrelid";

#[tokio::test]
async fn every_class_is_what_the_server_reads_back() {
    let mut rig = Rig::start().await;
    for (id, name, options) in option_sets_on_postgres() {
        for class in CLASSES {
            let config = BackendConfig { durability: class, options: options.clone(), ..rig.config.clone() };
            let backend = set_up(id, &config).await;
            let mut admin = admin(&*backend).await;
            let described = admin.describe().await.expect("describes");
            assert_eq!(described.durability, class, "{name}");
            let commit = if class == Durability::D1 { "off" } else { "on" };
            assert_eq!(described.settings["synchronous_commit"], commit, "{name} {class:?}");
            for setting in ["fsync", "full_page_writes"] {
                assert_eq!(described.settings[setting], "on", "{name} {class:?}");
            }
            let stored: Vec<(String, String, String)> =
                sqlx::query_as(STORED).fetch_all(&mut rig.raw).await.expect("reads the catalogue");
            for kind in ["r", "i", "S", "t"] {
                assert!(stored.iter().any(|(_, found, _)| found == kind), "{name} has no relation of kind {kind}");
            }
            let expected = if class == Durability::D0 { "u" } else { "p" };
            for (relation, _, persistence) in stored {
                assert_eq!(persistence, expected, "{relation} of {name} in {class:?}");
            }
            admin.teardown().await.expect("removes it");
        }
    }
    rig.stop().await;
}

/// What the classes are for, as the server counts it: what producers and consumers write to the WAL, and how often it is
/// synced. Sessions that do not carry the class would show here.
#[tokio::test]
async fn producers_and_consumers_pay_what_their_class_costs() {
    const JOBS: u64 = 50;
    // Kept as it is: neither compressed nor moved out of the row.
    let payload: Bytes =
        (0..1_500_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().into();
    let mut rig = Rig::start().await;
    for (id, name, options) in option_sets_on_postgres() {
        for class in CLASSES {
            let config = BackendConfig { durability: class, options: options.clone(), ..rig.config.clone() };
            let backend = set_up(id, &config).await;
            rig.sessions_have_ended().await;
            let syncs_before = rig.number("SELECT wal_sync FROM pg_stat_wal").await;
            let bytes_before = rig.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await;
            let mut producer = producer(&*backend).await;
            let mut consumer = consumer(&*backend).await;
            for number in 0..JOBS {
                producer.enqueue(&[NewJob { job: JobId(number), payload: payload.clone() }]).await.expect("enqueues");
                let leases = claim(&mut consumer, 1, Duration::from_secs(20)).await;
                ack_held(&mut consumer, &leases).await;
            }
            let bytes = rig.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await - bytes_before;
            drop((producer, consumer));
            rig.sessions_have_ended().await;
            let syncs = rig.number("SELECT wal_sync FROM pg_stat_wal").await - syncs_before;
            let (jobs, job_bytes) = (JOBS as i64, payload.len() as i64);
            match class {
                Durability::D0 => assert!(bytes < jobs * job_bytes / 2, "{name} in D0 wrote {bytes} bytes of WAL"),
                Durability::D1 | Durability::D2 => {
                    assert!(bytes > jobs * job_bytes, "{name} in {class:?} wrote only {bytes} bytes of WAL");
                }
            }
            match class {
                // An enqueue and an ack per job at least.
                Durability::D2 => assert!(syncs >= 2 * jobs, "{name} in D2 synced {syncs} times for {jobs} jobs"),
                // The WAL writer's own syncs, a few a second.
                Durability::D0 | Durability::D1 => {
                    assert!(syncs < jobs, "{name} in {class:?} synced {syncs} times for {jobs} jobs");
                }
            }
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_server_without_fsync_is_refused_in_one_sentence_by_whatever_is_asked_first() {
    // As a given server: ours can never be so. The last of two settings on a command line is the one that counts.
    let mut programs = PostgresPrograms::of_machine().expect("PostgreSQL is installed");
    let dir = tempfile::Builder::new().prefix("qbench-test-").tempdir_in("/tmp").expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("set its mode");
    let wrapper = dir.path().join("postgres");
    fs::write(&wrapper, format!("#!/bin/sh\nexec '{}' \"$@\" -c fsync=off\n", programs.postgres.display()))
        .expect("writes");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("set its mode");
    programs.postgres = wrapper;
    let options = StartOptions::new(Durability::D2);
    let server = PostgresServer::start_from(programs, options).await.expect("PostgreSQL starts");

    for (id, name, options) in option_sets_on_postgres() {
        for class in CLASSES {
            let config = BackendConfig { durability: class, options: options.clone(), ..config(server.url()) };
            let backend = registry::find(id).expect("registered").open(&config).expect("opens");
            let mut admin = admin(&*backend).await;
            for refusal in [admin.describe().await.map(|_| ()), admin.setup().await] {
                let error = refusal.expect_err("no class holds without fsync");
                assert_eq!(error.kind(), ErrorKind::Config, "{name}");
                let sentence = error.to_string();
                assert!(
                    sentence.contains("runs with fsync = off") && sentence.contains("set fsync = on"),
                    "{sentence}"
                );
                assert!(!sentence.contains(". "), "one sentence: {sentence}");
            }
        }
    }
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = 'qbench_test'")
        .fetch_one(&mut raw)
        .await
        .expect("counts");
    assert_eq!(made, 0, "nothing was made on a refused server");
    drop(raw);
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test]
async fn torn_pages_are_warned_of() {
    let mut options = StartOptions::new(Durability::D2);
    options.settings.insert("full_page_writes".to_owned(), "off".to_owned());
    let server = PostgresServer::start(options).await.expect("PostgreSQL starts");
    let backend = set_up("skip_locked", &config(server.url())).await;
    let described = admin(&*backend).await.describe().await.expect("describes");
    assert_eq!(described.durability, Durability::D2);
    assert!(described.notes.iter().any(|note| note.contains("full_page_writes = off")), "{:?}", described.notes);
    server.stop().await.expect("PostgreSQL ends");
}

#[tokio::test]
async fn asking_for_the_depth_reads_no_more_of_a_larger_backlog() {
    const READ: &str = "
        SELECT coalesce(sum(idx_tup_read), 0)::bigint
             + (SELECT sum(seq_tup_read)::bigint FROM pg_stat_all_tables WHERE schemaname = 'qbench_test')
        FROM pg_stat_all_indexes WHERE schemaname = 'qbench_test'";
    const BACKLOG: u64 = 60_000;
    let mut rig = Rig::start().await;
    for (id, name, options) in option_sets_on_postgres() {
        let config = BackendConfig { durability: Durability::D0, options, ..rig.config.clone() };
        let backend = set_up(id, &config).await;
        enqueue(&*backend, 0..BACKLOG).await;
        rig.sessions_have_ended().await;
        let before = rig.number(READ).await;
        let mut admin = admin(&*backend).await;
        let depth = admin.depth().await.expect("counts");
        drop(admin);
        rig.sessions_have_ended().await;
        let read = rig.number(READ).await - before;
        assert!((1_000..=11_000).contains(&read), "{name} read {read} entries for a backlog of {BACKLOG}");
        assert!(depth.ready.abs_diff(BACKLOG) * 20 < BACKLOG && depth.in_flight == 0, "{name}: {depth:?}");
    }
    rig.stop().await;
}

/// Calls that cost a known number of requests, one after the other.
struct Counter<'a> {
    trips: &'a ClientCounters,
    before: u64,
}

impl Counter<'_> {
    fn cost(&mut self, expected: u64, of: &str) {
        let now = self.trips.requests();
        assert_eq!(now - self.before, expected, "{of}");
        self.before = now;
    }
}

#[tokio::test]
async fn every_request_of_producers_and_consumers_is_a_round_trip() {
    let rig = Rig::start().await;
    let trips = ClientCounters::default();

    let config = BackendConfig { counters: trips.clone(), ..rig.config.clone() };
    let backend = set_up("skip_locked", &config).await;
    let mut counter = Counter { trips: &trips, before: 0 };
    let mut producer = producer(&*backend).await;
    let mut consumer = consumer(&*backend).await;
    let mut admin = admin(&*backend).await;
    admin.depth().await.expect("counts");
    counter.cost(0, "setup, connecting, and the control side");
    producer.enqueue(&jobs(0..100)).await.expect("enqueues");
    counter.cost(1, "an enqueue of a hundred jobs");
    let leases = claim(&mut consumer, 50, Duration::ZERO).await;
    assert_eq!(leases.len(), 50);
    counter.cost(1, "a claim of fifty jobs");
    ack_held(&mut consumer, &leases[..49]).await;
    counter.cost(1, "an ack of 49 leases");
    consumer.acker.nack(&leases[49..]).await.expect("gives back");
    counter.cost(1, "a nack");
    consumer.claimer.reclaim(10, &mut Vec::new()).await.expect("looks");
    counter.cost(1, "a reclaim that found nothing");
    admin.reset().await.expect("empties");
    assert!(claim(&mut consumer, 10, Duration::ZERO).await.is_empty());
    counter.cost(1, "an idle look");

    let config = BackendConfig { counters: trips.clone(), ..rig.with(&[("commit", "ack")]) };
    let backend = set_up("delete_returning", &config).await;
    enqueue(&*backend, 0..1).await;
    counter.cost(1, "an enqueue");
    let mut consumer = consuming::consumer(&*backend).await;
    let leases = claim(&mut consumer, 1, Duration::ZERO).await;
    counter.cost(2, "BEGIN and a claim");
    ack_held(&mut consumer, &leases).await;
    counter.cost(1, "COMMIT");
    assert!(claim(&mut consumer, 1, Duration::ZERO).await.is_empty());
    counter.cost(3, "BEGIN, an idle look and ROLLBACK");

    let config = BackendConfig { counters: trips.clone(), ..rig.config.clone() };
    let backend = set_up("partitioned", &config).await;
    let mut consumer = consuming::consumer(&*backend).await;
    assert!(claim(&mut consumer, 10, Duration::ZERO).await.is_empty());
    counter.cost(1, "an idle probe of sixteen partitions");
    enqueue(&*backend, 0..1).await;
    assert_eq!(claim(&mut consumer, 10, Duration::ZERO).await.len(), 1);
    counter.cost(3, "an enqueue, a probe and the claim from one partition");
    rig.stop().await;
}

#[tokio::test]
async fn the_census_tells_what_entered_each_partition_and_who_serves_it() {
    const JOBS: u64 = 4_000;
    let rig = Rig::start().await;
    for (partitions, workers) in [(16, 20), (32, 20)] {
        let options = rig.with(&[("partitions", &partitions.to_string())]);
        let backend = set_up("partitioned", &BackendConfig { workers, ..options }).await;
        enqueue(&*backend, 0..JOBS).await;
        let mut admin = admin(&*backend).await;
        let census = admin.census().await.expect("counts");
        let numbers: Vec<u32> = census.partitions.iter().map(|share| share.partition).collect();
        assert_eq!(numbers, (0..partitions).collect::<Vec<_>>());
        assert_eq!(census.partitions.iter().map(|share| share.enqueued).sum::<u64>(), JOBS);
        let even = JOBS / u64::from(partitions);
        for share in &census.partitions {
            assert!((even / 2..even * 2).contains(&share.enqueued), "{share:?}");
        }
        let bound: u32 = census.partitions.iter().map(|share| share.workers).sum();
        assert_eq!(bound, workers.max(partitions), "each worker has a partition, and each partition a worker");
        let note = admin.describe().await.expect("describes").notes.join("; ");
        assert!(note.contains(&format!("20 workers do not divide evenly over {partitions} partitions")), "{note}");
    }
    let backend = set_up("skip_locked", &rig.config).await;
    enqueue(&*backend, 0..1).await;
    let mut admin = admin(&*backend).await;
    assert!(admin.census().await.expect("counts").partitions.is_empty());
    assert!(admin.describe().await.expect("describes").notes.is_empty());
    rig.stop().await;
}

/// Claims and acks as worker `id` until nothing came for a while.
async fn work(backend: Arc<dyn Backend>, id: u32) {
    let mut consumer = backend.consumer(WorkerId(id)).await.expect("connects");
    loop {
        let leases = claim(&mut consumer, 7, Duration::from_secs(1)).await;
        if leases.is_empty() {
            return;
        }
        ack_held(&mut consumer, &leases).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stealing_workers_finish_the_partitions_of_one_that_does_nothing() {
    const JOBS: u64 = 800;
    // Worker 0 of 4 serves these, and nobody else does.
    const OF_WORKER_0: &str = "
        SELECT count(*) FROM qbench_test.jobs
        WHERE tableoid IN ('qbench_test.jobs_p0'::regclass, 'qbench_test.jobs_p4'::regclass,
                           'qbench_test.jobs_p8'::regclass, 'qbench_test.jobs_p12'::regclass)";
    let mut rig = Rig::start().await;
    for steal in ["true", "false"] {
        let config = BackendConfig { workers: 4, ..rig.with(&[("steal", steal)]) };
        let backend = set_up("partitioned", &config).await;
        enqueue(&*backend, 0..JOBS).await;
        let idle = consumer(&*backend).await;
        let mut workers = JoinSet::new();
        for id in 1..4 {
            workers.spawn(work(Arc::clone(&backend), id));
        }
        while let Some(ended) = workers.join_next().await {
            ended.expect("works");
        }
        let of_worker_0 = rig.number(OF_WORKER_0).await as u64;
        assert!(of_worker_0 > JOBS / 8, "{of_worker_0} jobs are in the idle worker's partitions");
        let mut admin = admin(&*backend).await;
        let census = admin.census().await.expect("counts");
        if steal == "true" {
            assert_eq!((census.done, census.ready), (Some(JOBS), 0));
            let helpers = rig.number("SELECT count(DISTINCT worker) FROM qbench_test.jobs WHERE worker <> 0").await;
            assert_eq!(helpers, 3, "every other worker had a part in it");
        } else {
            assert_eq!((census.done, census.ready), (Some(JOBS - of_worker_0), of_worker_0));
        }
        drop(idle);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_partition_that_nobody_serves_any_more_is_said_so() {
    let rig = Rig::start().await;
    for (steal, said) in [("false", true), ("true", false)] {
        let config = BackendConfig { workers: 2, ..rig.with(&[("steal", steal), ("partitions", "2")]) };
        let backend = set_up("partitioned", &config).await;
        let mut admin = admin(&*backend).await;
        let stays = consumer(&*backend).await;
        let gives_up = backend.consumer(WorkerId(1)).await.expect("connects");
        assert!(admin.describe().await.expect("describes").notes.is_empty());
        drop(gives_up);
        let notes = admin.describe().await.expect("describes").notes;
        assert_eq!(notes.len(), usize::from(said), "{notes:?}");
        assert!(notes.iter().all(|note| note.contains("nobody serves 1 of 2 partitions now (numbers 1)")), "{notes:?}");
        drop(stays);
    }
    rig.stop().await;
}

/// METHODOLOGY F10.
#[tokio::test]
async fn a_worker_has_as_many_connections_as_its_queue_states() {
    let mut rig = Rig::start().await;
    const CONSUMERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'qbench:%:consumer:%'";
    for (id, name, options) in option_sets_on_postgres() {
        let entry = registry::find(id).expect("registered");
        let stated = entry.capabilities(&options).expect("valid").connections.expect("known");
        let backend = set_up(id, &BackendConfig { options, workers: 3, ..rig.config.clone() }).await;
        let mut consumers = Vec::new();
        for worker in 0..3 {
            consumers.push(backend.consumer(WorkerId(worker)).await.expect("connects"));
        }
        assert_eq!(rig.number(CONSUMERS).await, 3 * i64::from(stated.of_worker(1)), "{name}");
        drop(consumers);
        admin(&*backend).await.teardown().await.expect("removes");
        rig.sessions_have_ended().await;
    }
    rig.stop().await;
}
