//! An ack that comes too late says so.

use super::stage::{Checked, Knobs, LEASE_EXPIRED, Stage, ack, ack_held, ensure, ensure_empty, reclaim_one};
use crate::seam::AckStatus;

cases! {
    "stale.lease_that_passed_on", passed_on(), [StaleAck, LeaseExpiry],
    "An ack of a lease that somebody else has reclaimed is stale, and the new holder's ack still counts.";
    "stale.second_ack", second_ack(), [StaleAck],
    "Of two acks of one lease, the second is stale.";
    "stale.expired_lease_that_nobody_took", nobody_took_it(), [LeaseExpiry],
    "An ack after the lease has run out still counts while nobody has reclaimed the job.";
}

async fn passed_on(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::short_lease()).await?;
    let mut slow = queue.consumer().await?;
    let mut heir = queue.consumer().await?;
    let old = queue.claim_new(9, &mut slow).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let new = reclaim_one(&mut heir).await?;
    let statuses = ack(&mut slow, &[old]).await?;
    ensure(statuses == [AckStatus::Stale], || {
        "the old holder's ack was accepted after the lease had passed on".to_owned()
    })?;
    ack_held(&mut heir, &[new]).await?;
    ensure_empty(&mut heir).await
}

async fn second_ack(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut consumer = queue.consumer().await?;
    let lease = queue.claim_new(9, &mut consumer).await?;
    ack_held(&mut consumer, std::slice::from_ref(&lease)).await?;
    let statuses = ack(&mut consumer, &[lease]).await?;
    ensure(statuses == [AckStatus::Stale], || "the second ack of the same lease was accepted".to_owned())
}

async fn nobody_took_it(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::short_lease()).await?;
    let mut consumer = queue.consumer().await?;
    let lease = queue.claim_new(9, &mut consumer).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    ack_held(&mut consumer, &[lease]).await?;
    ensure_empty(&mut consumer).await
}
