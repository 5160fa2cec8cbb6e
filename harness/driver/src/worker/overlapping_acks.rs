//! Settles finished jobs where acks may overlap ([`Acker::overlapping`]): each batch goes out as soon as it is due, whatever
//! became of the ones before.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use qbench_backends::Acker;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{AckBatch, AckOutcomes, ClaimedJob, Settled, WorkerContext, ack_until_answered, hand_back, record_batch};
use crate::buffer::Buffer;
use crate::record::RecordSink;

/// What carries one ack.
struct Carrier {
    acker: Box<dyn Acker>,
    batch: AckBatch,
    outcomes: AckOutcomes,
}

impl Carrier {
    fn new(acker: Box<dyn Acker>) -> Self {
        Carrier { acker, batch: AckBatch::default(), outcomes: AckOutcomes::default() }
    }

    /// Acks what it was given, and returns with the instant of the answer.
    async fn carry(mut self, context: &WorkerContext) -> (Self, u64) {
        ack_until_answered(context, self.acker.as_mut(), &self.batch, &mut self.outcomes).await;
        (self, context.clock.now_us())
    }
}

/// Runs until nothing more comes and every ack is answered.
pub(super) async fn run(
    context: &WorkerContext,
    worker: u32,
    mut acker: Box<dyn Acker>,
    buffer: &Buffer<ClaimedJob>,
    mut to_settle: mpsc::Receiver<Settled>,
    mut sink: RecordSink,
) {
    let mut idle: Vec<Carrier> = Vec::new();
    let mut on_their_way = FuturesUnordered::new();
    let mut batch = AckBatch::default();
    let mut due_at = Instant::now();
    let mut open = true;
    while open || !batch.leases.is_empty() || !on_their_way.is_empty() {
        let is_full = batch.leases.len() >= context.plan.worker.ack_jobs() as usize;
        let mut is_due = is_full || !open;
        if !is_due {
            tokio::select! {
                // What has arrived goes into the batch before the batch goes.
                biased;
                next = to_settle.recv() => match next {
                    Some(settled) => {
                        if batch.leases.is_empty() {
                            due_at = Instant::now() + context.plan.worker.linger();
                        }
                        batch.add(settled);
                    }
                    None => open = false,
                },
                Some((carrier, acked_us)) = on_their_way.next(), if !on_their_way.is_empty() => {
                    idle.push(conclude(context, worker, carrier, acked_us, buffer, &mut sink));
                }
                () = sleep_until(due_at), if !batch.leases.is_empty() => is_due = true,
            }
        } else if batch.leases.is_empty()
            && let Some((carrier, acked_us)) = on_their_way.next().await
        {
            idle.push(conclude(context, worker, carrier, acked_us, buffer, &mut sink));
        }
        if !batch.unstarted.is_empty() {
            hand_back(context, acker.as_mut(), buffer, &mut batch.unstarted).await;
        }
        if is_due && !batch.leases.is_empty() {
            let Some(mut carrier) = idle.pop().or_else(|| acker.overlapping().map(Carrier::new)) else {
                return context.incidents.fail("a backend whose acks overlap gave no further acker".to_owned());
            };
            std::mem::swap(&mut carrier.batch, &mut batch);
            on_their_way.push(carrier.carry(context));
        }
    }
}

/// Records an answered ack, and makes its carrier ready for another one.
fn conclude(
    context: &WorkerContext,
    worker: u32,
    mut carrier: Carrier,
    acked_us: u64,
    buffer: &Buffer<ClaimedJob>,
    sink: &mut RecordSink,
) -> Carrier {
    let Carrier { batch, outcomes, .. } = &mut carrier;
    record_batch(context, worker, batch, outcomes, acked_us, sink);
    buffer.acked(batch.leases.len());
    batch.clear_finished();
    carrier
}
