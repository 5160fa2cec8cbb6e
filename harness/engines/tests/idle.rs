//! What a worker costs a server while there is nothing to do is counted, for every queue on a server and every way of waiting.

use std::time::Duration;

use qbench_backends::EngineKind;
use qbench_backends::registry::backends;
use qbench_backends::{BackendConfig, ClientCounters, ServerUrl, Wake, WorkerId};
use qbench_engines::ENGINES;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;

/// Lets one worker of every backend of `engine` wait for nothing, a second for each way of waiting.
async fn idles(engine: EngineKind, url: &ServerUrl) {
    for entry in backends().filter(|entry| entry.engine == engine) {
        let config = BackendConfig {
            url: Some(url.clone()),
            durability: Durability::D1,
            poll_interval: Duration::from_millis(100),
            ..BackendConfig::new(format!("idle_{}", entry.id))
        };
        let backend = entry.open(&config).expect("opens");
        let mut admin = backend.admin().await.expect("connects");
        admin.setup().await.expect("sets up");
        for wake in entry.capabilities(&config.options).expect("no options").wakes {
            let counts = ClientCounters::default();
            let config = BackendConfig { wake: *wake, counters: counts.clone(), ..config.clone() };
            let backend = entry.open(&config).expect("opens");
            let mut consumer = backend.consumer(WorkerId(0)).await.expect("connects");
            let mut leases = Vec::new();
            consumer.claimer.claim(1, Duration::from_secs(1), &mut leases).await.expect("claims");
            let claims = counts.wake().empty_claims;
            consumer.claimer.reclaim(1, &mut leases).await.expect("reclaims");
            let reclaims = counts.wake().empty_claims - claims;
            assert!(leases.is_empty());
            let least = if *wake == Wake::Poll { 2 } else { 1 };
            assert!(claims >= least, "{} by {}: {claims} looks in an idle second", entry.id, wake.name());
            assert_eq!(reclaims, 1, "{} by {}", entry.id, wake.name());
        }
        admin.teardown().await.expect("tears down");
    }
}

#[tokio::test]
async fn idle_workers_are_counted_on_every_server() {
    for engine in ENGINES.iter().filter(|engine| engine.kind().has_server) {
        let started = engine.start(StartOptions::new(Durability::D1)).await.expect("starts");
        let server = started.expect("it has a server");
        idles(engine.kind(), server.url()).await;
        server.stop().await.expect("ends");
    }
}
