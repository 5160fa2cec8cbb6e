//! What becomes of the jobs of a consumer that vanished.

use std::time::Duration;

use tokio::time::Instant;

use super::stage::{
    Checked, Failure, Knobs, LEASE_EXPIRED, Stage, ack_held, claim_all, claim_one, ensure_empty, ensure_exactly,
    ensure_intact, jobs, numbers, reclaim, reclaim_all, reclaim_one,
};
use crate::job::Lease;
use crate::seam::Consumer;

cases! {
    "lease.vanished_consumer_s_job_comes_back", comes_back(), [LeaseExpiry],
    "A job whose consumer vanished without an ack is reclaimed once its lease has expired, intact, and can be acked.";
    "lease.live_lease_is_not_reclaimed", live_is_left_alone(), [LeaseExpiry],
    "A job whose lease has not expired is not reclaimed, whether its consumer lives or not.";
    "lease.acked_job_is_not_reclaimed", acked_stays_away(), [LeaseExpiry],
    "A job that was acked does not come back after its lease.";
    "lease.reclaim_keeps_its_limit", reclaim_keeps_its_limit(), [LeaseExpiry],
    "A reclaim never returns more jobs than its limit, and repeated ones return every expired job once.";
    "lease.reclaim_starts_a_new_lease", reclaim_starts_a_new_lease(), [LeaseExpiry],
    "A reclaimed job is held as firmly as a claimed one.";
    "lease.connection_loss_gives_the_job_back", comes_back_by_claim(Knobs::default()), [ConnectionLoss],
    "A job whose consumer's connection ended without an ack is ready again at once, intact.";
    "lease.silent_consumer_s_job_comes_back", comes_back_by_claim(Knobs::short_lease()), [Heartbeat],
    "A job whose consumer vanished without an ack is claimed by another one after the lease, intact, and can be acked.";
    "lease.vanished_consumer_s_job_is_gone", is_gone(), [NoRecovery],
    "Where the contract is at most once, the job of a consumer that vanished is never delivered again.";
    "lease.nothing_to_reclaim_without_leases", nothing_to_reclaim(), [NoLeaseExpiry],
    "Where leases do not expire, reclaim gives nothing, however long a job is held.";
}

async fn comes_back(stage: Stage) -> Checked {
    let (mut queue, mut vanishing) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    queue.claim_new(3, &mut vanishing).await?;
    drop(vanishing);
    let mut heir = queue.consumer().await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let again = reclaim_one(&mut heir).await?;
    ensure_job_3(&mut heir, again).await
}

async fn comes_back_by_claim(stage: Stage, knobs: Knobs) -> Checked {
    let (mut queue, mut vanishing) = stage.set_up_with_consumer(knobs).await?;
    queue.claim_new(3, &mut vanishing).await?;
    drop(vanishing);
    let mut heir = queue.consumer().await?;
    let again = claim_one(&mut heir).await?;
    ensure_job_3(&mut heir, again).await
}

/// What came back to `heir` is job 3, intact; it can be acked, and nothing else is there.
async fn ensure_job_3(heir: &mut Consumer, again: Lease) -> Checked {
    ensure!(again.job.0 == 3, "job 3 vanished, and job {} came back", again.job.0)?;
    ensure_intact(&again)?;
    ack_held(heir, &[again]).await?;
    ensure_empty(heir).await
}

async fn live_is_left_alone(stage: Stage) -> Checked {
    let (mut queue, mut holder) = stage.set_up_with_consumer(Knobs::default()).await?;
    let mut other = queue.consumer().await?;
    let held = queue.claim_new(3, &mut holder).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let mut taken = reclaim(&mut other, 10).await?;
    taken.extend(reclaim(&mut holder, 10).await?);
    ensure!(taken.is_empty(), "jobs {:?} were reclaimed long before their leases ended", numbers(&taken))?;
    ack_held(&mut holder, &[held]).await
}

async fn acked_stays_away(stage: Stage) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let lease = queue.claim_new(3, &mut consumer).await?;
    ack_held(&mut consumer, &[lease]).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let taken = reclaim(&mut consumer, 10).await?;
    ensure!(taken.is_empty(), "a job was reclaimed though it had been acked")?;
    ensure_empty(&mut consumer).await
}

async fn reclaim_keeps_its_limit(stage: Stage) -> Checked {
    let (mut queue, mut vanishing) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    queue.enqueue(&jobs(0..30)).await?;
    claim_all(&mut vanishing, 30).await?;
    drop(vanishing);
    tokio::time::sleep(LEASE_EXPIRED).await;
    let mut heir = queue.consumer().await?;
    let first = reclaim(&mut heir, 4).await?;
    ensure!(first.len() <= 4, "a reclaim of at most 4 gave {}", first.len())?;
    if !first.is_empty() {
        ack_held(&mut heir, &first).await?;
    }
    // Acked step by step: leases are short, and a job that is still held might expire anew.
    let mut done = first;
    while done.len() < 30 {
        let step = (30 - done.len()).min(7);
        let leases = reclaim_all(&mut heir, step, step as u32).await?;
        ack_held(&mut heir, &leases).await?;
        done.extend(leases);
    }
    ensure_exactly(&done, 0..30)
}

async fn reclaim_starts_a_new_lease(stage: Stage) -> Checked {
    const LEASE: Duration = Duration::from_secs(2);
    let (mut queue, mut vanishing) = stage.set_up_with_consumer(Knobs { lease: LEASE, ..Knobs::default() }).await?;
    queue.claim_new(3, &mut vanishing).await?;
    drop(vanishing);
    let mut heir = queue.consumer().await?;
    let mut rival = queue.consumer().await?;
    tokio::time::sleep(LEASE).await;
    // A machine that stalls for a whole lease between the two calls proves nothing; then it is tried again.
    for _ in 0..5 {
        let asked = Instant::now();
        reclaim_one(&mut heir).await?;
        if reclaim(&mut rival, 10).await?.is_empty() {
            return Ok(());
        }
        ensure!(asked.elapsed() >= LEASE, "a job was reclaimed twice within one lease")?;
        tokio::time::sleep(LEASE).await;
    }
    Err(Failure(format!("this machine stalled for {LEASE:?} five times, so nothing can be said")))
}

async fn is_gone(stage: Stage) -> Checked {
    let (mut queue, mut vanishing) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    queue.claim_new(3, &mut vanishing).await?;
    drop(vanishing);
    let mut other = queue.consumer().await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let taken = reclaim(&mut other, 10).await?;
    ensure!(taken.is_empty(), "a job came back by reclaim though nothing should")?;
    ensure_empty(&mut other).await
}

async fn nothing_to_reclaim(stage: Stage) -> Checked {
    let (mut queue, mut holder) = stage.set_up_with_consumer(Knobs::short_lease()).await?;
    let mut other = queue.consumer().await?;
    let held = queue.claim_new(3, &mut holder).await?;
    tokio::time::sleep(LEASE_EXPIRED).await;
    let taken = reclaim(&mut other, 10).await?;
    ensure!(taken.is_empty(), "reclaim gave jobs {:?}", numbers(&taken))?;
    ack_held(&mut holder, &[held]).await
}
