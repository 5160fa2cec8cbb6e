//! Every backend that needs a server passes the conformance suite against a private one, in each of its option sets.

use std::collections::BTreeSet;
use std::time::Duration;

use qbench_backends::conformance::{self, Outcome, Progress};
use qbench_backends::registry::{self, BACKENDS, EngineKind};
use qbench_backends::{BackendConfig, BackendOptions, ServerUrl, Wake};
use qbench_harness::services::{PostgresOptions, PostgresServer, ValkeyOptions, ValkeyServer};
use qbench_schema::result::Durability;

/// The class of the private servers. Any would do: conformance is about what a queue does while nothing crashes.
const DURABILITY: Durability = Durability::D1;

/// Backend and option set of each test below.
const TESTED: &[(&str, &str)] = &[
    ("skip_locked", ""),
    ("delete_returning", ""),
    ("delete_returning", "commit=ack"),
    ("partitioned", ""),
    ("partitioned", "steal=true"),
    ("valkey_streams", ""),
    ("valkey_streams", "delete=trim"),
    ("valkey_streams", "delete=none"),
];

/// Starts the server that the backend needs, and holds the backend to every case that applies.
async fn conforms(id: &str, option_set: &str) {
    match registry::find(id).expect("registered").engine {
        EngineKind::Postgres => {
            let server = PostgresServer::start(PostgresOptions::new(DURABILITY)).await.expect("PostgreSQL starts");
            check(id, option_set, server.url()).await;
            server.stop().await.expect("PostgreSQL ends");
        }
        EngineKind::Valkey => {
            let server = ValkeyServer::start(ValkeyOptions::new(DURABILITY)).await.expect("Valkey starts");
            check(id, option_set, server.url()).await;
            server.stop().await.expect("Valkey ends");
        }
        EngineKind::InProcess => unreachable!("tested beside the suite itself"),
    }
}

async fn check(id: &str, option_set: &str, url: &ServerUrl) {
    let entry = registry::find(id).expect("registered");
    let (_, options) = entry.option_sets().into_iter().find(|(name, _)| name == option_set).expect("an option set");
    let report = conformance::run(entry, &config(url, options), "", |progress| {
        if let Progress::Ended(result) = progress
            && !matches!(result.outcome, Outcome::NotApplicable(_))
        {
            println!("{:>6.2} s  {}  {:?}", result.took.as_secs_f64(), result.name, result.outcome);
        }
    })
    .await
    .expect("opens");
    println!("{option_set} {report}");
    report.verdict().expect("conforms");
}

fn config(url: &ServerUrl, options: BackendOptions) -> BackendConfig {
    BackendConfig {
        url: Some(url.clone()),
        namespace: "qbench_conformance".to_owned(),
        durability: DURABILITY,
        lease: Duration::from_secs(30),
        // The one way that every backend knows; each case sets what it is about.
        wake: Wake::Poll,
        poll_interval: Duration::from_millis(10),
        workers: 1,
        timeout: Duration::from_secs(10),
        options,
    }
}

#[test]
fn every_option_set_of_every_backend_with_a_server_is_tested() {
    let declared: BTreeSet<(&str, String)> = BACKENDS
        .iter()
        .filter(|entry| entry.engine != EngineKind::InProcess)
        .flat_map(|entry| entry.option_sets().into_iter().map(|(name, _)| (entry.id, name)))
        .collect();
    let tested = TESTED.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
    assert_eq!(declared, tested);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn skip_locked() {
    conforms(TESTED[0].0, TESTED[0].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn delete_returning() {
    conforms(TESTED[1].0, TESTED[1].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn delete_returning_commit_ack() {
    conforms(TESTED[2].0, TESTED[2].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitioned() {
    conforms(TESTED[3].0, TESTED[3].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitioned_steal() {
    conforms(TESTED[4].0, TESTED[4].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn valkey_streams() {
    conforms(TESTED[5].0, TESTED[5].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn valkey_streams_delete_trim() {
    conforms(TESTED[6].0, TESTED[6].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn valkey_streams_delete_none() {
    conforms(TESTED[7].0, TESTED[7].1).await;
}
