//! Enqueue, claim, ack: the way that every job goes.

use super::stage::{Checked, Knobs, Stage, ack_held, drain, ensure_empty, ensure_exactly, ensure_intact, jobs};

cases! {
    "round_trip.one_job", one_job(), [],
    "A job that was enqueued is claimed with its number and payload, and acked.";
    "round_trip.every_job_once", every_job_once(), [],
    "Every job that was enqueued is delivered, and none twice.";
    "round_trip.numbers_are_the_harness_s", numbers_are_kept(), [],
    "A job keeps its number, however large, and numbers may come in any order and with gaps.";
}

async fn one_job(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(7, &mut consumer).await?;
    ensure!(lease.job.0 == 7, "job 7 came back as job {}", lease.job.0)?;
    ensure_intact(&lease)?;
    ensure!(lease.attempt == 1, "the first delivery was called attempt {}", lease.attempt)?;
    ack_held(&mut consumer, &[lease]).await?;
    ensure_empty(&mut consumer).await
}

async fn every_job_once(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..500)).await?;
    let done = drain(&mut consumer, 500, 50).await?;
    ensure_exactly(&done, 0..500)?;
    ensure_empty(&mut consumer).await
}

async fn numbers_are_kept(stage: Stage) -> Checked {
    // The largest signed 64-bit number: SQL has no unsigned integers, and no run comes near it.
    let given = [i64::MAX as u64, 0, 4_294_967_296, 12];
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&given.map(super::stage::job)).await?;
    let done = drain(&mut consumer, given.len(), 10).await?;
    let mut came = super::stage::numbers(&done);
    let mut expected = given.to_vec();
    came.sort_unstable();
    expected.sort_unstable();
    ensure!(came == expected, "jobs {expected:?} came back as {came:?}")?;
    done.iter().try_for_each(ensure_intact)
}
