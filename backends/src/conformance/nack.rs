//! Giving a job back.

use std::time::Duration;

use super::stage::{
    Checked, Knobs, LEASE_EXPIRED, SHORT_LEASE, Stage, ack_held, claim_one, ensure_empty, ensure_intact,
    ensure_refused, ensure_stale, reclaim_one,
};
use crate::error::ErrorKind;

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
    let (mut queue, mut giver) = stage.set_up_with_consumer(Knobs::default()).await?;
    let mut taker = queue.consumer().await?;
    let lease = queue.claim_new(5, &mut giver).await?;
    giver.acker.nack(&[lease]).await?;
    let again = claim_one(&mut taker).await?;
    ensure!(again.job.0 == 5, "job 5 was given back, and job {} came", again.job.0)?;
    ensure_intact(&again)?;
    ack_held(&mut taker, &[again]).await?;
    ensure_empty(&mut giver).await
}

async fn ends_the_lease(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(5, &mut consumer).await?;
    consumer.acker.nack(std::slice::from_ref(&lease)).await?;
    ensure_stale(&mut consumer, &[lease], "an ack after the nack of the same lease was accepted").await?;
    let again = claim_one(&mut consumer).await?;
    ack_held(&mut consumer, &[again]).await
}

async fn stale_is_left_alone(stage: Stage) -> Checked {
    // Of a queue whose ordinary claims take expired jobs, too, the new holder must still have it when the looks below are over, on
    // a slow machine as well.
    const LEASE: Duration = Duration::from_millis(1_500);
    let (mut queue, mut slow) = stage.set_up_with_consumer(Knobs { lease: LEASE, ..Knobs::default() }).await?;
    let mut heir = queue.consumer().await?;
    let old = queue.claim_new(5, &mut slow).await?;
    tokio::time::sleep(LEASE + LEASE_EXPIRED - SHORT_LEASE).await;
    let new = reclaim_one(&mut heir).await?;
    slow.acker.nack(&[old]).await?;
    ensure_empty(&mut slow).await?;
    ack_held(&mut heir, &[new]).await?;
    ensure_empty(&mut slow).await
}

async fn refused(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let lease = queue.claim_new(5, &mut consumer).await?;
    let answer = consumer.acker.nack(std::slice::from_ref(&lease)).await;
    ensure_refused(answer, ErrorKind::Config, "a nack was accepted though nack is declared as not supported")?;
    ack_held(&mut consumer, &[lease]).await
}
