//! An ack that got no answer: it may have happened or not, and what its retry says is true in both cases, for every backend
//! with a server. The answer, or the request itself, is lost by a proxy between the worker and a private server.

mod consuming;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use qbench_backends::registry::backends;
use qbench_backends::{
    AckStatus, Admin, BackendConfig, BackendOptions, Consumer, EngineKind, Entry, ErrorKind, Lease, Recovery, ServerUrl,
};
use qbench_engines::ENGINES;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a proxy loses next, of the request that makes an ack happen; the connection that it happens on ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Nothing,
    Request,
    Answer,
}

/// Stands between a backend and its server.
struct Proxy {
    address: String,
    loses: Arc<AtomicU8>,
}

impl Proxy {
    /// Before `server`. Losses wait for a request in which `text` stands.
    async fn before(server: String, text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let loses = Arc::new(AtomicU8::new(Loss::Nothing as u8));
        let shared = Arc::clone(&loses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server is there");
                tokio::spawn(carry(client, server, text.as_bytes(), Arc::clone(&shared)));
            }
        });
        Proxy { address, loses }
    }

    fn lose(&self, loss: Loss) {
        self.loses.store(loss as u8, Ordering::SeqCst);
    }

    /// Whether what was to be lost has been lost.
    fn has_lost(&self) -> bool {
        self.loses.load(Ordering::SeqCst) == Loss::Nothing as u8
    }
}

/// Carries bytes both ways until an end closes, or until something is to be lost.
async fn carry(mut client: TcpStream, mut server: TcpStream, text: &[u8], loses: Arc<AtomicU8>) {
    let lost = |loss: Loss| {
        loses.compare_exchange(loss as u8, Loss::Nothing as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    };
    let has_text = |request: &[u8]| text.is_empty() || request.windows(text.len()).any(|part| part == text);
    let (mut request, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_the_one = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => match read {
                Ok(length) if length > 0 => {
                    is_the_one = has_text(&request[..length]);
                    if is_the_one && lost(Loss::Request) { return }
                    if server.write_all(&request[..length]).await.is_err() { return }
                }
                _ => return,
            },
            read = server.read(&mut answer) => match read {
                Ok(length) if length > 0 && !(is_the_one && lost(Loss::Answer)) => {
                    if client.write_all(&answer[..length]).await.is_err() { return }
                }
                _ => return,
            },
        }
    }
}

fn config(url: ServerUrl, options: BackendOptions) -> BackendConfig {
    BackendConfig {
        url: Some(url),
        durability: Durability::D1,
        lease: Duration::from_secs(60),
        options,
        ..BackendConfig::new("qbench_test")
    }
}

async fn claim(consumer: &mut Consumer, limit: u32) -> Vec<Lease> {
    let leases = consuming::claim(consumer, limit, Duration::from_secs(20)).await;
    assert!(!leases.is_empty(), "a job is there");
    leases
}

/// A lease whose ack is one request (or whose commit is): another lease of the same claim, which comes from the same table, was acked on this
/// connection before, so that the statement is prepared. Counts the acks that this took.
async fn claim_prepared(consumer: &mut Consumer, most: u32, acked: &mut u64) -> Lease {
    loop {
        let mut leases = claim(consumer, most.min(2)).await;
        let last = leases.pop().expect("at least one");
        if most > 1 && leases.is_empty() {
            assert_eq!(ack(consumer, &last).await.expect("answered"), AckStatus::Acked);
            *acked += 1;
            continue;
        }
        for lease in leases {
            assert_eq!(ack(consumer, &lease).await.expect("answered"), AckStatus::Acked);
            *acked += 1;
        }
        return last;
    }
}

async fn ack(consumer: &mut Consumer, lease: &Lease) -> qbench_backends::Result<AckStatus> {
    let mut statuses = Vec::new();
    consumer.acker.ack(std::slice::from_ref(lease), &mut statuses).await?;
    assert_eq!(statuses.len(), 1);
    Ok(statuses[0])
}

async fn done(admin: &mut dyn Admin) -> u64 {
    admin.census().await.expect("counts").done.expect("tells what is done")
}

/// Acks with the loss, and again; returns what the retry says.
async fn ack_twice(name: &str, proxy: &Proxy, loss: Loss, consumer: &mut Consumer, lease: &Lease) -> AckStatus {
    proxy.lose(loss);
    let error = ack(consumer, lease).await.expect_err("no answer can come");
    assert!(proxy.has_lost(), "{name}");
    assert_eq!(error.kind(), ErrorKind::Unknown, "{name}: {error}");
    ack(consumer, lease).await.expect("works again")
}

async fn retries_tell_the_truth(entry: &'static Entry, url: &ServerUrl, server: String) {
    // An ack is one request, but for the design whose ack is a transaction of several.
    let proxy = Proxy::before(server.clone(), if entry.id == "advisory_lock" { "COMMIT" } else { "" }).await;
    let through_proxy = ServerUrl::new(url.expose().replace(&server, &proxy.address));
    for (option_set, options) in entry.option_sets() {
        let name = format!("{} {option_set}", entry.id);
        let capabilities = entry.capabilities(&options).expect("valid options");
        let direct = entry.open(&config(url.clone(), options.clone())).expect("opens");
        let mut admin = consuming::admin(&*direct).await;
        admin.setup().await.expect("sets up");
        consuming::enqueue(&*direct, 0..200).await;

        let backend = entry.open(&config(through_proxy.clone(), options)).expect("opens");
        let mut consumer = consuming::consumer(&*backend).await;
        let most = capabilities.max_claim_batch.get();
        let mut acked = 0;

        // It had happened: the retry must not make it happen again, and must not claim that it did, where the server can tell.
        let lease = claim_prepared(&mut consumer, most, &mut acked).await;
        let retry = ack_twice(&name, &proxy, Loss::Answer, &mut consumer, &lease).await;
        let told = if capabilities.believes_every_ack() { AckStatus::Acked } else { AckStatus::Stale };
        assert_eq!(retry, told, "{name}: the ack had happened");
        acked += 1;
        assert_eq!(done(admin.as_mut()).await, acked, "{name}");

        // It had not happened: either the retry does it, or it says that the job is somebody else's now.
        let lease = claim_prepared(&mut consumer, most, &mut acked).await;
        let retry = ack_twice(&name, &proxy, Loss::Request, &mut consumer, &lease).await;
        if capabilities.recovery == Recovery::ConnectionLoss {
            assert_eq!(retry, AckStatus::Stale, "{name}: the lease went with its connection");
            assert_eq!(done(admin.as_mut()).await, acked, "{name}");
            let again = claim(&mut consumer, 1).await;
            assert_eq!(again[0].job, lease.job, "{name}");
            assert_eq!(ack(&mut consumer, &again[0]).await.expect("answered"), AckStatus::Acked, "{name}");
        } else {
            assert_eq!(retry, AckStatus::Acked, "{name}: the ack had not happened");
        }
        acked += 1;
        assert_eq!(done(admin.as_mut()).await, acked, "{name}");
        admin.teardown().await.expect("removes it");
    }
}

fn backends_on(engine: EngineKind) -> impl Iterator<Item = &'static Entry> {
    let backends = backends().filter(move |entry| entry.engine == engine);
    assert!(backends.clone().count() > 0);
    backends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_ack_tells_the_truth_on_every_server() {
    for engine in ENGINES.iter().filter(|engine| engine.kind().has_server) {
        let started = engine.start(StartOptions::new(Durability::D1)).await.expect("starts");
        let server = started.expect("it has a server");
        for entry in backends_on(engine.kind()) {
            retries_tell_the_truth(entry, server.url(), server.address()).await;
        }
        server.stop().await.expect("ends");
    }
}
