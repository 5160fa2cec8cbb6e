//! A worker: claims, works, acks. One shape for every combination of concurrency, batches, prefetch and linger.
//!
//! Three loops run inside one task and hand jobs on: `claim_loop` fills the worker's buffer,
//! `concurrency` slots work, `ack_loop` settles what is finished. They share a task so that handing on costs no wake-up
//! of another thread.

mod overlapping_acks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use qbench_backends::{AckStatus, Acker, Claimer, Consumer, Lease, Recovery, WorkResult};
use qbench_schema::record::{JobRecord, Outcome};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

use super::buffer::Buffer;
use super::incidents::{Advice, Incidents, Patience};
use super::ledger::{Ledger, SentJob};
use super::plan::LoadPlan;
use super::valve::Valve;
use super::work::{self, WorkEnd};
use crate::record::RecordSink;
use qbench_ground::clock::RunClock;

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
    /// What is driven; its concurrency is that of one consumer.
    pub plan: LoadPlan,
    /// How the backend finds jobs of vanished consumers.
    pub recovery: Recovery,
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
    /// The work ended.
    Finished { job: ClaimedJob, started_us: u64, finished_us: u64, end: WorkEnd },
    /// A stop came before the work began.
    Unstarted(Lease),
}

/// Runs one worker until it is told to stop, then lets running work finish, acks it, and hands back what was claimed and
/// never begun. `sink` takes the records.
pub async fn run(context: Arc<WorkerContext>, worker: u32, consumer: Consumer, sink: RecordSink) {
    let Consumer { claimer, acker } = consumer;
    let buffer =
        Buffer::new(&context.plan.worker).holding_until_ack(context.plan.worker.ack_jobs() == 1 && !acker.gathers());
    let (settled, to_settle) = mpsc::channel(buffer.most() + context.plan.worker.ack_jobs() as usize);
    tokio::join!(
        ack_loop(&context, worker, acker, &buffer, to_settle, sink),
        work_loop(&context, &buffer, settled),
        claim_loop(&context, claimer, &buffer),
    );
}

async fn claim_loop(context: &WorkerContext, mut claimer: Box<dyn Claimer>, buffer: &Buffer<ClaimedJob>) {
    let mut leases = Vec::with_capacity(context.plan.worker.claim_batch.get() as usize);
    let mut patience = Patience::default();
    let reclaim_every = context.plan.lease / 2;
    let mut reclaim_at = Instant::now() + reclaim_every;
    while !context.stop.load(Ordering::Acquire) {
        let Some(room) = buffer.time_to_claim().await else { break };
        let limit = context.plan.worker.claim_batch.get().min(u32::try_from(room).unwrap_or(u32::MAX));
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
            claimer.reclaim(limit, &mut leases).await
        } else {
            claimer.claim(limit, CLAIM_WAIT, &mut leases).await
        };
        drop(pass);
        let claimed_us = context.clock.now_us();
        if leases.len() as u64 > u64::from(limit) {
            Incidents::add(&context.incidents.overclaimed);
        }
        buffer.claimed(limit as usize, leases.len());
        for lease in leases.drain(..) {
            let sent = context.ledger.delivered(&lease);
            if lease.payload != context.plan.payload {
                Incidents::add(&context.incidents.corrupted);
            }
            buffer.push(ClaimedJob { lease, sent, claimed_us });
        }
        match result {
            Ok(()) => patience.restore(),
            Err(error) => match patience.advise(&error, "a worker's claim", &context.incidents, Instant::now()) {
                Advice::RetryAfter(pause) => sleep(pause).await,
                Advice::GiveUp => break,
            },
        }
    }
    buffer.no_more_jobs();
}

async fn work_loop(context: &WorkerContext, buffer: &Buffer<ClaimedJob>, settled: mpsc::Sender<Settled>) {
    join_all((0..context.plan.worker.concurrency.get()).map(|_| work_slot(context, buffer, &settled))).await;
    while let Some(job) = buffer.pop() {
        // The receiver outlives every sender; it fails only when the ack loop panicked, which ends the task anyway.
        let _ = settled.send(Settled::Unstarted(job.lease)).await;
    }
}

async fn work_slot(context: &WorkerContext, buffer: &Buffer<ClaimedJob>, settled: &mpsc::Sender<Settled>) {
    while let Some(job) = buffer.next().await {
        if context.stop.load(Ordering::Acquire) {
            let _ = settled.send(Settled::Unstarted(job.lease)).await;
            continue;
        }
        let started_us = context.clock.now_us();
        let end = work::run(job.lease.job.0, context.plan.work, &context.plan.failures).await;
        let finished_us = if context.plan.work.is_zero() { started_us } else { context.clock.now_us() };
        buffer.worked();
        if settled.send(Settled::Finished { job, started_us, finished_us, end }).await.is_err() {
            return;
        }
    }
}

/// Finished jobs of one ack call, in columns: the backend takes the leases as a slice.
#[derive(Default)]
struct AckBatch {
    leases: Vec<Lease>,
    results: Vec<WorkResult>,
    times: Vec<Times>,
    unstarted: Vec<Lease>,
}

/// What the record of a finished job needs beside its lease.
struct Times {
    sent: Option<SentJob>,
    claimed_us: u64,
    started_us: u64,
    finished_us: u64,
    end: WorkEnd,
}

impl AckBatch {
    fn add(&mut self, settled: Settled) {
        match settled {
            Settled::Finished { job: ClaimedJob { lease, sent, claimed_us }, started_us, finished_us, end } => {
                self.leases.push(lease);
                self.results.push(match end {
                    WorkEnd::Succeeded => WorkResult::Succeeded,
                    WorkEnd::Failed | WorkEnd::Panicked => WorkResult::Failed,
                });
                self.times.push(Times { sent, claimed_us, started_us, finished_us, end });
            }
            Settled::Unstarted(lease) => self.unstarted.push(lease),
        }
    }

    /// Forgets the finished jobs.
    fn clear_finished(&mut self) {
        self.leases.clear();
        self.results.clear();
        self.times.clear();
    }
}

async fn ack_loop(
    context: &WorkerContext,
    worker: u32,
    mut acker: Box<dyn Acker>,
    buffer: &Buffer<ClaimedJob>,
    mut to_settle: mpsc::Receiver<Settled>,
    mut sink: RecordSink,
) {
    if acker.overlapping().is_some() {
        overlapping_acks::run(context, worker, acker, buffer, to_settle, sink).await;
        return buffer.no_more_room();
    }
    let mut batch = AckBatch::default();
    let mut outcomes = AckOutcomes::default();
    while let Some(first) = to_settle.recv().await {
        batch.add(first);
        let deadline = tokio::time::Instant::now() + context.plan.worker.linger();
        while batch.leases.len() < context.plan.worker.ack_jobs() as usize {
            let next = match to_settle.try_recv() {
                Ok(next) => Some(next),
                // Jobs that were never begun mean a stop: nothing is waited for any more.
                Err(_) if context.plan.worker.linger().is_zero() || !batch.unstarted.is_empty() => None,
                Err(_) => timeout_at(deadline, to_settle.recv()).await.ok().flatten(),
            };
            match next {
                Some(next) => batch.add(next),
                None => break,
            }
        }
        if !batch.leases.is_empty() {
            ack_until_answered(context, acker.as_mut(), &batch, &mut outcomes).await;
            let acked_us = context.clock.now_us();
            record_batch(context, worker, &batch, &outcomes, acked_us, &mut sink);
            buffer.acked(batch.leases.len());
            batch.clear_finished();
        }
        if !batch.unstarted.is_empty() {
            hand_back(context, acker.as_mut(), buffer, &mut batch.unstarted).await;
        }
    }
    // A claim loop that waits for room must not wait for an ack loop that has ended.
    buffer.no_more_room();
}

/// Gives back `unstarted`, whose work never began. Tried again only where nothing had happened, as in a deadlock: a second nack
/// after one without an answer could put a job back twice. What is not given back comes back when its lease ends.
async fn hand_back(
    context: &WorkerContext,
    acker: &mut dyn Acker,
    buffer: &Buffer<ClaimedJob>,
    unstarted: &mut Vec<Lease>,
) {
    let mut patience = Patience::default();
    loop {
        let error = match acker.nack(unstarted).await {
            Ok(()) => {
                unstarted.iter().for_each(|lease| context.ledger.handed_back(lease));
                break;
            }
            Err(error) => error,
        };
        if !error.kind().certainly_did_not_happen() {
            context.incidents.count(&error);
            break;
        }
        match patience.advise(&error, "a worker's nack", &context.incidents, Instant::now()) {
            Advice::RetryAfter(pause) => sleep(pause).await,
            Advice::GiveUp => break,
        }
    }
    buffer.settled(unstarted.len());
    unstarted.clear();
}

/// Acks the finished jobs of `batch`, trying again after errors, and appends what is known of each.
///
/// An ack that got no answer may have happened. The retry then finds the lease gone, which looks the same as a lease that
/// had passed on, and a transaction that was rolled back: so it is [`Outcome::Unknown`], to be settled by another delivery
/// of the job or by the server's own account at the end (METHODOLOGY A3).
async fn ack_until_answered(
    context: &WorkerContext,
    acker: &mut dyn Acker,
    batch: &AckBatch,
    outcomes: &mut AckOutcomes,
) {
    let mut patience = Patience::default();
    let mut unanswered = false;
    let AckOutcomes { statuses, outcomes } = outcomes;
    outcomes.clear();
    loop {
        statuses.clear();
        let answer = match batch.results.contains(&WorkResult::Failed) {
            false => acker.ack(&batch.leases, statuses).await,
            true => acker.ack_results(&batch.leases, &batch.results, statuses).await,
        };
        match answer {
            Ok(()) => {
                outcomes.extend(statuses.iter().zip(&batch.times).map(|(status, times)| match status {
                    AckStatus::Acked => match times.end {
                        WorkEnd::Succeeded => Outcome::Acked,
                        WorkEnd::Failed => Outcome::Failed,
                        WorkEnd::Panicked => Outcome::Panicked,
                    },
                    AckStatus::Stale if unanswered => Outcome::Unknown,
                    AckStatus::Stale => Outcome::Stale,
                }));
                return;
            }
            Err(error) => {
                unanswered |= !error.kind().certainly_did_not_happen();
                match patience.advise(&error, "a worker's ack", &context.incidents, Instant::now()) {
                    Advice::RetryAfter(pause) => sleep(pause).await,
                    Advice::GiveUp => {
                        outcomes.extend(batch.leases.iter().map(|_| Outcome::Unknown));
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
            Outcome::Failed => context.ledger.failed(lease.job.0, false),
            Outcome::Panicked => context.ledger.failed(lease.job.0, true),
            Outcome::Stale => Incidents::add(&context.incidents.stale_acks),
            Outcome::Unknown => context.ledger.ack_unknown(lease.job.0),
        }
        let Times { sent: Some(sent), claimed_us, started_us, finished_us, .. } = *times else { continue };
        sink.push(JobRecord {
            job: lease.job.0,
            worker,
            attempt: lease.attempt,
            intended_us: sent.intended_us,
            released_us: sent.released_us,
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
