//! Deliveries are counted.

use super::stage::{Checked, Knobs, LEASE_EXPIRED, Stage, ack_held, claim_one, drain, jobs, reclaim_one};

cases! {
    "attempts.first_delivery_is_one", first_is_one(), [],
    "The first delivery of every job is attempt 1.";
    "attempts.reclaim_counts", reclaim_counts(), [Attempts, LeaseExpiry],
    "Every reclaim of a job counts its attempt up by one.";
    "attempts.nack_counts", nack_counts(), [Attempts, Nack],
    "Every delivery after a nack counts the job's attempt up by one.";
    "attempts.nack_and_reclaim_count_together", both_count(), [Attempts, Nack, LeaseExpiry],
    "Deliveries after nacks and after expired leases count as one series.";
}

async fn first_is_one(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..50)).await?;
    for lease in drain(&mut consumer, 50, 10).await? {
        ensure!(lease.attempt == 1, "the first delivery of job {} was attempt {}", lease.job.0, lease.attempt)?;
    }
    Ok(())
}

async fn reclaim_counts(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let mut lease = queue.claim_new(1, &mut consumer).await?;
    for attempt in 2..=4 {
        tokio::time::sleep(LEASE_EXPIRED).await;
        lease = reclaim_one(&mut consumer).await?;
        ensure!(lease.attempt == attempt, "delivery {attempt} was called attempt {}", lease.attempt)?;
    }
    ack_held(&mut consumer, &[lease]).await
}

async fn nack_counts(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let mut lease = queue.claim_new(1, &mut consumer).await?;
    for attempt in 2..=4 {
        consumer.acker.nack(&[lease]).await?;
        lease = claim_one(&mut consumer).await?;
        ensure!(lease.attempt == attempt, "delivery {attempt} was called attempt {}", lease.attempt)?;
    }
    ack_held(&mut consumer, &[lease]).await
}

async fn both_count(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let first = queue.claim_new(1, &mut consumer).await?;
    consumer.acker.nack(&[first]).await?;
    claim_one(&mut consumer).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let third = reclaim_one(&mut consumer).await?;
    ensure!(third.attempt == 3, "the delivery after a nack and a reclaim was attempt {}", third.attempt)?;
    consumer.acker.nack(&[third]).await?;
    let fourth = claim_one(&mut consumer).await?;
    ensure!(fourth.attempt == 4, "the delivery after another nack was attempt {}", fourth.attempt)?;
    ack_held(&mut consumer, &[fourth]).await
}
