//! What only `valkey_list` promises, against a private Valkey: a job that was moved and never claimed comes back, scripts that
//! the server has forgotten, and keys that do not outlive their jobs.

mod consuming;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consuming::{ack, claim, set_up};
use qbench_backends::{AckStatus, Backend, BackendConfig, Consumer, Depth, JobId, Lease, NewJob, Wake};
use qbench_engines::services::StartOptions;
use qbench_engines::valkey::ValkeyServer;
use qbench_schema::result::Durability;
use redis::aio::MultiplexedConnection;

const PREFIX: &str = "qbench_test:valkey_list";
const LEASE: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);

/// A private server with a queue that is set up, and a connection past the backend.
struct Rig {
    server: ValkeyServer,
    backend: Arc<dyn Backend>,
    raw: MultiplexedConnection,
}

impl Rig {
    async fn start() -> Self {
        let server = ValkeyServer::start(StartOptions::new(Durability::D0)).await.expect("Valkey starts");
        let client = redis::Client::open(server.url().expose()).expect("a URL");
        let raw = client.get_multiplexed_async_connection().await.expect("connects");
        let config = BackendConfig {
            url: Some(server.url().clone()),
            durability: Durability::D0,
            lease: LEASE,
            wake: Wake::Block,
            ..BackendConfig::new("qbench_test")
        };
        let backend = set_up("valkey_list", &config).await;
        Rig { server, backend, raw }
    }

    async fn enqueue(&self, numbers: std::ops::Range<u64>) {
        let jobs: Vec<NewJob> =
            numbers.map(|job| NewJob { job: JobId(job), payload: Bytes::from_static(b"a:b") }).collect();
        consuming::producer(&*self.backend).await.enqueue(&jobs).await.expect("enqueues");
    }

    async fn consumer(&self) -> Consumer {
        consuming::consumer(&*self.backend).await
    }

    async fn depth(&self) -> Depth {
        consuming::admin(&*self.backend).await.depth().await.expect("counts")
    }

    /// The keys of the queue that hold something.
    async fn keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("{PREFIX}:*")).query_async(&mut self.raw).await.expect("lists keys");
        keys.sort_unstable();
        keys
    }
}

async fn reclaim(consumer: &mut Consumer) -> Vec<Lease> {
    let mut leases = Vec::new();
    consumer.claimer.reclaim(10, &mut leases).await.expect("reclaims");
    leases
}

#[tokio::test]
async fn a_job_whose_consumer_vanished_between_blmove_and_claim_comes_back() {
    let mut rig = Rig::start().await;
    let mut consumer = rig.consumer().await;
    assert!(claim(&mut consumer, 1, Duration::ZERO).await.is_empty(), "the queue now knows a consumer");
    let known: Vec<String> =
        redis::cmd("SMEMBERS").arg(format!("{PREFIX}:consumers")).query_async(&mut rig.raw).await.expect("a set");
    rig.enqueue(7..8).await;
    // What BLMOVE does for a consumer whose connection ends before the answer comes.
    let moved: Option<u64> = redis::cmd("LMOVE")
        .arg(format!("{PREFIX}:ready"))
        .arg(format!("{PREFIX}:held:{}", known[0]))
        .arg("RIGHT")
        .arg("LEFT")
        .query_async(&mut rig.raw)
        .await
        .expect("moves");
    assert_eq!(moved, Some(1));
    assert_eq!(rig.depth().await, Depth { ready: 0, in_flight: 1 }, "it is somewhere");

    let mut heir = rig.consumer().await;
    assert!(reclaim(&mut heir).await.is_empty(), "its consumer may be about to come for it");
    tokio::time::sleep(LEASE + LEASE / 2).await;
    let leases = reclaim(&mut heir).await;
    assert_eq!(leases.iter().map(|lease| (lease.job, lease.attempt)).collect::<Vec<_>>(), [(JobId(7), 2)]);
    assert_eq!(ack(&mut heir, &leases).await, [AckStatus::Acked]);
    rig.server.stop().await.expect("Valkey ends");
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    let mut rig = Rig::start().await;
    let mut consumer = rig.consumer().await;
    for number in 0..2 {
        rig.enqueue(number..number + 1).await;
        let leases = claim(&mut consumer, 1, SECOND).await;
        assert_eq!(leases[0].payload, Bytes::from_static(b"a:b"), "a colon in the payload is not the separator");
        assert_eq!(ack(&mut consumer, &leases).await, [AckStatus::Acked]);
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut rig.raw).await.expect("forgets");
    }
    rig.server.stop().await.expect("Valkey ends");
}

#[tokio::test]
async fn one_job_wakes_one_of_several_blocked_consumers() {
    let mut rig = Rig::start().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut consumer = rig.consumer().await;
        waiting.spawn(async move { claim(&mut consumer, 5, SECOND).await.len() });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut rig.raw).await.expect("forgets its statistics");
    rig.enqueue(0..1).await;
    let mut came: Vec<usize> = waiting.join_all().await;
    came.sort_unstable();
    assert_eq!(came, [0, 0, 0, 1]);
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("commandstats").query_async(&mut rig.raw).await.expect("statistics");
    let scripts: String = info.get("cmdstat_evalsha").expect("scripts ran");
    assert!(scripts.starts_with("calls=2,"), "one to enqueue and one to claim, not one per consumer: {scripts}");
    rig.server.stop().await.expect("Valkey ends");
}

#[tokio::test]
async fn nothing_is_left_of_jobs_that_are_done() {
    let mut rig = Rig::start().await;
    let mut consumer = rig.consumer().await;
    rig.enqueue(0..50).await;
    let leases = claim(&mut consumer, 50, SECOND).await;
    consumer.acker.nack(&leases[..10]).await.expect("gives back");
    assert_eq!(ack(&mut consumer, &leases[10..]).await.len(), 40);
    let again = claim(&mut consumer, 50, SECOND).await;
    assert_eq!(ack(&mut consumer, &again).await, [AckStatus::Acked; 10]);
    assert_eq!(rig.keys().await, ["consumers", "meta"].map(|name| format!("{PREFIX}:{name}")));
    rig.server.stop().await.expect("Valkey ends");
}
