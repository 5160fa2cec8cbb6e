//! A consumer that waits learns of work, and one that waits in vain comes back.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Case;
use super::requirement::Requirement;
use super::stage::{Checked, Failure, Knobs, SILENCE, Stage, ack_held, claim, ensure, jobs};
use crate::capability::Wake;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "wake.poll",
        claim: "A claim that waits by polling, after idle rounds, returns soon after a job was enqueued elsewhere.",
        requires: &[Requirement::Wakes(Wake::Poll)],
        body: |stage| Box::pin(wakes(stage, Wake::Poll)),
    },
    Case {
        name: "wake.notify",
        claim: "A claim that waits for a notification, after idle rounds, returns soon after a job was enqueued elsewhere.",
        requires: &[Requirement::Wakes(Wake::Notify)],
        body: |stage| Box::pin(wakes(stage, Wake::Notify)),
    },
    Case {
        name: "wake.block",
        claim: "A claim that blocks, after idle rounds, returns soon after a job was enqueued elsewhere.",
        requires: &[Requirement::Wakes(Wake::Block)],
        body: |stage| Box::pin(wakes(stage, Wake::Block)),
    },
    Case {
        name: "wake.every_waiting_consumer_by_poll",
        claim: "Several consumers that wait by polling all get one of several jobs soon.",
        requires: &[Requirement::Wakes(Wake::Poll)],
        body: |stage| Box::pin(all_wake(stage, Wake::Poll)),
    },
    Case {
        name: "wake.every_waiting_consumer_by_notify",
        claim: "Several consumers that wait for a notification all get one of several jobs soon.",
        requires: &[Requirement::Wakes(Wake::Notify)],
        body: |stage| Box::pin(all_wake(stage, Wake::Notify)),
    },
    Case {
        name: "wake.every_waiting_consumer_by_block",
        claim: "Several consumers that block all get one of several jobs soon.",
        requires: &[Requirement::Wakes(Wake::Block)],
        body: |stage| Box::pin(all_wake(stage, Wake::Block)),
    },
    Case {
        name: "wake.empty_queue_gives_nothing_after_the_wait",
        claim: "A claim on an empty queue returns nothing after about its wait.",
        requires: &[],
        body: |stage| Box::pin(waits_in_vain(stage)),
    },
    Case {
        name: "wake.no_wait_returns_at_once",
        claim: "A claim without a wait returns at once, with jobs and without.",
        requires: &[],
        body: |stage| Box::pin(no_wait(stage)),
    },
];

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
    let mut queue = stage.set_up(knobs(wake)).await?;
    let mut consumer = queue.consumer().await?;
    for round in 0..3 {
        let idle = claim(&mut consumer, 10, Duration::from_millis(100)).await?;
        ensure(idle.is_empty(), || "an empty queue gave a job".to_owned())?;
        let waiting = tokio::spawn(async move {
            let leases = claim(&mut consumer, 10, LONG_WAIT).await;
            (consumer, leases, Instant::now())
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let sent = Instant::now();
        queue.enqueue(&jobs(round..round + 1)).await?;
        let (returned, leases, woke_at) =
            waiting.await.map_err(|broken| Failure(format!("the claim broke: {broken}")))?;
        consumer = returned;
        let leases = leases?;
        let took = woke_at.duration_since(sent);
        ensure(leases.len() == 1 && took < SOON, || {
            format!("a waiting claim gave {} jobs {took:?} after one was enqueued", leases.len())
        })?;
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
        let (count, woke_at) = ended.map_err(|broken| Failure(format!("a claim broke: {broken}")))??;
        let took = woke_at.duration_since(sent);
        ensure(count == 1 && took < SOON, || {
            format!("one of {CONSUMERS} waiting claims gave {count} jobs {took:?} after {CONSUMERS} were enqueued")
        })?;
    }
    Ok(())
}

async fn waits_in_vain(stage: Stage) -> Checked {
    const WAIT: Duration = Duration::from_secs(1);
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut consumer = queue.consumer().await?;
    let asked = Instant::now();
    let leases = claim(&mut consumer, 10, WAIT).await?;
    let took = asked.elapsed();
    ensure(leases.is_empty(), || "an empty queue gave a job".to_owned())?;
    ensure(took >= WAIT / 2 && took < WAIT + SOON, || {
        format!("a claim that may wait {WAIT:?} on an empty queue came back after {took:?}")
    })
}

async fn no_wait(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut consumer = queue.consumer().await?;
    let asked = Instant::now();
    let none = claim(&mut consumer, 10, Duration::ZERO).await?;
    let took = asked.elapsed();
    ensure(none.is_empty(), || "an empty queue gave a job".to_owned())?;
    ensure(took < SOON, || format!("a claim without a wait came back after {took:?}"))?;
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
    ensure(leases.len() == 1, || "claims without a wait never gave the job that was there".to_owned())?;
    ack_held(&mut consumer, &leases).await
}
