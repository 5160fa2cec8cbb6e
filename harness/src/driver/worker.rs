//! A worker: claims, works, acks. One shape for every combination of concurrency, batches, prefetch and linger.
//!
//! Three loops run inside one task and hand jobs on: `claim_loop` fills the local queue as far as the worker has room,
//! `concurrency` slots work, `ack_loop` settles what is finished. They share a task so that handing on costs no wake-up
//! of another thread.

mod overlapping_acks;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use qbench_backends::{AckStatus, Acker, Claimer, Consumer, ErrorKind, Lease, Recovery};
use qbench_schema::record::{JobRecord, Outcome};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout_at};

use super::incidents::{Advice, Incidents, Patience};
use super::ledger::{Ledger, SentJob};
use super::valve::Valve;
use crate::clock::RunClock;
use crate::record::RecordSink;

/// Longest wait inside one claim, so that a stop is noticed soon.
const CLAIM_WAIT: Duration = Duration::from_millis(250);

/// What all workers of a run share.
pub struct WorkerContext {
    /// The run's clock.
    pub clock: RunClock,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// What went wrong.
    pub incidents: Arc<Incidents>,
    /// Set when workers should finish what they run, hand back what they have not begun, and end.
    pub stop: Arc<AtomicBool>,
    /// What every payload must be.
    pub payload: Bytes,
    /// Simulated work: an asynchronous sleep (METHODOLOGY L8).
    pub work: Duration,
    /// Jobs worked on at the same time by one worker.
    pub concurrency: u32,
    /// Most jobs in one claim.
    pub claim_batch: u32,
    /// Jobs claimed ahead of a free slot.
    pub prefetch: u32,
    /// Most jobs in one ack.
    pub ack_batch: u32,
    /// How long a finished job may wait for its ack batch to fill.
    pub ack_linger: Duration,
    /// How the backend finds jobs of vanished consumers.
    pub recovery: Recovery,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Whether workers may claim now.
    pub valve: Arc<Valve>,
}

/// A job between its claim and its work.
struct ClaimedJob {
    lease: Lease,
    sent: Option<SentJob>,
    claimed_us: u64,
}

/// A job on its way to the ack.
enum Settled {
    /// The work is done.
    Finished { job: ClaimedJob, started_us: u64, finished_us: u64 },
    /// A stop came before the work began.
    Unstarted(Lease),
}

/// The worker's own queue between claim and work.
struct LocalQueue {
    jobs: Mutex<VecDeque<ClaimedJob>>,
    /// One permit per waiting job; closed when no more will come.
    waiting: Semaphore,
    /// One permit per job that the worker has room for.
    room: Semaphore,
    /// A worker without a completion buffer holds its room until the ack returned (claim, work, ack, claim …); one with a
    /// buffer, its own or the library's, goes on as soon as the work is done.
    holds_room_until_ack: bool,
}

impl LocalQueue {
    fn push(&self, job: ClaimedJob) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        self.waiting.add_permits(1);
    }

    fn pop(&self) -> Option<ClaimedJob> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The next job to work on; `None` once the queue is closed, whatever is still in it.
    async fn next(&self) -> Option<ClaimedJob> {
        self.waiting.acquire().await.ok()?.forget();
        self.pop()
    }
}

/// Runs one worker until it is told to stop, then lets running work finish, acks it, and hands back what was claimed and
/// never begun. `sink` takes the records.
pub async fn run(context: Arc<WorkerContext>, worker: u32, consumer: Consumer, sink: RecordSink) {
    // A claim may always be as large as it was asked to be, even where no job is claimed ahead on purpose.
    let room = (context.concurrency + context.prefetch).max(context.claim_batch) as usize;
    let Consumer { claimer, acker } = consumer;
    let queue = LocalQueue {
        jobs: Mutex::new(VecDeque::with_capacity(room)),
        waiting: Semaphore::new(0),
        room: Semaphore::new(room),
        holds_room_until_ack: context.ack_batch == 1 && !acker.gathers(),
    };
    let (settled, to_settle) = mpsc::channel(room + context.ack_batch as usize);
    tokio::join!(
        ack_loop(&context, worker, acker, &queue, to_settle, sink),
        work_loop(&context, &queue, settled),
        claim_loop(&context, claimer, &queue),
    );
}

async fn claim_loop(context: &WorkerContext, mut claimer: Box<dyn Claimer>, queue: &LocalQueue) {
    let mut leases = Vec::with_capacity(context.claim_batch as usize);
    let mut patience = Patience::default();
    let reclaim_every = context.lease / 2;
    let mut reclaim_at = Instant::now() + reclaim_every;
    while !context.stop.load(Ordering::Acquire) {
        let Ok(first) = queue.room.acquire().await else { break };
        first.forget();
        let mut room = 1;
        while room < context.claim_batch && queue.room.try_acquire().map(|permit| permit.forget()).is_ok() {
            room += 1;
        }
        let pass = context.valve.enter().await;
        // Room and valve were waited for; a stop may have come meanwhile.
        if context.stop.load(Ordering::Acquire) {
            break;
        }
        // As for producers: a backend that never waits must not keep the thread.
        tokio::task::consume_budget().await;
        leases.clear();
        let result = if context.recovery == Recovery::LeaseExpiry && Instant::now() >= reclaim_at {
            reclaim_at = Instant::now() + reclaim_every;
            claimer.reclaim(room, &mut leases).await
        } else {
            claimer.claim(room, CLAIM_WAIT, &mut leases).await
        };
        drop(pass);
        let claimed_us = context.clock.now_us();
        if leases.len() as u64 > u64::from(room) {
            Incidents::add(&context.incidents.overclaimed);
        }
        queue.room.add_permits((room as usize).saturating_sub(leases.len()));
        for lease in leases.drain(..) {
            let sent = context.ledger.delivered(&lease);
            if lease.payload != context.payload {
                Incidents::add(&context.incidents.corrupted);
            }
            queue.push(ClaimedJob { lease, sent, claimed_us });
        }
        match result {
            Ok(()) => patience.restore(),
            Err(error) => match patience.advise(&error, "a worker's claim", &context.incidents, Instant::now()) {
                Advice::RetryAfter(pause) => sleep(pause).await,
                Advice::GiveUp => break,
            },
        }
    }
    queue.waiting.close();
}

async fn work_loop(context: &WorkerContext, queue: &LocalQueue, settled: mpsc::Sender<Settled>) {
    join_all((0..context.concurrency).map(|_| work_slot(context, queue, &settled))).await;
    while let Some(job) = queue.pop() {
        // The receiver outlives every sender; it fails only when the ack loop panicked, which ends the task anyway.
        let _ = settled.send(Settled::Unstarted(job.lease)).await;
    }
}

async fn work_slot(context: &WorkerContext, queue: &LocalQueue, settled: &mpsc::Sender<Settled>) {
    while let Some(job) = queue.next().await {
        if context.stop.load(Ordering::Acquire) {
            let _ = settled.send(Settled::Unstarted(job.lease)).await;
            continue;
        }
        let started_us = context.clock.now_us();
        let finished_us = if context.work.is_zero() {
            started_us
        } else {
            sleep(context.work).await;
            context.clock.now_us()
        };
        if !queue.holds_room_until_ack {
            queue.room.add_permits(1);
        }
        if settled.send(Settled::Finished { job, started_us, finished_us }).await.is_err() {
            return;
        }
    }
}

/// Finished jobs of one ack call, in columns: the backend takes the leases as a slice.
#[derive(Default)]
struct AckBatch {
    leases: Vec<Lease>,
    times: Vec<(Option<SentJob>, u64, u64, u64)>,
    unstarted: Vec<Lease>,
}

impl AckBatch {
    fn add(&mut self, settled: Settled) {
        match settled {
            Settled::Finished { job, started_us, finished_us } => {
                self.leases.push(job.lease);
                self.times.push((job.sent, job.claimed_us, started_us, finished_us));
            }
            Settled::Unstarted(lease) => self.unstarted.push(lease),
        }
    }
}

async fn ack_loop(
    context: &WorkerContext,
    worker: u32,
    mut acker: Box<dyn Acker>,
    queue: &LocalQueue,
    mut to_settle: mpsc::Receiver<Settled>,
    mut sink: RecordSink,
) {
    if acker.overlapping().is_some() {
        overlapping_acks::run(context, worker, acker, queue, to_settle, sink).await;
        return queue.room.close();
    }
    let mut batch = AckBatch::default();
    let mut outcomes = AckOutcomes::default();
    while let Some(first) = to_settle.recv().await {
        batch.add(first);
        let deadline = tokio::time::Instant::now() + context.ack_linger;
        while batch.leases.len() < context.ack_batch as usize {
            let next = match to_settle.try_recv() {
                Ok(next) => Some(next),
                Err(_) if context.ack_linger.is_zero() => None,
                Err(_) => timeout_at(deadline, to_settle.recv()).await.ok().flatten(),
            };
            match next {
                Some(next) => batch.add(next),
                None => break,
            }
        }
        if !batch.leases.is_empty() {
            ack_until_answered(context, acker.as_mut(), &batch.leases, &mut outcomes).await;
            let acked_us = context.clock.now_us();
            record_batch(context, worker, &batch, &outcomes, acked_us, &mut sink);
            if queue.holds_room_until_ack {
                queue.room.add_permits(batch.leases.len());
            }
            batch.leases.clear();
            batch.times.clear();
        }
        if !batch.unstarted.is_empty() {
            hand_back(context, acker.as_mut(), queue, &mut batch.unstarted).await;
        }
    }
    // A claim loop that waits for room must not wait for an ack loop that has ended.
    queue.room.close();
}

/// Gives back what was never begun.
async fn hand_back(context: &WorkerContext, acker: &mut dyn Acker, queue: &LocalQueue, unstarted: &mut Vec<Lease>) {
    match acker.nack(unstarted).await {
        Ok(()) => unstarted.iter().for_each(|lease| context.ledger.handed_back(lease)),
        // Their leases expire, so nothing is lost; it only takes longer.
        Err(error) => context.incidents.count(&error),
    }
    queue.room.add_permits(unstarted.len());
    unstarted.clear();
}

/// Acks `leases`, trying again after errors, and appends what is known of each.
///
/// An ack that got no answer may have happened. The retry then finds the lease gone, which looks the same as a lease that
/// had passed on, and a transaction that was rolled back: so it is [`Outcome::Unknown`], to be settled by another delivery
/// of the job or by the server's own account at the end (METHODOLOGY A3).
async fn ack_until_answered(
    context: &WorkerContext,
    acker: &mut dyn Acker,
    leases: &[Lease],
    outcomes: &mut AckOutcomes,
) {
    let mut patience = Patience::default();
    let mut unanswered = false;
    let AckOutcomes { statuses, outcomes } = outcomes;
    outcomes.clear();
    loop {
        statuses.clear();
        match acker.ack(leases, statuses).await {
            Ok(()) => {
                outcomes.extend(statuses.iter().map(|status| match status {
                    AckStatus::Acked => Outcome::Acked,
                    AckStatus::Stale if unanswered => Outcome::Unknown,
                    AckStatus::Stale => Outcome::Stale,
                }));
                return;
            }
            Err(error) => {
                unanswered |= !matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Connect | ErrorKind::Gone);
                match patience.advise(&error, "a worker's ack", &context.incidents, Instant::now()) {
                    Advice::RetryAfter(pause) => sleep(pause).await,
                    Advice::GiveUp => {
                        outcomes.extend(leases.iter().map(|_| Outcome::Unknown));
                        return;
                    }
                }
            }
        }
    }
}

/// What is known of each lease of an ack, with the buffer that the backend answers into.
#[derive(Default)]
struct AckOutcomes {
    statuses: Vec<AckStatus>,
    outcomes: Vec<Outcome>,
}

fn record_batch(
    context: &WorkerContext,
    worker: u32,
    batch: &AckBatch,
    outcomes: &AckOutcomes,
    acked_us: u64,
    sink: &mut RecordSink,
) {
    for ((lease, times), outcome) in batch.leases.iter().zip(&batch.times).zip(&outcomes.outcomes) {
        match outcome {
            Outcome::Acked => context.ledger.completed(lease.job.0),
            Outcome::Stale => Incidents::add(&context.incidents.stale_acks),
            Outcome::Unknown => context.ledger.ack_unknown(lease.job.0),
        }
        let (Some(sent), claimed_us, started_us, finished_us) = *times else { continue };
        sink.push(JobRecord {
            job: lease.job.0,
            worker,
            attempt: lease.attempt,
            intended_us: sent.intended_us,
            sent_us: sent.sent_us,
            enqueued_us: sent.confirmed_us.map_or(claimed_us, |confirmed_us| confirmed_us.min(claimed_us)),
            claimed_us,
            started_us,
            finished_us,
            acked_us,
            phase: sent.phase,
            outcome: *outcome,
        });
    }
}
