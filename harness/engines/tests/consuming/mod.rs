//! What tests of several queues do with a consumer.

use std::time::Duration;

use qbench_backends::{AckStatus, Consumer, Lease};

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
