//! Jobs whose work failed.

use std::slice;

use super::stage::{
    Checked, Knobs, LEASE_EXPIRED, Stage, ack, ack_held, claim_all, ensure_empty, ensure_refused, jobs, reclaim,
    reclaim_one,
};
use crate::error::ErrorKind;
use crate::job::Lease;
use crate::seam::{AckStatus, Consumer, WorkResult};

cases! {
    "failures.failed_jobs_are_dead", failed_are_dead(), [RecordsFailures, SeveralClaims],
    "Of a batch in which some jobs failed, those are dead and the others done, for the census to the last job.";
    "failures.failed_job_stays_away", stays_away(), [RecordsFailures, LeaseExpiry],
    "A job that was acked as failed is not delivered again, not even after its lease.";
    "failures.answers_in_order", answers_in_order(), [RecordsFailures, StaleAck, SeveralClaims],
    "An ack of failed and other jobs, some of them settled before, answers for each lease in its place.";
    "failures.stale_failure_is_left_alone", stale_is_left_alone(), [RecordsFailures, StaleAck, LeaseExpiry],
    "A failure told by a holder whose lease had passed on is stale, and the new holder can still complete the job.";
    "failures.refused_where_not_supported", refused(), [NoFailures],
    "A backend that cannot record failures refuses them as a configuration error, and settles nothing.";
}

/// What became of `leases`.
async fn ack_results(consumer: &mut Consumer, leases: &[Lease], results: &[WorkResult]) -> Checked<Vec<AckStatus>> {
    let mut statuses = Vec::new();
    consumer.acker.ack_results(leases, results, &mut statuses).await?;
    ensure!(statuses.len() == leases.len(), "an ack of {} results gave {} statuses", leases.len(), statuses.len())?;
    Ok(statuses)
}

/// Every third of `count` jobs fails.
fn every_third_fails(count: usize) -> Vec<WorkResult> {
    (0..count).map(|at| if at % 3 == 0 { WorkResult::Failed } else { WorkResult::Succeeded }).collect()
}

async fn failed_are_dead(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..12)).await?;
    // A redelivered job among others, where that can be: then the batch has several attempts, too.
    if queue.capabilities.nack {
        let first = claim_all(&mut consumer, 1).await?;
        consumer.acker.nack(&first).await?;
    }
    let held = claim_all(&mut consumer, 10).await?;
    let step = queue.capabilities.max_ack_batch.get().min(10) as usize;
    for (leases, results) in held.chunks(step).zip(every_third_fails(10).chunks(step)) {
        let statuses = ack_results(&mut consumer, leases, results).await?;
        ensure!(!statuses.contains(&AckStatus::Stale), "acks of live leases gave {statuses:?}")?;
    }
    let census = queue.admin.census().await?;
    let as_it_is = census.dead == 4
        && census.done.is_none_or(|done| done == 6)
        && census.enqueued.is_none_or(|enqueued| enqueued == 12)
        && (census.ready, census.in_flight) == (2, 0);
    ensure!(as_it_is, "4 jobs failed, 6 are done and 2 wait, but the census is {census:?}")?;
    let depth = queue.admin.depth().await?;
    ensure!((depth.ready, depth.in_flight) == (2, 0), "2 jobs wait, but depth is {depth:?}")
}

async fn stays_away(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let lease = queue.claim_new(3, &mut consumer).await?;
    ack_results(&mut consumer, &[lease], &[WorkResult::Failed]).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let taken = reclaim(&mut consumer, 10).await?;
    ensure!(taken.is_empty(), "a job was reclaimed though it had failed for good")?;
    ensure_empty(&mut consumer).await
}

async fn answers_in_order(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..4)).await?;
    let held = claim_all(&mut consumer, 4).await?;
    ack_held(&mut consumer, &held[1..2]).await?;
    ack_results(&mut consumer, &held[2..3], &[WorkResult::Failed]).await?;
    let statuses = ack_results(
        &mut consumer,
        &held,
        &[WorkResult::Failed, WorkResult::Failed, WorkResult::Succeeded, WorkResult::Succeeded],
    )
    .await?;
    let expected = [AckStatus::Acked, AckStatus::Stale, AckStatus::Stale, AckStatus::Acked];
    ensure!(statuses == expected, "the second and third job were settled before, but the ack gave {statuses:?}")?;
    let census = queue.admin.census().await?;
    ensure!(
        census.dead == 2 && census.done.is_none_or(|done| done == 2),
        "a job counts as it was settled first, 2 failed and 2 done, but the census is {census:?}"
    )
}

async fn stale_is_left_alone(stage: Stage) -> Checked {
    let (mut queue, mut slow) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let mut heir = queue.consumer().await?;
    let old = queue.claim_new(9, &mut slow).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let new = reclaim_one(&mut heir).await?;
    let statuses = ack_results(&mut slow, &[old], &[WorkResult::Failed]).await?;
    ensure!(statuses == [AckStatus::Stale], "the old holder's failure was accepted after the lease had passed on")?;
    ack_held(&mut heir, &[new]).await?;
    let census = queue.admin.census().await?;
    ensure!(census.dead == 0, "the job was completed by its new holder, but the census is {census:?}")
}

async fn refused(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(5, &mut consumer).await?;
    let mut statuses = Vec::new();
    let answer = consumer.acker.ack_results(slice::from_ref(&lease), &[WorkResult::Failed], &mut statuses).await;
    ensure_refused(answer, ErrorKind::Config, "a failure was accepted though they are declared as not recorded")?;
    let held = ack(&mut consumer, &[lease]).await?;
    ensure!(held == [AckStatus::Acked], "a refused failure settled the job")
}
