//! What only `valkey_streams` promises, against a private Valkey: deletion policies, lost jobs, reconnecting, the class
//! that the live settings give, and errors that say what to do.

mod consuming;

use std::sync::Arc;
use std::time::Duration;

use consuming::{ack, ack_held, admin, consumer, enqueue, jobs, options, producer};
use qbench_backends::{
    AckStatus, Backend, BackendConfig, Consumer, ErrorKind, JobId, Lease, ServerUrl, Wake, WorkerId, registry,
};
use qbench_engines::services::{Server as _, StartOptions};
use qbench_engines::valkey::ValkeyServer;
use qbench_schema::result::Durability;
use redis::aio::MultiplexedConnection;

const STREAM: &str = "qbench_test:valkey_streams:jobs";
const SECOND: Duration = Duration::from_secs(1);

/// A private server, a backend on it, and a connection past the backend.
struct Rig {
    server: ValkeyServer,
    config: BackendConfig,
    raw: MultiplexedConnection,
}

impl Rig {
    async fn start(durability: Durability) -> Self {
        let server = ValkeyServer::start(StartOptions::new(durability)).await.expect("Valkey starts");
        let client = redis::Client::open(server.url().expose()).expect("a URL");
        let raw = client.get_multiplexed_async_connection().await.expect("connects");
        let config = BackendConfig {
            url: Some(server.url().clone()),
            durability,
            wake: Wake::Block,
            ..BackendConfig::new("qbench_test")
        };
        Rig { server, config, raw }
    }

    fn option(mut self, key: &str, value: &str) -> Self {
        self.config.options = options(&[(key, value)]);
        self
    }

    fn open(&self) -> Arc<dyn Backend> {
        registry::find("valkey_streams").expect("registered").open(&self.config).expect("opens")
    }

    async fn set_up(&self) -> Arc<dyn Backend> {
        consuming::set_up("valkey_streams", &self.config).await
    }

    async fn stream_length(&mut self) -> u64 {
        redis::cmd("XLEN").arg(STREAM).query_async(&mut self.raw).await.expect("answers")
    }
}

async fn claim(consumer: &mut Consumer, limit: u32) -> Vec<Lease> {
    consuming::claim(consumer, limit, SECOND).await
}

#[tokio::test]
async fn the_class_is_read_back_from_the_live_server() {
    for class in [Durability::D0, Durability::D1, Durability::D2] {
        let rig = Rig::start(class).await;
        let described = admin(&*rig.open()).await.describe().await.expect("describes");
        assert_eq!(described.durability, class);
        assert_eq!(described.engine, rig.server.product());
        assert_eq!(described.version, rig.server.version().to_string());
        assert_eq!(described.objects, [STREAM]);
        for setting in
            ["appendonly", "appendfsync", "save", "maxmemory-policy", "io-threads", "stream-node-max-entries"]
        {
            assert!(described.settings.contains_key(setting), "{setting} is missing");
        }
    }
}

#[tokio::test]
async fn snapshots_without_aof_are_d0_and_said() {
    let mut rig = Rig::start(Durability::D2).await;
    let mut admin = admin(&*rig.open()).await;
    for (setting, value) in [("appendonly", "no"), ("save", "60 10000")] {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(&mut rig.raw).await.expect("sets");
    }
    let described = admin.describe().await.expect("describes");
    assert_eq!(described.durability, Durability::D0, "the configured D2 must not be believed");
    assert!(described.settings["durability"].contains("forks"));
}

#[tokio::test]
async fn a_missing_or_wrong_password_is_one_clear_sentence() {
    let mut rig = Rig::start(Durability::D0).await;
    let address = rig.server.address();
    for (url, says) in [
        (format!("redis://{address}"), "wants a password"),
        (format!("redis://:wr0ng@{address}"), "refuses the user name or password"),
        (format!("redis://nobody:wr0ng@{address}"), "refuses the user name or password"),
    ] {
        rig.config.url = Some(ServerUrl::new(url));
        let Err(error) = rig.open().admin().await else { panic!("must be refused") };
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let sentence = error.to_string();
        assert!(sentence.contains(says) && sentence.contains(&address), "{sentence}");
        assert!(!sentence.contains("wr0ng"), "{sentence}");
    }
}

#[tokio::test]
async fn every_part_works_again_after_its_connection_was_cut() {
    let mut rig = Rig::start(Durability::D0).await;
    let backend = rig.set_up().await;
    let mut producer = producer(&*backend).await;
    let mut consumer = consumer(&*backend).await;
    let mut admin = admin(&*backend).await;
    producer.enqueue(&jobs(0..2)).await.expect("enqueues");
    let held = claim(&mut consumer, 1).await;

    let cut: u64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut rig.raw)
        .await
        .expect("answers");
    assert!(cut >= 4, "only {cut} connections were there to cut");

    // Each may fail once, and then only with an unknown outcome.
    let outcomes = [
        admin.depth().await.map(|_| ()),
        consumer.acker.ack(&held, &mut Vec::new()).await,
        consumer.claimer.claim(1, SECOND, &mut Vec::new()).await,
        producer.enqueue(&jobs(0..1)).await,
    ];
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    }
    admin.reset().await.expect("works again");
    producer.enqueue(&jobs(0..3)).await.expect("works again");
    let leases = claim(&mut consumer, 10).await;
    assert_eq!(leases.len(), 3);
    ack_held(&mut consumer, &leases).await;
}

#[tokio::test]
async fn a_server_that_stops_answering_leaves_the_outcome_unknown() {
    let mut rig = Rig::start(Durability::D0).await;
    rig.config.timeout = Duration::from_millis(300);
    let backend = rig.set_up().await;
    let mut producer = producer(&*backend).await;
    // Holds back writes only, so that the end of the pause gets through.
    redis::cmd("CLIENT").arg(&["PAUSE", "20000", "WRITE"]).exec_async(&mut rig.raw).await.expect("pauses");
    let error = producer.enqueue(&jobs(0..1)).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.to_string().contains("may or may not have happened"), "{error}");
    redis::cmd("CLIENT").arg("UNPAUSE").exec_async(&mut rig.raw).await.expect("answers");
    producer.enqueue(&jobs(0..1)).await.expect("works again");
}

#[tokio::test]
async fn a_job_whose_entry_was_deleted_while_pending_is_reported_as_lost() {
    let mut rig = Rig::start(Durability::D0).await;
    rig.config.lease = Duration::from_millis(50);
    let backend = rig.set_up().await;
    let mut admin = admin(&*backend).await;
    enqueue(&*backend, 0..3).await;
    let mut vanishing = consumer(&*backend).await;
    assert_eq!(claim(&mut vanishing, 3).await.len(), 3);
    drop(vanishing);
    // As a MAXLEN set by somebody who forgot about pending entries would do.
    redis::cmd("XTRIM").arg(STREAM).arg("MAXLEN").arg(2).exec_async(&mut rig.raw).await.expect("trims");
    tokio::time::sleep(Duration::from_millis(100)).await;

    let mut heir = backend.consumer(WorkerId(1)).await.expect("connects");
    let mut leases = Vec::new();
    heir.claimer.reclaim(10, &mut leases).await.expect("the others come back first");
    assert_eq!(leases.iter().map(|lease| lease.job.0).collect::<Vec<_>>(), [1, 2]);
    let error = heir.claimer.reclaim(10, &mut leases).await.expect_err("then the loss is reported");
    assert_eq!((error.kind(), error.count_key()), (ErrorKind::Server, "LOST"));
    ack_held(&mut heir, &leases).await;
    let census = admin.census().await.expect("counts");
    assert_eq!((census.enqueued, census.done, census.dead), (Some(3), Some(2), 1));
}

#[tokio::test]
async fn acked_entries_are_deleted_or_kept_as_asked() {
    for (policy, left) in [("ack", 0), ("none", 50)] {
        let mut rig = Rig::start(Durability::D0).await.option("delete", policy);
        let backend = rig.set_up().await;
        enqueue(&*backend, 0..50).await;
        let mut consumer = consumer(&*backend).await;
        let leases = claim(&mut consumer, 50).await;
        ack_held(&mut consumer, &leases).await;
        assert_eq!(rig.stream_length().await, left, "delete = {policy}");
    }
}

#[tokio::test]
async fn trimming_frees_finished_entries_and_never_a_pending_or_waiting_one() {
    let mut rig = Rig::start(Durability::D0).await.option("delete", "trim");
    let backend = rig.set_up().await;
    enqueue(&*backend, 0..6_000).await;
    let mut consumer = consumer(&*backend).await;

    // The oldest entry stays in work: nothing may go, however many others are finished.
    let oldest = claim(&mut consumer, 1).await;
    for _ in 0..3 {
        let leases = claim(&mut consumer, 1_000).await;
        ack_held(&mut consumer, &leases).await;
    }
    assert_eq!(rig.stream_length().await, 6_000);

    // Once it is finished, the next trim cuts up to the entries that wait, except for part of a node.
    ack_held(&mut consumer, &oldest).await;
    let leases = claim(&mut consumer, 1_000).await;
    ack_held(&mut consumer, &leases).await;
    let length = rig.stream_length().await;
    assert!((1_999..2_200).contains(&length), "1,999 jobs wait, and the stream has {length} entries");
    let depth = admin(&*backend).await.depth().await.expect("counts");
    assert_eq!((depth.ready, depth.in_flight), (1_999, 0));

    let rest = claim(&mut consumer, 6_000).await;
    assert_eq!(rest.len(), 1_999);
    assert_eq!(rest.last().map(|lease| lease.job), Some(JobId(5_999)));
}

#[tokio::test]
async fn a_blocked_claim_lives_through_a_reset() {
    let rig = Rig::start(Durability::D0).await;
    let backend = rig.set_up().await;
    let mut admin = admin(&*backend).await;
    let mut consumer = consumer(&*backend).await;
    let waiting = tokio::spawn(async move {
        let mut leases = Vec::new();
        consumer.claimer.claim(1, 20 * SECOND, &mut leases).await.map(|()| leases)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.reset().await.expect("resets");
    enqueue(&*backend, 0..1).await;
    let leases = waiting.await.expect("ends").expect("no error");
    assert_eq!(leases.len(), 1);
}

#[tokio::test]
async fn only_our_own_marker_makes_a_stream_ours() {
    let mut rig = Rig::start(Durability::D0).await;
    let mut admin = admin(&*rig.open()).await;
    let set = |key: &'static str, value: &'static str| {
        let mut raw = rig.raw.clone();
        async move { redis::cmd("SET").arg(key).arg(value).exec_async(&mut raw).await.expect("sets") }
    };

    set("qbench_test:owner", "somebody else").await;
    assert_eq!(admin.setup().await.expect_err("foreign").kind(), ErrorKind::Foreign);
    redis::cmd("DEL").arg("qbench_test:owner").exec_async(&mut rig.raw).await.expect("deletes");

    redis::cmd("XADD").arg(STREAM).arg(&["*", "a", "b"]).exec_async(&mut rig.raw).await.expect("adds");
    assert_eq!(admin.setup().await.expect_err("foreign").kind(), ErrorKind::Foreign);
    assert_eq!(admin.teardown().await.expect_err("foreign").kind(), ErrorKind::Foreign);
    assert_eq!(rig.stream_length().await, 1);

    // Empty, it holds nothing that anybody could miss.
    redis::cmd("XTRIM").arg(STREAM).arg("MAXLEN").arg(0).exec_async(&mut rig.raw).await.expect("trims");
    admin.setup().await.expect("an empty stream is taken over");
}

#[tokio::test]
async fn a_full_server_refuses_and_nothing_is_in_the_queue() {
    let mut rig = Rig::start(Durability::D0).await;
    let backend = rig.set_up().await;
    let mut producer = producer(&*backend).await;
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec_async(&mut rig.raw).await.expect("sets");
    let error = producer.enqueue(&jobs(0..5)).await.expect_err("refused");
    assert_eq!((error.kind(), error.count_key()), (ErrorKind::Rejected, "OOM"), "{error}");
    assert_eq!(rig.stream_length().await, 0);
}

#[tokio::test]
async fn a_server_of_another_class_is_described_as_it_is_and_left_as_it_is() {
    async fn settings(raw: &mut MultiplexedConnection) -> std::collections::BTreeMap<String, String> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg(&["appendonly", "appendfsync", "save", "maxmemory-policy"]);
        ask.query_async(raw).await.expect("answers")
    }
    for (given, asked) in
        [(Durability::D0, Durability::D2), (Durability::D1, Durability::D0), (Durability::D2, Durability::D1)]
    {
        let mut rig = Rig::start(given).await;
        rig.config.durability = asked;
        let before = settings(&mut rig.raw).await;
        let backend = rig.set_up().await;
        enqueue(&*backend, 0..3).await;
        let mut consumer = consumer(&*backend).await;
        let leases = claim(&mut consumer, 3).await;
        ack_held(&mut consumer, &leases).await;
        let mut admin = admin(&*backend).await;
        admin.reset().await.expect("resets");
        assert_eq!(admin.describe().await.expect("describes").durability, given, "asked for {asked:?}");
        admin.teardown().await.expect("removes it");
        assert_eq!(settings(&mut rig.raw).await, before, "asked for {asked:?}");
    }
}

#[tokio::test]
async fn every_request_of_producers_and_consumers_is_a_round_trip() {
    let mut rig = Rig::start(Durability::D0).await;
    rig.config.lease = Duration::from_millis(200);
    let trips = rig.config.counters.clone();
    let backend = rig.set_up().await;
    let mut producer = producer(&*backend).await;
    let mut consumer = consumer(&*backend).await;
    let mut admin = admin(&*backend).await;
    admin.depth().await.expect("counts");
    let mut before = 0;
    let mut cost = |expected: u64, of: &str| {
        assert_eq!(trips.requests() - before, expected, "{of}");
        before = trips.requests();
    };
    cost(0, "setup, connecting, and the control side");
    producer.enqueue(&jobs(0..100)).await.expect("enqueues");
    cost(1, "a pipeline of a hundred XADD");
    let leases = claim(&mut consumer, 100).await;
    assert_eq!(leases.len(), 100);
    cost(1, "an XREADGROUP");
    ack_held(&mut consumer, &leases[..50]).await;
    cost(1, "a pipeline of fifty XACK and the XDEL");
    let mut none = Vec::new();
    consumer.claimer.claim(1, Duration::from_millis(100), &mut none).await.expect("waits in vain");
    assert!(none.is_empty());
    cost(1, "an XREADGROUP that blocked in vain");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut again = Vec::new();
    consumer.claimer.reclaim(100, &mut again).await.expect("reclaims");
    assert_eq!(again.len(), 50);
    cost(2, "an XAUTOCLAIM and the pipeline that asks for the delivery counts");
    consumer.acker.nack(&again).await.expect("gives back");
    cost(1, "a pipeline of fifty nacks");
}

/// One XACK acks a batch, and its reply is a sum.
#[tokio::test]
async fn a_lease_that_was_settled_before_is_told_from_the_others_of_its_batch() {
    use AckStatus::{Acked, Stale};
    let rig = Rig::start(Durability::D0).await;
    let backend = rig.set_up().await;
    enqueue(&*backend, 0..6).await;
    let mut consumer = consumer(&*backend).await;
    let leases = claim(&mut consumer, 6).await;
    assert_eq!(leases.len(), 6);
    consumer.acker.nack(&leases[..1]).await.expect("gives one back");
    ack_held(&mut consumer, &leases[1..3]).await;
    let twice = [&leases[..], &leases[5..]].concat();
    assert_eq!(ack(&mut consumer, &twice).await, [Stale, Stale, Stale, Acked, Acked, Acked, Stale]);
    assert_eq!(ack(&mut consumer, &leases).await, [Stale; 6]);
}

/// METHODOLOGY F10.
#[tokio::test]
async fn a_worker_has_as_many_connections_as_its_queue_states() {
    let mut rig = Rig::start(Durability::D0).await;
    let backend = rig.set_up().await;
    let mut clients = async || -> usize {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut rig.raw).await.expect("answers");
        list.lines().count()
    };
    let before = clients().await;
    let first = backend.consumer(WorkerId(0)).await.expect("connects");
    let second = backend.consumer(WorkerId(1)).await.expect("connects");
    let entry = registry::find("valkey_streams").expect("registered");
    let stated = entry.capabilities(&options(&[])).expect("valid").connections.expect("known");
    assert_eq!(clients().await - before, 2 * stated.of_worker(1) as usize);
    drop((first, second));
}
