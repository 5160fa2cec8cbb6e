//! An ack that comes too late says so.

use super::stage::{Checked, Knobs, LEASE_EXPIRED, Stage, ack_held, ensure_empty, ensure_stale, reclaim_one};

cases! {
    "stale.lease_that_passed_on", passed_on(), [StaleAck, LeaseExpiry],
    "An ack of a lease that somebody else has reclaimed is stale, and the new holder's ack still counts.";
    "stale.second_ack", second_ack(), [StaleAck],
    "Of two acks of one lease, the second is stale.";
    "stale.expired_lease_that_nobody_took", nobody_took_it(), [LeaseExpiry],
    "An ack after the lease has run out still counts while nobody has reclaimed the job.";
}

async fn passed_on(stage: Stage) -> Checked {
    let (mut queue, mut slow) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let mut heir = queue.consumer().await?;
    let old = queue.claim_new(9, &mut slow).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let new = reclaim_one(&mut heir).await?;
    ensure_stale(&mut slow, &[old], "the old holder's ack was accepted after the lease had passed on").await?;
    ack_held(&mut heir, &[new]).await?;
    ensure_empty(&mut heir).await
}

async fn second_ack(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(9, &mut consumer).await?;
    ack_held(&mut consumer, std::slice::from_ref(&lease)).await?;
    ensure_stale(&mut consumer, &[lease], "the second ack of the same lease was accepted").await
}

async fn nobody_took_it(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let lease = queue.claim_new(9, &mut consumer).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    ack_held(&mut consumer, &[lease]).await?;
    ensure_empty(&mut consumer).await
}
