//! Reset and setup leave nothing of earlier jobs, and a queue that works.

use super::stage::{
    Checked, Knobs, LEASE_EXPIRED, Queue, Stage, ack, claim, drain, ensure_empty, ensure_exactly, ensure_stale, jobs,
    numbers, reclaim,
};
use crate::seam::{AckStatus, Depth};

cases! {
    "reset.leaves_nothing", leaves_nothing(), [],
    "After a reset no earlier job is counted, claimed or reclaimed, whatever state it was in.";
    "reset.makes_old_leases_stale", makes_old_leases_stale(), [StaleAck, SeveralClaims],
    "An ack of a lease from before a reset is stale, even when jobs of the same numbers are there again.";
    "reset.leaves_a_working_queue", leaves_a_working_queue(), [],
    "After a reset, connections opened before it go on working, with job numbers that were used before.";
    "reset.setup_replaces_an_earlier_run", setup_replaces(), [],
    "Setup over what an earlier run of ours left makes an empty queue.";
}

/// Puts jobs into every state: done, vanished with their consumer, in flight and ready.
async fn leave_jobs_behind(queue: &mut Queue) -> Checked {
    queue.enqueue(&jobs(0..20)).await?;
    let mut consumer = queue.consumer().await?;
    drain(&mut consumer, 3, 1).await?;
    let held = claim(&mut consumer, 5, super::stage::PATIENCE).await?;
    ensure!(!held.is_empty(), "nothing could be claimed")
}

async fn ensure_nothing_is_left(queue: &mut Queue) -> Checked {
    let depth = queue.admin.depth().await?;
    ensure!(depth == Depth::default(), "depth is {depth:?}")?;
    let census = queue.admin.census().await?;
    let counted =
        census.ready + census.in_flight + census.dead + census.done.unwrap_or(0) + census.enqueued.unwrap_or(0);
    ensure!(counted == 0, "the census is {census:?}")?;
    let mut consumer = queue.consumer().await?;
    ensure_empty(&mut consumer).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let taken = reclaim(&mut consumer, 10).await?;
    ensure!(taken.is_empty(), "jobs {:?} were reclaimed", numbers(&taken))
}

async fn leaves_nothing(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::short_lease()).await?;
    leave_jobs_behind(&mut queue).await?;
    queue.admin.reset().await?;
    ensure_nothing_is_left(&mut queue).await
}

async fn makes_old_leases_stale(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let old = queue.claim_new(1, &mut consumer).await?;
    queue.admin.reset().await?;
    ensure_stale(&mut consumer, std::slice::from_ref(&old), "an ack from before the reset was accepted").await?;
    let new = queue.claim_new(1, &mut consumer).await?;
    ensure_stale(&mut consumer, &[old], "an old lease settled a new job of the same number").await?;
    let statuses = ack(&mut consumer, &[new]).await?;
    ensure!(statuses == [AckStatus::Acked], "a job enqueued after the reset could not be acked")
}

async fn leaves_a_working_queue(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut producer = queue.producer().await?;
    let mut consumer = queue.consumer().await?;
    for _ in 0..2 {
        producer.enqueue(&jobs(0..10)).await?;
        drain(&mut consumer, 4, 1).await?;
        queue.admin.reset().await?;
    }
    producer.enqueue(&jobs(0..10)).await?;
    let done = drain(&mut consumer, 10, 3).await?;
    ensure_exactly(&done, 0..10)?;
    ensure_empty(&mut consumer).await
}

async fn setup_replaces(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::short_lease()).await?;
    leave_jobs_behind(&mut queue).await?;
    queue.backend.admin().await?.setup().await?;
    ensure_nothing_is_left(&mut queue).await?;
    queue.enqueue(&jobs(0..5)).await?;
    let mut consumer = queue.consumer().await?;
    let done = drain(&mut consumer, 5, 5).await?;
    ensure_exactly(&done, 0..5)
}
