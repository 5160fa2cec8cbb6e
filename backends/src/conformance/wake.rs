//! A consumer that waits learns of work, and one that waits in vain comes back.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::stage::{Checked, Knobs, SILENCE, Stage, ack_held, claim, jobs};
use crate::capability::Wake;
use crate::job::{Lease, ProducerId};
use crate::seam::Consumer;

cases! {
    "wake.poll", wakes(Wake::Poll), [Wakes(Wake::Poll)],
    "A claim that waits by polling, after idle rounds, returns soon after a job was enqueued elsewhere.";
    "wake.notify", wakes(Wake::Notify), [Wakes(Wake::Notify)],
    "A claim that waits for a notification, after idle rounds, returns soon after a job was enqueued elsewhere.";
    "wake.block", wakes(Wake::Block), [Wakes(Wake::Block)],
    "A claim that blocks, after idle rounds, returns soon after a job was enqueued elsewhere.";
    "wake.every_waiting_consumer_by_poll", all_wake(Wake::Poll), [Wakes(Wake::Poll)],
    "Several consumers that wait by polling all get one of several jobs soon.";
    "wake.every_waiting_consumer_by_notify", all_wake(Wake::Notify), [Wakes(Wake::Notify)],
    "Several consumers that wait for a notification all get one of several jobs soon.";
    "wake.every_waiting_consumer_by_block", all_wake(Wake::Block), [Wakes(Wake::Block)],
    "Several consumers that block all get one of several jobs soon.";
    "wake.notifications_after_the_listener_was_cut", listener_is_cut(), [Wakes(Wake::Notify), Server, OwnNotifications],
    "When the connection on which notifications arrive is cut while consumers wait, a job that is enqueued then is \
     delivered soon, and so are jobs after it.";
    "wake.lost_notification_costs_the_fallback", nobody_is_told(), [Wakes(Wake::Notify), Wakes(Wake::Poll), Server],
    "A job of which no consumer was told is delivered by the fallback, to consumers that wait for notifications.";
    "wake.nack_notifies", nack_notifies(), [Wakes(Wake::Notify), Nack, OwnNotifications],
    "A job that is given back wakes a consumer that waits for a notification.";
    "wake.one_by_one_by_notify", one_by_one(), [Wakes(Wake::Notify)],
    "Of consumers that wait for a notification, every job of many, enqueued one by one, soon reaches one.";
    "wake.empty_queue_gives_nothing_after_the_wait", waits_in_vain(), [],
    "A claim on an empty queue returns nothing after about its wait.";
    "wake.no_wait_returns_at_once", no_wait(), [],
    "A claim without a wait returns at once, with jobs and without.";
}

/// How long a claim may wait: far longer than [`SOON`], so that a claim that only ran out is told from one that woke.
const LONG_WAIT: Duration = Duration::from_secs(20);

/// Bound on waking up. Generous, because only "never" is to be caught, on a loaded machine too.
const SOON: Duration = Duration::from_secs(5);

fn knobs(wake: Wake) -> Knobs {
    let poll_interval = match wake {
        Wake::Poll => Duration::from_millis(10),
        // Polling is the fallback here: it must not do the work of what is tried.
        Wake::Notify | Wake::Block => LONG_WAIT,
    };
    Knobs { wake: Some(wake), poll_interval, ..Knobs::default() }
}

async fn wakes(stage: Stage, wake: Wake) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(knobs(wake)).await?;
    for round in 0..3 {
        let idle = claim(&mut consumer, 10, Duration::from_millis(100)).await?;
        ensure!(idle.is_empty(), "an empty queue gave a job")?;
        let waiting = tokio::spawn(async move {
            let leases = claim(&mut consumer, 10, LONG_WAIT).await;
            (consumer, leases, Instant::now())
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let sent = Instant::now();
        queue.enqueue(&jobs(round..round + 1)).await?;
        let (returned, leases, woke_at) = waiting.await?;
        consumer = returned;
        let leases = leases?;
        let (count, took) = (leases.len(), woke_at.duration_since(sent));
        ensure!(count == 1 && took < SOON, "a waiting claim gave {count} jobs {took:?} after one was enqueued")?;
        ack_held(&mut consumer, &leases).await?;
    }
    Ok(())
}

async fn all_wake(stage: Stage, wake: Wake) -> Checked {
    const CONSUMERS: u64 = 4;
    let mut queue = stage.set_up(knobs(wake)).await?;
    let mut waiting = JoinSet::new();
    for _ in 0..CONSUMERS {
        let mut consumer = queue.consumer().await?;
        waiting.spawn(async move {
            let leases = claim(&mut consumer, 1, LONG_WAIT).await?;
            let woke_at = Instant::now();
            if !leases.is_empty() {
                ack_held(&mut consumer, &leases).await?;
            }
            Checked::Ok((leases.len(), woke_at))
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = Instant::now();
    queue.enqueue(&jobs(0..CONSUMERS)).await?;
    while let Some(ended) = waiting.join_next().await {
        let (count, woke_at) = ended??;
        let took = woke_at.duration_since(sent);
        ensure!(
            count == 1 && took < SOON,
            "one of {CONSUMERS} waiting claims gave {count} jobs {took:?} after {CONSUMERS} were enqueued"
        )?;
    }
    Ok(())
}

/// A consumer that waits, and holds what it claims until it has told.
type Waiting = JoinHandle<(Consumer, Checked<Vec<Lease>>)>;

fn wait_for_one(mut consumer: Consumer) -> Waiting {
    tokio::spawn(async move {
        let leases = claim(&mut consumer, 1, LONG_WAIT).await;
        (consumer, leases)
    })
}

/// Acks what the consumer got, which must have come soon after `since`.
async fn came_soon(waiting: Waiting, since: Instant, what: &str) -> Checked<Consumer> {
    let (mut consumer, leases) = waiting.await?;
    let (leases, took) = (leases?, since.elapsed());
    ensure!(leases.len() == 1 && took < SOON, "{what}, a waiting claim gave {} jobs {took:?} later", leases.len())?;
    ack_held(&mut consumer, &leases).await?;
    Ok(consumer)
}

async fn listener_is_cut(stage: Stage) -> Checked {
    let mut queue = stage.set_up(knobs(Wake::Notify)).await?;
    let (first, second) = (queue.consumer().await?, queue.consumer().await?);
    let (mut first, mut second) = (wait_for_one(first), wait_for_one(second));
    tokio::time::sleep(SILENCE).await;
    for round in 0..2 {
        let listeners = stage.probe().await?.cut_listeners(stage.namespace()).await?;
        ensure!(listeners == 1, "{listeners} listeners were there to cut, and there should be one")?;
        for (number, when) in [(4 * round, "after the listener was cut"), (4 * round + 2, "some time after a cut")] {
            let sent = Instant::now();
            queue.enqueue(&jobs(number..number + 2)).await?;
            // Both before either waits again, or one of them might take what the other waits for.
            let came = (came_soon(first, sent, when).await?, came_soon(second, sent, when).await?);
            (first, second) = (wait_for_one(came.0), wait_for_one(came.1));
            tokio::time::sleep(SILENCE).await;
        }
    }
    first.abort();
    second.abort();
    Ok(())
}

async fn nobody_is_told(stage: Stage) -> Checked {
    const FALLBACK: Duration = Duration::from_secs(4);
    let mut queue = stage.set_up(Knobs { poll_interval: FALLBACK, ..knobs(Wake::Notify) }).await?;
    // Its producers have nobody to tell.
    let silent = stage.open(knobs(Wake::Poll))?;
    let consumer = queue.consumer().await?;
    let waiting = wait_for_one(consumer);
    tokio::time::sleep(SILENCE).await;
    let sent = Instant::now();
    silent.producer(ProducerId(0)).await?.enqueue(&jobs(0..1)).await?;
    tokio::time::sleep(SILENCE).await;
    ensure!(!waiting.is_finished(), "a consumer was told of a job whose producer tells nobody")?;
    came_soon(waiting, sent, "after a job was enqueued in silence").await.map(|_| ())
}

async fn nack_notifies(stage: Stage) -> Checked {
    let mut queue = stage.set_up(knobs(Wake::Notify)).await?;
    let (mut holder, other) = (queue.consumer().await?, queue.consumer().await?);
    let held = queue.claim_new(0, &mut holder).await?;
    let waiting = wait_for_one(other);
    tokio::time::sleep(SILENCE).await;
    ensure!(!waiting.is_finished(), "a held job was delivered")?;
    let given_back = Instant::now();
    holder.acker.nack(&[held]).await?;
    came_soon(waiting, given_back, "after a nack").await.map(|_| ())
}

async fn one_by_one(stage: Stage) -> Checked {
    const JOBS: u64 = 40;
    let mut queue = stage.set_up(knobs(Wake::Notify)).await?;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(wait_for_one(queue.consumer().await?));
    }
    let mut producer = queue.producer().await?;
    for number in 0..JOBS {
        let sent = Instant::now();
        producer.enqueue(&jobs(number..number + 1)).await?;
        let (ended, _, others) = select_all(waiting).await;
        waiting = others;
        let ended = ended?;
        let again = came_soon(tokio::spawn(async move { ended }), sent, "after one job was enqueued").await?;
        waiting.push(wait_for_one(again));
    }
    waiting.iter().for_each(JoinHandle::abort);
    let census = queue.admin.census().await?;
    ensure!(
        census.ready == 0 && census.done.is_none_or(|done| done == JOBS),
        "{JOBS} jobs were acked one by one, and the census is {census:?}"
    )
}

async fn waits_in_vain(stage: Stage) -> Checked {
    const WAIT: Duration = Duration::from_secs(1);
    let (_queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let asked = Instant::now();
    let leases = claim(&mut consumer, 10, WAIT).await?;
    let took = asked.elapsed();
    ensure!(leases.is_empty(), "an empty queue gave a job")?;
    ensure!(
        took >= WAIT / 2 && took < WAIT + SOON,
        "a claim that may wait {WAIT:?} on an empty queue came back after {took:?}"
    )
}

async fn no_wait(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let asked = Instant::now();
    let none = claim(&mut consumer, 10, Duration::ZERO).await?;
    let took = asked.elapsed();
    ensure!(none.is_empty(), "an empty queue gave a job")?;
    ensure!(took < SOON, "a claim without a wait came back after {took:?}")?;
    queue.enqueue(&jobs(0..1)).await?;
    // A job that was confirmed is visible; only its partition may be looked at in a later turn.
    let mut leases = Vec::new();
    let asked = Instant::now();
    while leases.is_empty() && asked.elapsed() < SOON {
        leases = claim(&mut consumer, 10, Duration::ZERO).await?;
        if leases.is_empty() {
            tokio::time::sleep(SILENCE / 10).await;
        }
    }
    ensure!(leases.len() == 1, "claims without a wait never gave the job that was there")?;
    ack_held(&mut consumer, &leases).await
}
