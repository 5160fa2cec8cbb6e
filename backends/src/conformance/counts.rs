//! Depth and census tell the truth.

use super::stage::{Checked, Knobs, Queue, Stage, ack_held, claim_all, drain, jobs};
use crate::seam::{Census, Depth};

cases! {
    "counts.depth_sees_ready_jobs", depth_sees_ready(), [],
    "Depth counts the jobs that wait, up with enqueues and down to zero with acks.";
    "counts.depth_sees_jobs_in_flight", depth_sees_in_flight(), [InFlight, SeveralClaims],
    "Depth moves a job from ready to in flight when it is claimed, and out of it when it is acked.";
    "counts.depth_of_a_large_backlog", depth_of_a_large_backlog(), [],
    "Depth is right within 5 % for a backlog of tens of thousands, and 0 only when the last job is done.";
    "counts.census_accounts_for_every_job", census_accounts(), [],
    "The census finds every job in the state that it is in, before, amid and after the work.";
    "counts.census_counts_a_nacked_job_once", census_after_nack(), [Nack],
    "A job that was given back is still one job to census and depth: ready, or in flight where that is stated.";
}

async fn ensure_depth(queue: &mut Queue, ready: u64, in_flight: u64) -> Checked {
    let expected = Depth { ready, in_flight };
    let depth = queue.admin.depth().await?;
    ensure!(depth == expected, "depth is {depth:?}, but should be {expected:?}")
}

/// Compares what the census can tell.
async fn ensure_census(queue: &mut Queue, ready: u64, in_flight: u64, done: u64) -> Checked {
    let census = queue.admin.census().await?;
    let expected = Census {
        enqueued: census.enqueued.map(|_| ready + in_flight + done),
        ready,
        in_flight,
        done: census.done.map(|_| done),
        dead: 0,
        partitions: census.partitions.clone(),
    };
    ensure!(census == expected, "the census is {census:?}, but should be {expected:?}")?;
    let in_partitions: u64 = census.partitions.iter().map(|share| share.enqueued).sum();
    ensure!(
        census.partitions.is_empty() || Some(in_partitions) == census.enqueued,
        "the partitions have {in_partitions} jobs together, but the census is {census:?}"
    )
}

async fn depth_sees_ready(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    ensure_depth(&mut queue, 0, 0).await?;
    queue.enqueue(&jobs(0..10)).await?;
    ensure_depth(&mut queue, 10, 0).await?;
    queue.enqueue(&jobs(10..15)).await?;
    ensure_depth(&mut queue, 15, 0).await?;
    drain(&mut consumer, 15, 4).await?;
    ensure_depth(&mut queue, 0, 0).await
}

async fn depth_sees_in_flight(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..10)).await?;
    let held = claim_all(&mut consumer, 6).await?;
    ensure_depth(&mut queue, 4, 6).await?;
    ack_held(&mut consumer, &held[..2]).await?;
    ensure_depth(&mut queue, 4, 4).await?;
    ack_held(&mut consumer, &held[2..]).await?;
    ensure_depth(&mut queue, 4, 0).await
}

/// Empties a large backlog and compares the depth with what must be left. That is asked with nothing in flight.
async fn depth_of_a_large_backlog(stage: Stage) -> Checked {
    const JOBS: u64 = 30_000;
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut producer = queue.producer().await?;
    let mut consumer = queue.consumer().await?;
    let capabilities = queue.capabilities.clone();
    let all = jobs(0..JOBS);
    for batch in all.chunks(capabilities.max_enqueue_batch.get().min(2_000) as usize) {
        producer.enqueue(batch).await?;
    }
    // A few jobs at a time, thousands of them take long and tell nothing more.
    let (limit, last) = match capabilities.max_claim_batch.get() {
        few @ ..1_000 => (few, JOBS - u64::from(few).saturating_mul(20).clamp(200, JOBS)),
        _ => (1_000, 0),
    };
    let mut left = JOBS;
    while left > last {
        let depth = queue.admin.depth().await?;
        let off = depth.ready.abs_diff(left);
        ensure!(off * 20 <= left && depth.in_flight == 0, "{left} jobs wait, but depth is {depth:?}")?;
        // Steps that get smaller towards the end, where zero must be told from one.
        let step = (left / 2).clamp(1, 5_000).min(left - last);
        left -= drain(&mut consumer, step as usize, limit.min(step as u32)).await?.len() as u64;
    }
    if last == 0 { ensure_depth(&mut queue, 0, 0).await } else { Ok(()) }
}

async fn census_accounts(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    ensure_census(&mut queue, 0, 0, 0).await?;
    queue.enqueue(&jobs(0..10)).await?;
    ensure_census(&mut queue, 10, 0, 0).await?;
    drain(&mut consumer, 3, 1).await?;
    ensure_census(&mut queue, 7, 0, 3).await?;
    if queue.capabilities.sees_in_flight && !queue.capabilities.one_claim_at_a_time {
        let held = claim_all(&mut consumer, 2).await?;
        ensure_census(&mut queue, 5, 2, 3).await?;
        ack_held(&mut consumer, &held).await?;
        drain(&mut consumer, 5, 10).await?;
    } else {
        drain(&mut consumer, 7, 10).await?;
    }
    ensure_census(&mut queue, 0, 0, 10).await
}

async fn census_after_nack(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(0, &mut consumer).await?;
    consumer.acker.nack(&[lease]).await?;
    let (ready, in_flight) = if queue.capabilities.counts_returned_as_ready { (1, 0) } else { (0, 1) };
    ensure_census(&mut queue, ready, in_flight, 0).await?;
    ensure_depth(&mut queue, ready, in_flight).await?;
    drain(&mut consumer, 1, 1).await?;
    ensure_census(&mut queue, 0, 0, 1).await
}
