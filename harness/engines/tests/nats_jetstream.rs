//! What only `nats_jetstream` states, against a private NATS server: whom the server believes an ack, whose work is kept, what its
//! settings promise, and that nothing of a server or a lock is left.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected stops there.

mod consuming;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consuming::{ack, claim};
use qbench_backends::nats::{Address, connect, read_monitoring};
use qbench_backends::{
    AckStatus, Backend, BackendConfig, Census, Consumer, Depth, ErrorKind, JobId, NewJob, ProducerId, ServerUrl, Wake,
    registry,
};
use qbench_engines::engine::Engine as _;
use qbench_engines::nats::{NatsEngine, NatsServer};
use qbench_engines::services::lock::Taken;
use qbench_engines::services::{GivenServer, Server as _, StartOptions};
use qbench_schema::result::Durability;
use tokio::io::AsyncWriteExt;

const LEASE: Duration = Duration::from_millis(400);
const LEASE_EXPIRED: Duration = Duration::from_millis(600);
const SECOND: Duration = Duration::from_secs(1);

/// A private server with a queue that is set up.
struct Rig {
    server: NatsServer,
    backend: Arc<dyn Backend>,
}

impl Rig {
    async fn start(options: &[(&str, &str)]) -> Self {
        let server = NatsServer::start(StartOptions::new(Durability::D0)).await.expect("NATS starts");
        let config = BackendConfig {
            durability: Durability::D0,
            lease: LEASE,
            wake: Wake::Block,
            options: consuming::options(options),
            ..BackendConfig::new("qbench_test").at(server.url())
        };
        let backend = consuming::set_up("nats_jetstream", &config).await;
        Rig { server, backend }
    }

    async fn enqueue(&self, numbers: std::ops::Range<u64>) {
        let jobs: Vec<NewJob> = numbers.map(|job| new_job(job, 4)).collect();
        consuming::producer(&*self.backend).await.enqueue(&jobs).await.expect("enqueues");
    }

    async fn consumer(&self) -> Consumer {
        consuming::consumer(&*self.backend).await
    }

    async fn depth(&self) -> Depth {
        consuming::admin(&*self.backend).await.depth().await.expect("counts")
    }

    async fn census(&self) -> Census {
        consuming::admin(&*self.backend).await.census().await.expect("counts")
    }
}

fn open(config: &BackendConfig) -> Arc<dyn Backend> {
    registry::find("nats_jetstream").expect("registered").open(config).expect("opens")
}

fn new_job(number: u64, bytes: usize) -> NewJob {
    NewJob { job: JobId(number), payload: Bytes::from(vec![b'x'; bytes]) }
}

/// If this fails with a newer server, the backend can say more than it does (`detects_stale_ack`), and its note is wrong.
#[tokio::test]
async fn the_server_takes_a_late_ack_and_that_of_the_new_holder() {
    let rig = Rig::start(&[]).await;
    let (mut slow, mut heir) = (rig.consumer().await, rig.consumer().await);
    rig.enqueue(7..8).await;
    let old = claim(&mut slow, 1, SECOND).await;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let new = claim(&mut heir, 1, SECOND).await;
    assert_eq!((new[0].job, new[0].attempt), (JobId(7), 2), "an expired job comes by an ordinary claim");
    assert_eq!(ack(&mut slow, &old).await, [AckStatus::Acked]);
    assert_eq!(rig.depth().await, Depth::default(), "the late ack has settled the job");
    assert_eq!(ack(&mut heir, &new).await, [AckStatus::Acked]);
    assert_eq!(rig.census().await.done, Some(1));
    rig.server.stop().await.expect("NATS ends");
}

#[tokio::test]
async fn work_in_progress_keeps_a_job_as_long_as_its_worker_lives() {
    let rig = Rig::start(&[("in_progress", "yes")]).await;
    let (mut busy, mut other) = (rig.consumer().await, rig.consumer().await);
    rig.enqueue(0..3).await;
    let held = claim(&mut busy, 3, SECOND).await;
    assert!(claim(&mut other, 3, 4 * LEASE).await.is_empty(), "a job went to another worker while its own one lived");
    assert_eq!(ack(&mut busy, &held[..1]).await, [AckStatus::Acked]);
    drop(busy);
    let mut came = claim(&mut other, 3, 10 * SECOND).await;
    while came.len() < 2 {
        came.extend(claim(&mut other, 3, 10 * SECOND).await);
    }
    let came: Vec<_> = came.iter().map(|lease| (lease.job, lease.attempt)).collect();
    assert_eq!(came, held[1..].iter().map(|lease| (lease.job, 2)).collect::<Vec<_>>());
    rig.server.stop().await.expect("NATS ends");
}

/// The conformance suite leaves the connections of a library alone, and counts these as such.
#[tokio::test]
async fn connections_that_are_cut_lose_neither_jobs_nor_those_that_are_kept() {
    let rig = Rig::start(&[("in_progress", "yes")]).await;
    let mut consumer = rig.consumer().await;
    let mut other = rig.consumer().await;
    rig.enqueue(0..2).await;
    let held = claim(&mut consumer, 2, SECOND).await;
    let entry = registry::find("nats_jetstream").unwrap();
    let mut probe = entry.engine.probe.connect(rig.server.url()).await.unwrap();
    // Claimer, acker and what tells of work in progress, of two workers.
    assert_eq!(probe.cut_connections("qbench_test").await.unwrap(), 6);
    let mut leases = Vec::new();
    // The first call may find out what has happened.
    if other.claimer.claim(2, 4 * LEASE, &mut leases).await.is_err() {
        other.claimer.claim(2, 4 * LEASE, &mut leases).await.unwrap();
    }
    assert!(leases.is_empty(), "a job went to another worker while its own one lived");
    let mut statuses = Vec::new();
    if consumer.acker.ack(&held, &mut statuses).await.is_err() {
        statuses.clear();
        consumer.acker.ack(&held, &mut statuses).await.unwrap();
    }
    assert_eq!((statuses, rig.census().await.done), (vec![AckStatus::Acked; 2], Some(2)));
    rig.server.stop().await.expect("NATS ends");
}

#[tokio::test]
async fn a_server_that_asks_for_tls_is_refused_before_the_library_tries() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = ServerUrl::new(format!("nats://ann:s3cret@{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"INFO {\"server_id\":\"x\",\"tls_required\":true}\r\n").await;
        }
    });
    let error = connect(&url, "test", SECOND).await.expect_err("there is no TLS here");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("asks for TLS") && !error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn the_monitoring_port_of_another_server_says_nothing_about_this_one() {
    let (server, other) =
        (NatsServer::start(StartOptions::new(Durability::D1)), NatsServer::start(StartOptions::new(Durability::D2)));
    let (server, other) = (server.await.unwrap(), other.await.unwrap());
    let (_, port) = Address::parse(other.url()).unwrap().monitor().map(|(host, port)| (host.to_owned(), port)).unwrap();
    let base = server.url().expose().split('?').next().unwrap().to_owned();
    let mixed = ServerUrl::new(format!("{base}?monitor={port}"));
    let described =
        open(&BackendConfig::new("qbench_test").at(&mixed)).admin().await.unwrap().describe().await.unwrap();
    assert_eq!(described.durability, Durability::D1, "{}", described.settings["durability"]);
    assert!(described.settings["durability"].contains("another server"), "{}", described.settings["durability"]);
    server.stop().await.expect("NATS ends");
    other.stop().await.expect("NATS ends");
}

#[tokio::test]
async fn a_job_that_is_too_large_is_refused_before_it_is_sent() {
    let rig = Rig::start(&[]).await;
    let mut producer = rig.backend.producer(ProducerId(0)).await.unwrap();
    let error = producer.enqueue(&[new_job(0, 4), new_job(1, 9 << 20)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("lower --payload, or raise the max_payload"), "{error}");
    producer.enqueue(&[new_job(2, 7 << 20)]).await.unwrap();
    assert_eq!(rig.depth().await, Depth { ready: 1, in_flight: 0 });
    rig.server.stop().await.expect("NATS ends");
}

/// A reset moves the beginning of the count; what is enqueued after it is counted from there.
#[tokio::test]
async fn the_account_begins_anew_with_a_reset_and_ends_with_every_job_done() {
    let rig = Rig::start(&[]).await;
    let mut consumer = rig.consumer().await;
    rig.enqueue(0..10).await;
    claim(&mut consumer, 4, SECOND).await;
    rig.backend.admin().await.unwrap().reset().await.unwrap();
    rig.enqueue(0..3).await;
    let leases = claim(&mut consumer, 2, SECOND).await;
    ack(&mut consumer, &leases).await;
    let expected = Census { enqueued: Some(3), ready: 1, done: Some(2), ..Census::default() };
    assert_eq!(rig.census().await, expected);
    rig.server.stop().await.expect("NATS ends");
}

#[tokio::test]
async fn the_class_is_read_back_from_the_live_server() {
    for (asked, said) in
        [(Durability::D0, "memory storage"), (Durability::D1, "every 120 s"), (Durability::D2, "sync_interval: always")]
    {
        let server = NatsServer::start(StartOptions::new(asked)).await.unwrap();
        let config = BackendConfig { durability: asked, ..BackendConfig::new("qbench_test").at(server.url()) };
        let described = open(&config).admin().await.unwrap().describe().await.unwrap();
        assert_eq!(described.durability, asked);
        assert!(described.settings["durability"].contains(said), "{asked:?}: {}", described.settings["durability"]);
        assert_eq!(described.version, server.version().to_string());
        assert!(!described.settings.contains_key("consumer.ack_wait"), "there is no consumer yet");
        let tells_the_interval = described.notes.iter().any(|note| note.contains("every 120 s"));
        assert_eq!(tells_the_interval, asked == Durability::D1, "beside the figures of D1: {:?}", described.notes);

        // Without the monitoring port, files may or may not be synced.
        let silent = ServerUrl::new(server.url().expose().split('?').next().unwrap());
        let config = BackendConfig { url: Some(silent), ..config };
        let described = open(&config).admin().await.unwrap().describe().await.unwrap();
        assert_eq!(described.durability, asked.min(Durability::D1));
        server.stop().await.expect("NATS ends");
    }
}

/// Processes that have `password` in their arguments, and files under `folder` other than the configuration that hold it.
fn places_of(password: &str, folder: &std::path::Path) -> Vec<String> {
    let holds =
        |path: &std::path::Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).contains(password);
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path().join("cmdline"));
    let files = fs::read_dir(folder).unwrap().flatten().map(|file| file.path());
    let files = files.filter(|file| file.extension().is_none_or(|extension| extension != "conf"));
    processes.chain(files).filter(|path| holds(path)).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn it_starts_answers_keeps_its_password_and_leaves_nothing() {
    let base = tempfile::Builder::new().prefix("qbench-test-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let options = StartOptions { base_dir: Some(base.path().to_owned()), ..StartOptions::new(Durability::D1) };
    let server = NatsServer::start(options).await.unwrap();

    let varz = read_monitoring(&Address::parse(server.url()).unwrap(), "/varz", SECOND).await.unwrap();
    assert_eq!(varz["version"], server.version().to_string());
    assert!(varz["host"] == "127.0.0.1" && varz["http_host"] == "127.0.0.1", "it listens elsewhere: {varz}");
    assert!(fs::read_link(format!("/proc/{}/cwd", server.pid())).unwrap().starts_with(base.path()));

    let given = GivenServer::new(server.url().clone(), NatsEngine.process_of(server.url())).await;
    assert_eq!(given.pid(), Ok(server.pid()), "a given server is found by the port that it listens on");

    let user_info = server.url().expose().split('@').next().unwrap();
    let password = user_info.rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(password.len(), 32);
    assert!(!server.url().to_string().contains(&password));
    let folder = server.data_dir().parent().unwrap().to_owned();
    assert_eq!(places_of(&password, &folder), Vec::<String>::new());
    for file in fs::read_dir(&folder).unwrap().flatten().filter(|file| file.path().is_file()) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", file.path().display());
    }
    let wrong = ServerUrl::new(server.url().expose().replace(&password, "wrong"));
    let error = connect(&wrong, "test", SECOND).await.expect_err("a wrong password was accepted");
    assert!(error.to_string().contains("refuses the user name or password"), "{error}");

    let pid = server.pid();
    server.stop().await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "something of the server is left");
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused_with_what_to_do() {
    let server = NatsServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    // The system account has none.
    let url = ServerUrl::new(server.url().expose().replacen("qbench:", "system:", 1));
    let error = open(&BackendConfig::new("qbench_test").at(&url)).admin().await.unwrap().setup().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("JetStream"), "{error}");
    server.stop().await.expect("NATS ends");
}

#[tokio::test]
async fn one_run_at_a_time_has_the_lock_and_nothing_of_it_is_left() {
    let server = NatsServer::start(StartOptions::new(Durability::D0)).await.unwrap();
    let take = async |namespace: &str| NatsEngine.try_lock(server.url(), namespace).await.unwrap();
    let Taken::Ours(lock) = take("a").await else { panic!("a free lock was not to be had") };
    let Taken::Other(holder) = take("a").await else { panic!("two runs have one lock") };
    assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    let Taken::Ours(beside) = take("b").await else { panic!("the lock of another namespace was in the way") };
    lock.unlock().await;
    let Taken::Ours(again) = take("a").await else { panic!("a lock that was released is still there") };
    again.unlock().await;
    beside.unlock().await;
    let address = Address::parse(server.url()).unwrap();
    assert_eq!(read_monitoring(&address, "/jsz", SECOND).await.unwrap()["streams"], 0, "a stream of the lock is left");
    server.stop().await.expect("NATS ends");
}
