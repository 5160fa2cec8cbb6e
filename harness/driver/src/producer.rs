//! Sends released jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::Bytes;
use qbench_backends::{JobId, NewJob, Producer};
use tokio::time::sleep;

use super::gate::ReleaseGate;
use super::incidents::{Advice, Incidents, Patience};
use super::ledger::Ledger;
use super::share::Share;
use qbench_ground::clock::RunClock;

/// What all producers of a run share.
pub struct ProducerContext {
    /// The run's clock.
    pub clock: RunClock,
    /// Where released jobs wait.
    pub gate: Arc<ReleaseGate>,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// What went wrong.
    pub incidents: Arc<Incidents>,
    /// Which jobs of the schedule are sent here.
    pub share: Share,
    /// Payload of every job; shared, never copied.
    pub payload: Bytes,
    /// Most jobs in one enqueue call; larger while a queue is filled beforehand.
    pub enqueue_batch: AtomicU32,
}

/// Sends jobs one call after the other until the gate is closed and empty. One producer has one call in flight; the run
/// has as many as it has producers (METHODOLOGY L7).
pub async fn run(context: Arc<ProducerContext>, mut producer: Box<dyn Producer>) {
    let ProducerContext { clock, gate, ledger, incidents, share, payload, enqueue_batch } = &*context;
    let mut jobs = Vec::with_capacity(enqueue_batch.load(Ordering::Acquire) as usize);
    let mut patience = Patience::default();
    loop {
        // A backend in this process answers without ever waiting; the others need the thread, too.
        tokio::task::consume_budget().await;
        let Some(range) = gate.take(enqueue_batch.load(Ordering::Acquire)).await else { return };
        jobs.clear();
        jobs.extend(range.clone().map(|own| NewJob { job: JobId(share.job_of(own)), payload: payload.clone() }));
        ledger.sent(&range, clock.now_us());
        loop {
            match producer.enqueue(&jobs).await {
                Ok(()) => {
                    ledger.confirmed(&range, clock.now_us());
                    patience.restore();
                    break;
                }
                Err(error) => {
                    let advice = patience.advise(&error, "a producer", incidents, Instant::now());
                    // Only what certainly did not happen may be sent again: the job could else be in the queue twice.
                    let unanswered = !error.kind().certainly_did_not_happen();
                    if unanswered {
                        ledger.unknown(&range);
                    }
                    match advice {
                        Advice::RetryAfter(pause) => sleep(pause).await,
                        Advice::GiveUp => {
                            if !unanswered {
                                ledger.refused(&range);
                            }
                            return;
                        }
                    }
                    if unanswered {
                        break;
                    }
                }
            }
        }
    }
}
