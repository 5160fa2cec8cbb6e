//! Giving a job back.

use super::stage::{
    Checked, Knobs, LEASE_EXPIRED, Stage, ack, ack_held, claim_one, ensure, ensure_empty, ensure_intact, reclaim_one,
};
use crate::error::ErrorKind;
use crate::seam::AckStatus;

cases! {
    "nack.ready_for_anybody", ready_for_anybody(), [Nack],
    "A job that was given back is delivered again, to any consumer, intact, and only once.";
    "nack.ends_the_lease", ends_the_lease(), [Nack, StaleAck],
    "After a nack, the old lease cannot be acked any more.";
    "nack.stale_is_left_alone", stale_is_left_alone(), [Nack, StaleAck, LeaseExpiry],
    "A nack of a lease that had passed on changes nothing for its new holder.";
    "nack.refused_where_not_supported", refused(), [NoNack],
    "A backend that cannot take a job back refuses a nack as a configuration error.";
}

async fn ready_for_anybody(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut giver = queue.consumer().await?;
    let mut taker = queue.consumer().await?;
    let lease = queue.claim_new(5, &mut giver).await?;
    giver.acker.nack(&[lease]).await?;
    let again = claim_one(&mut taker).await?;
    ensure(again.job.0 == 5, || format!("job 5 was given back, and job {} came", again.job.0))?;
    ensure_intact(&again)?;
    ack_held(&mut taker, &[again]).await?;
    ensure_empty(&mut giver).await
}

async fn ends_the_lease(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut consumer = queue.consumer().await?;
    let lease = queue.claim_new(5, &mut consumer).await?;
    consumer.acker.nack(std::slice::from_ref(&lease)).await?;
    let statuses = ack(&mut consumer, &[lease]).await?;
    ensure(statuses == [AckStatus::Stale], || "an ack after the nack of the same lease was accepted".to_owned())?;
    let again = claim_one(&mut consumer).await?;
    ack_held(&mut consumer, &[again]).await
}

async fn stale_is_left_alone(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::short_lease()).await?;
    let mut slow = queue.consumer().await?;
    let mut heir = queue.consumer().await?;
    let old = queue.claim_new(5, &mut slow).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let new = reclaim_one(&mut heir).await?;
    slow.acker.nack(&[old]).await?;
    ensure_empty(&mut slow).await?;
    ack_held(&mut heir, &[new]).await?;
    ensure_empty(&mut slow).await
}

async fn refused(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut consumer = queue.consumer().await?;
    let lease = queue.claim_new(5, &mut consumer).await?;
    match consumer.acker.nack(std::slice::from_ref(&lease)).await {
        Err(error) => {
            ensure(error.kind() == ErrorKind::Config, || format!("the refusal was of another kind: {error}"))?
        }
        Ok(()) => ensure(false, || "a nack was accepted though nack is declared as not supported".to_owned())?,
    }
    ack_held(&mut consumer, &[lease]).await
}
