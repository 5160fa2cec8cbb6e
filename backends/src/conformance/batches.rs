//! Batches: whole on the way in, limited on the way out, answered one by one on ack.

use super::stage::{
    Checked, Knobs, PATIENCE, SILENCE, Stage, ack, ack_held, claim, drain, ensure_empty, ensure_exactly, jobs, numbers,
};
use crate::seam::AckStatus;

cases! {
    "batches.enqueue_arrives_whole", enqueue_arrives_whole(), [],
    "A batch of n jobs arrives as n jobs, for small n and for the largest that is allowed (at most 1,000 tried).";
    "batches.claim_keeps_its_limit", claim_keeps_its_limit(), [],
    "A claim never returns more jobs than its limit.";
    "batches.claim_with_the_largest_limit", claim_with_the_largest_limit(), [],
    "The largest limit that is allowed works, and gives what there is.";
    "batches.claim_appends", claim_appends(), [],
    "A claim appends to the list that it is given and leaves what stood there.";
    "batches.ack_settles_every_lease", ack_settles_every_lease(), [],
    "One ack settles a whole claim.";
    "batches.ack_answers_in_order", ack_answers_in_order(), [StaleAck, SeveralClaims],
    "An ack of good and stale leases says for each one, in their order, what became of it.";
}

async fn enqueue_arrives_whole(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let mut producer = queue.producer().await?;
    for size in [1, 2, 3, 100, 1_000] {
        let size = size.min(u64::from(queue.capabilities.max_enqueue_batch.get()));
        producer.enqueue(&jobs(0..size)).await?;
        let done = drain(&mut consumer, size as usize, 100).await?;
        ensure_exactly(&done, 0..size)?;
    }
    ensure_empty(&mut consumer).await
}

async fn claim_keeps_its_limit(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..200)).await?;
    for limit in [1, 2, 7, 20, 1, 3] {
        let limit = limit.min(queue.capabilities.max_claim_batch.get());
        let leases = claim(&mut consumer, limit, PATIENCE).await?;
        ensure!(leases.len() <= limit as usize, "a claim of at most {limit} gave {} jobs", leases.len())?;
        ensure!(!leases.is_empty(), "a claim of at most {limit} gave none though jobs were waiting")?;
        ack_held(&mut consumer, &leases).await?;
    }
    Ok(())
}

async fn claim_with_the_largest_limit(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    queue.enqueue(&jobs(0..100)).await?;
    let done = drain(&mut consumer, 100, queue.capabilities.max_claim_batch.get()).await?;
    ensure_exactly(&done, 0..100)
}

async fn claim_appends(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let first = queue.claim_new(1, &mut consumer).await?;
    ack_held(&mut consumer, std::slice::from_ref(&first)).await?;
    queue.enqueue(&jobs(2..3)).await?;
    let mut list = vec![first];
    consumer.claimer.claim(1, PATIENCE, &mut list).await?;
    let listed = numbers(&list);
    ensure!(listed == [1, 2], "a list of job 1 became jobs {listed:?} when job 2 was claimed")?;
    ack_held(&mut consumer, &list[1..]).await
}

async fn ack_settles_every_lease(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let count = queue.capabilities.max_ack_batch.min(queue.capabilities.max_claim_batch).get().min(500);
    queue.enqueue(&jobs(0..u64::from(count))).await?;
    let mut done = 0;
    while done < count as usize {
        let leases = claim(&mut consumer, count, SILENCE).await?;
        ensure!(!leases.is_empty(), "{done} of {count} jobs came")?;
        ack_held(&mut consumer, &leases).await?;
        done += leases.len();
    }
    ensure_empty(&mut consumer).await
}

async fn ack_answers_in_order(stage: Stage) -> Checked {
    use AckStatus::{Acked, Stale};
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let mut leases = Vec::new();
    for number in 0..4 {
        leases.push(queue.claim_new(number, &mut consumer).await?);
    }
    ack_held(&mut consumer, &[leases[0].clone(), leases[2].clone()]).await?;
    let statuses = ack(&mut consumer, &leases).await?;
    ensure!(
        statuses == [Stale, Acked, Stale, Acked],
        "leases of which the first and third were settled before gave {statuses:?}"
    )
}
