//! The floor must not measure the allocator: `null` allocates per call (the boxed future of the seam), never per job.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{AckStatus, JobId, Lease, NewJob, ProducerId, WorkerId, registry};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are those of `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of one enqueue, claim and ack of `batch` jobs, once every buffer has grown.
async fn allocations_per_round(batch: usize) -> f64 {
    const ROUNDS: u64 = 1_000;
    let backend = registry::find("null").expect("registered").open(&common::in_process()).expect("opens");
    let mut producer = backend.producer(ProducerId(0)).await.expect("opens");
    let mut consumer = backend.consumer(WorkerId(0)).await.expect("opens");
    let payload = Bytes::from(vec![7; 512]);
    let jobs: Vec<NewJob> = (0..batch as u64).map(|job| NewJob { job: JobId(job), payload: payload.clone() }).collect();
    let mut leases: Vec<Lease> = Vec::new();
    let mut statuses: Vec<AckStatus> = Vec::new();
    let mut before = 0;
    for round in 0..=ROUNDS {
        if round == 1 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        leases.clear();
        statuses.clear();
        producer.enqueue(&jobs).await.expect("enqueues");
        consumer.claimer.claim(batch as u32, Duration::from_secs(1), &mut leases).await.expect("claims");
        assert_eq!(leases.len(), batch);
        consumer.acker.ack(&leases, &mut statuses).await.expect("acks");
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / ROUNDS as f64
}

#[tokio::test]
async fn a_batch_costs_no_more_allocations_than_a_job() {
    let one = allocations_per_round(1).await;
    let thousand = allocations_per_round(1_000).await;
    println!("allocations per enqueue + claim + ack: {one} for 1 job, {thousand} for 1,000 jobs");
    assert!(one <= 3.1, "one boxed future per call, but {one} allocations for three calls");
    assert!(thousand <= 3.1, "{thousand} allocations for 1,000 jobs");
}
