//! Connections that are cut while jobs are in flight: the queue goes on, and its account stays right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qbench_schema::result::Delivery;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::stage::{
    BREATH, Checked, Failure, Knobs, PATIENCE, SILENCE, Stage, ack_held, claim, drain, ensure_empty, jobs, numbers,
};
use crate::capability::{Capabilities, Recovery};
use crate::error::{Error, ErrorKind};
use crate::job::{Lease, ProducerId, WorkerId};
use crate::seam::{AckStatus, Consumer, Depth};
use crate::sync::lock;

cases! {
    "connection.every_part_works_again", every_part_works_again(), [Server, OwnConnections],
    "After a cut each part fails at most once, with an unknown outcome, and then works again; what was held is \
     acked or comes back, as the contract says, and every job is done once.";
    "connection.cuts_under_load", cuts_under_load(), [Server, OwnConnections],
    "While connections are cut amid enqueues, claims and acks, no confirmed job is lost (at least once) or \
     delivered twice (at most once), and no job is acked twice, but for one that went to two holders where every ack is believed.";
}

/// Cuts every connection that backends of this stage have.
async fn cut(stage: &Stage) -> Checked<usize> {
    Ok(stage.probe().await?.cut_connections(stage.namespace()).await?)
}

/// The first answer after a cut, or `None` when it failed as it may: with an unknown outcome.
fn first_answer<T>(part: &str, answer: Result<T, Error>) -> Checked<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::Unknown => Ok(None),
        Err(error) => {
            let kind = error.kind().name();
            Err(Failure(format!("after a cut the {part} failed as {kind}, where the outcome is unknown: {error}")))
        }
    }
}

async fn every_part_works_again(stage: Stage) -> Checked {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut producer = queue.producer().await?;
    let mut consumer = queue.consumer().await?;
    let limit = queue.capabilities.max_claim_batch.get().min(3);
    producer.enqueue(&jobs(0..6)).await?;
    let held = claim(&mut consumer, limit, PATIENCE).await?;
    let connections = cut(&stage).await?;
    ensure!(connections >= 3, "only {connections} connections were there to cut")?;

    // Whether job 6 is in the queue is not known; job 7 is.
    let six = first_answer("producer", producer.enqueue(&jobs(6..7)).await)?;
    producer.enqueue(&jobs(7..8)).await?;
    first_answer("control side", queue.admin.depth().await)?;
    queue.admin.depth().await?;

    let mut statuses = Vec::new();
    if first_answer("acker", consumer.acker.ack(&held, &mut statuses).await)?.is_none() {
        statuses.clear();
        consumer.acker.ack(&held, &mut statuses).await?;
    }
    let expected = match queue.capabilities.recovery {
        // The leases went with the connection.
        Recovery::ConnectionLoss => AckStatus::Stale,
        // They are the server's, or nobody's, and the cut came before the first ack was sent.
        Recovery::LeaseExpiry | Recovery::None | Recovery::Heartbeat => AckStatus::Acked,
    };
    ensure!(statuses == vec![expected; held.len()], "acks of {} leases held over a cut gave {statuses:?}", held.len())?;
    let mut acked = if expected == AckStatus::Acked { numbers(&held) } else { Vec::new() };

    let mut leases = Vec::new();
    first_answer("claimer", consumer.claimer.claim(limit, PATIENCE, &mut leases).await)?;
    if !leases.is_empty() {
        ack_held(&mut consumer, &leases).await?;
        acked.extend(numbers(&leases));
    }
    // At least all but job 6; that one as the server decided.
    let certain = 7 - acked.iter().filter(|number| **number != 6).count();
    acked.extend(numbers(&drain(&mut consumer, certain, limit).await?));
    if acked.len() < 8 {
        let rest = claim(&mut consumer, 1, SILENCE).await?;
        if !rest.is_empty() {
            ack_held(&mut consumer, &rest).await?;
            acked.extend(numbers(&rest));
        }
    }
    ensure_empty(&mut consumer).await?;
    acked.sort_unstable();
    let must: Vec<u64> = (0..8).filter(|number| *number != 6 || six.is_some() || acked.contains(&6)).collect();
    ensure!(acked == must, "jobs {acked:?} were done, but should be {must:?}, each once")?;
    let census = queue.admin.census().await?;
    let done = must.len() as u64;
    let as_it_is = census.ready + census.in_flight == 0 && census.done.is_none_or(|told| told == done);
    ensure!(as_it_is, "{done} jobs were done, and the census is {census:?}")
}

const CONSUMERS: u32 = 4;
const JOBS: u64 = 1_500;
const BATCH: usize = 10;
const CUTS: usize = 4;

/// What was seen on this side of the connections.
#[derive(Default)]
struct Account {
    confirmed: BTreeSet<u64>,
    deliveries: BTreeMap<u64, u32>,
    /// Acks that were answered with [`AckStatus::Acked`].
    acked: BTreeMap<u64, u32>,
    /// Jobs of which an ack got no answer, and its retry was stale.
    unknown: BTreeSet<u64>,
}

#[derive(Clone, Default)]
struct Shared {
    account: Arc<Mutex<Account>>,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn note<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        change(&mut lock(&self.account))
    }
}

/// An error that a cut explains. A connection may also be cut while it is being opened.
fn is_of_a_cut(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unknown | ErrorKind::Connect | ErrorKind::Rejected)
}

async fn consume(mut consumer: Consumer, shared: Shared, capabilities: Capabilities) -> Checked {
    let limit = capabilities.max_claim_batch.get().min(5);
    let mut looks = 0_u32;
    while !shared.stop.load(Ordering::Acquire) {
        looks += 1;
        let mut leases = Vec::new();
        let taken = match capabilities.recovery {
            Recovery::LeaseExpiry if looks.is_multiple_of(5) => consumer.claimer.reclaim(limit, &mut leases).await,
            _ => consumer.claimer.claim(limit, Duration::from_millis(30), &mut leases).await,
        };
        if let Err(error) = taken
            && !is_of_a_cut(&error)
        {
            return Err(error.into());
        }
        if leases.is_empty() {
            tokio::time::sleep(BREATH).await;
        } else {
            shared.note(|account| {
                for lease in &leases {
                    *account.deliveries.entry(lease.job.0).or_default() += 1;
                }
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
            settle(&mut consumer, &leases, &shared).await?;
        }
    }
    Ok(())
}

/// Acks until there is an answer, and notes what is known then.
async fn settle(consumer: &mut Consumer, leases: &[Lease], shared: &Shared) -> Checked {
    let mut unanswered = false;
    let start = Instant::now();
    loop {
        let mut statuses = Vec::new();
        match consumer.acker.ack(leases, &mut statuses).await {
            Ok(()) => {
                shared.note(|account| {
                    for (lease, status) in leases.iter().zip(statuses) {
                        match status {
                            AckStatus::Acked => *account.acked.entry(lease.job.0).or_default() += 1,
                            AckStatus::Stale if unanswered => {
                                account.unknown.insert(lease.job.0);
                            }
                            AckStatus::Stale => {}
                        }
                    }
                });
                return Ok(());
            }
            Err(error) if is_of_a_cut(&error) && start.elapsed() < PATIENCE => unanswered = true,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn cuts_under_load(stage: Stage) -> Checked {
    let knobs = Knobs { workers: CONSUMERS, ..Knobs::short_lease() };
    let mut queue = stage.set_up(knobs).await?;
    let shared = Shared::default();
    let mut tasks = JoinSet::new();
    for number in 0..CONSUMERS {
        let consumer = queue.backend.consumer(WorkerId(number)).await?;
        tasks.spawn(consume(consumer, shared.clone(), queue.capabilities.clone()));
    }
    let mut producer = queue.backend.producer(ProducerId(0)).await?;
    let producing = {
        let shared = shared.clone();
        tokio::spawn(async move {
            for batch in jobs(0..JOBS).chunks(BATCH) {
                match producer.enqueue(batch).await {
                    Ok(()) => shared.note(|account| account.confirmed.extend(batch.iter().map(|new| new.job.0))),
                    Err(error) if is_of_a_cut(&error) => {}
                    Err(error) => return Err(Failure::from(error)),
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
            Checked::Ok(())
        })
    };
    for _ in 0..CUTS {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let connections = cut(&stage).await?;
        ensure!(connections > 0, "there was no connection to cut")?;
    }
    producing.await??;
    let start = Instant::now();
    let emptied = loop {
        // The first question may find its own connection cut.
        if first_answer("control side", queue.admin.depth().await)? == Some(Depth::default()) {
            break true;
        }
        if start.elapsed() > PATIENCE {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    shared.stop.store(true, Ordering::Release);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    ensure!(emptied, "jobs were left in the queue after {PATIENCE:?}")?;

    let account = shared.note(std::mem::take);
    let may_be_twice = |number: &u64| queue.capabilities.believes_every_ack() && account.deliveries[number] > 1;
    let twice = account.acked.iter().filter(|(number, count)| **count > 1 && !may_be_twice(number)).count();
    ensure!(twice == 0, "{twice} jobs were acked twice")?;
    match queue.capabilities.delivery {
        Delivery::AtLeastOnce => {
            let is_done = |number: &&u64| account.acked.contains_key(number) || account.unknown.contains(number);
            let lost = account.confirmed.iter().filter(|number| !is_done(number)).count();
            ensure!(lost == 0, "{lost} of {} confirmed jobs were never done", account.confirmed.len())?;
        }
        Delivery::AtMostOnce => {
            let doubled = account.deliveries.values().filter(|count| **count > 1).count();
            ensure!(doubled == 0, "{doubled} jobs were delivered twice")?;
        }
        Delivery::Unknown => return Err(super::stage::Failure("it declares no delivery contract".to_owned())),
    }
    let census = queue.admin.census().await?;
    let least = account.acked.len() as u64;
    let most = least + account.unknown.difference(&account.acked.keys().copied().collect()).count() as u64;
    ensure!(
        census.done.is_none_or(|done| (least..=most).contains(&done)),
        "between {least} and {most} jobs were acked, and the census is {census:?}"
    )
}
