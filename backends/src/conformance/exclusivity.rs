//! Many consumers at once: every job goes to one of them, and to one only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::stage::{BREATH, Checked, Failure, Knobs, PATIENCE, Stage, jobs};
use crate::error::ErrorKind;
use crate::job::{Lease, ProducerId, WorkerId};
use crate::seam::{AckStatus, Consumer};
use crate::sync::lock;

cases! {
    "exclusivity.no_job_to_two_live_consumers", no_job_twice(), [],
    "While many consumers claim and acknowledge at once, no job is delivered to two of them.";
    "exclusivity.no_job_is_lost", no_job_lost(), [],
    "While many consumers claim and acknowledge at once, every job reaches one of them.";
    "exclusivity.claims_keep_their_limit", limits_kept(), [],
    "While many consumers claim at once, no claim returns more than its limit (METHODOLOGY A5).";
    "exclusivity.good_acks_hold", acks_hold(), [],
    "While many consumers acknowledge at once, no ack of a live lease is called stale.";
}

const CONSUMERS: u32 = 8;
const PRODUCERS: u32 = 2;
const JOBS: u64 = 2_000;
/// Small enough that claims meet often, and odd, so that batches do not line up with anything.
const LIMIT: u32 = 7;

/// What many consumers saw together.
#[derive(Default)]
struct Seen {
    deliveries: HashMap<u64, u32>,
    /// Sizes of claims that exceeded their limit.
    too_large: Vec<usize>,
    stale_acks: usize,
}

/// What became of `leases`. A queue may reject an ack while others ack as well (a deadlock, for instance): nothing has
/// happened then, and trying again is what a worker does.
async fn ack_again_where_rejected(consumer: &mut Consumer, leases: &[Lease]) -> Checked<Vec<AckStatus>> {
    let start = Instant::now();
    loop {
        let mut statuses = Vec::new();
        match consumer.acker.ack(leases, &mut statuses).await {
            Err(error) if error.kind() == ErrorKind::Rejected && start.elapsed() < PATIENCE => {}
            answer => return answer.map(|()| statuses).map_err(Failure::from),
        }
    }
}

/// Lets producers and consumers loose on one queue until every job was delivered or nothing came for a while.
async fn churn(stage: &Stage) -> Checked<Seen> {
    let queue = stage.set_up(Knobs { workers: CONSUMERS, ..Knobs::default() }).await?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut tasks = JoinSet::new();
    for number in 0..CONSUMERS {
        let mut consumer = queue.backend.consumer(WorkerId(number)).await?;
        let seen = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut last_job = Instant::now();
            loop {
                let mut leases = Vec::new();
                consumer.claimer.claim(LIMIT, Duration::from_millis(100), &mut leases).await?;
                let delivered = {
                    let mut seen = lock(&seen);
                    for lease in &leases {
                        *seen.deliveries.entry(lease.job.0).or_default() += 1;
                    }
                    if leases.len() > LIMIT as usize {
                        seen.too_large.push(leases.len());
                    }
                    seen.deliveries.len() as u64
                };
                if !leases.is_empty() {
                    last_job = Instant::now();
                    // Holds the leases for a moment, so that other consumers meet jobs in flight.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let statuses = ack_again_where_rejected(&mut consumer, &leases).await?;
                    let stale = statuses.iter().filter(|status| **status == AckStatus::Stale).count();
                    lock(&seen).stale_acks += stale;
                } else if delivered == JOBS || last_job.elapsed() > PATIENCE {
                    return Checked::Ok(());
                } else {
                    tokio::time::sleep(BREATH).await;
                }
            }
        });
    }
    for number in 0..PRODUCERS {
        let mut producer = queue.backend.producer(ProducerId(number)).await?;
        let share = JOBS / u64::from(PRODUCERS);
        let first = u64::from(number) * share;
        let batch = 20.min(queue.capabilities.max_enqueue_batch.get() as usize);
        tasks.spawn(async move {
            for jobs in jobs(first..first + share).chunks(batch) {
                producer.enqueue(jobs).await?;
            }
            Checked::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let mut seen = lock(&seen);
    Ok(std::mem::take(&mut *seen))
}

async fn no_job_twice(stage: Stage) -> Checked {
    let seen = churn(&stage).await?;
    let doubled = seen.deliveries.values().filter(|deliveries| **deliveries > 1).count();
    ensure!(doubled == 0, "{doubled} of {JOBS} jobs were delivered more than once among {CONSUMERS} consumers")
}

async fn no_job_lost(stage: Stage) -> Checked {
    let delivered = churn(&stage).await?.deliveries.len() as u64;
    ensure!(delivered == JOBS, "{delivered} of {JOBS} jobs were delivered among {CONSUMERS} consumers")
}

async fn limits_kept(stage: Stage) -> Checked {
    let too_large = churn(&stage).await?.too_large;
    ensure!(too_large.is_empty(), "claims of at most {LIMIT} gave more: {too_large:?}")
}

async fn acks_hold(stage: Stage) -> Checked {
    let stale = churn(&stage).await?.stale_acks;
    ensure!(stale == 0, "{stale} acks of live leases were called stale")
}
