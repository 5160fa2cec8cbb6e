//! What tests of several queues do with a backend, its producers and its consumers.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::registry::{self, backends};
use qbench_backends::{
    AckStatus, Admin, Backend, BackendConfig, BackendOptions, Consumer, JobId, Lease, NewJob, Producer, ProducerId,
    WorkerId,
};

/// Opens a backend and sets it up.
pub async fn set_up(id: &str, config: &BackendConfig) -> Arc<dyn Backend> {
    let backend = registry::find(id).expect("registered").open(config).expect("opens");
    admin(&*backend).await.setup().await.expect("sets up");
    backend
}

/// Options as a configuration has them.
pub fn options(pairs: &[(&str, &str)]) -> BackendOptions {
    BackendOptions::new(pairs.iter().copied())
}

/// Every backend on PostgreSQL in every option set, with a name for messages.
pub fn option_sets_on_postgres() -> Vec<(&'static str, String, BackendOptions)> {
    let on_postgres = backends().filter(|entry| entry.engine == qbench_backends::postgres::ENGINE);
    let sets: Vec<_> = on_postgres
        .flat_map(|entry| {
            entry.option_sets().into_iter().map(|(name, options)| (entry.id, format!("{} {name}", entry.id), options))
        })
        .collect();
    assert!(sets.len() >= 6, "there are backends to test");
    sets
}

/// Jobs with a payload of their own.
pub fn jobs(numbers: Range<u64>) -> Vec<NewJob> {
    numbers.map(|job| NewJob { job: JobId(job), payload: Bytes::from_static(b"payload") }).collect()
}

/// The control side.
pub async fn admin(backend: &dyn Backend) -> Box<dyn Admin> {
    backend.admin().await.expect("connects")
}

/// Producer 0.
pub async fn producer(backend: &dyn Backend) -> Box<dyn Producer> {
    backend.producer(ProducerId(0)).await.expect("connects")
}

/// A consumer as worker 0.
pub async fn consumer(backend: &dyn Backend) -> Consumer {
    backend.consumer(WorkerId(0)).await.expect("connects")
}

/// Enqueues [`jobs`] over a producer that ends with this call.
pub async fn enqueue(backend: &dyn Backend, numbers: Range<u64>) {
    let mut producer = producer(backend).await;
    for batch in jobs(numbers).chunks(5_000) {
        producer.enqueue(batch).await.expect("enqueues");
    }
}

/// Claims up to `limit` jobs.
pub async fn claim(consumer: &mut Consumer, limit: u32, wait: Duration) -> Vec<Lease> {
    let mut leases = Vec::new();
    consumer.claimer.claim(limit, wait, &mut leases).await.expect("claims");
    leases
}

/// Acks `leases`; what became of each.
pub async fn ack(consumer: &mut Consumer, leases: &[Lease]) -> Vec<AckStatus> {
    let mut statuses = Vec::new();
    consumer.acker.ack(leases, &mut statuses).await.expect("acks");
    statuses
}

/// Acks leases that must all hold.
pub async fn ack_held(consumer: &mut Consumer, leases: &[Lease]) {
    assert_eq!(ack(consumer, leases).await, vec![AckStatus::Acked; leases.len()]);
}
