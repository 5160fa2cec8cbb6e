//! The tasks of a run: producers and workers on their threads, with what all parts of the run share.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use qbench_backends::{ProducerId, WorkerId};
use qbench_schema::load::WorkerSettings;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::backlog::BacklogSamples;
use super::gate::ReleaseGate;
use super::ledger::Ledger;
use super::pacer::PacerState;
use super::plan::LoadPlan;
use super::producer::{self, ProducerContext};
use super::run::LoadRun;
use super::shards::Shards;
use super::valve::Valve;
use super::worker::{self, WorkerContext};
use crate::record::Recorder;

/// How long producers and workers may take to end after they were told to, beyond the length of the work. A server that
/// answers needs milliseconds; one that does not is not waited for.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Everything that runs during a load.
pub(super) struct Crew {
    producers: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// What the parts of one run share.
pub(super) struct Shared {
    /// Where producers and workers run; kept until they have ended.
    pub(super) shards: Shards,
    pub(super) ledger: Arc<Ledger>,
    pub(super) gate: Arc<ReleaseGate>,
    pub(super) pacer: Arc<PacerState>,
    pub(super) valve: Arc<Valve>,
    pub(super) producers: Arc<ProducerContext>,
    pub(super) samples: BacklogSamples,
}

impl LoadRun<'_> {
    /// Opens every connection and starts every task, before anything is measured.
    pub(super) async fn start_crew(&self, recorder: &Recorder) -> anyhow::Result<(Shared, Crew)> {
        let plan = self.plan;
        let ledger = Ledger::new(Arc::clone(&plan.schedule));
        let ledger = Arc::new(if self.shares_queue() { ledger.in_company() } else { ledger });
        let gate = Arc::new(ReleaseGate::new());
        let valve = Arc::new(Valve::open());
        let stop = Arc::new(AtomicBool::new(false));
        let capabilities = self.capabilities;
        let producer_context = Arc::new(ProducerContext {
            clock: self.clock,
            gate: Arc::clone(&gate),
            ledger: Arc::clone(&ledger),
            incidents: Arc::clone(&self.incidents),
            share: plan.schedule.share(),
            payload: plan.payload.clone(),
            enqueue_batch: AtomicU32::new(plan.enqueue_batch),
        });
        // Where a consumer must settle a claim before the next one, every slot of a worker gets a consumer of its own.
        let (consumers_per_worker, worker) = match capabilities.one_claim_at_a_time {
            true => (plan.worker.concurrency.get(), WorkerSettings { concurrency: NonZeroU32::MIN, ..plan.worker }),
            false => (1, plan.worker),
        };
        let worker_context = Arc::new(WorkerContext {
            clock: self.clock,
            ledger: Arc::clone(&ledger),
            incidents: Arc::clone(&self.incidents),
            stop: Arc::clone(&stop),
            plan: LoadPlan { worker, ..plan.clone() },
            recovery: capabilities.recovery,
            valve: Arc::clone(&valve),
        });
        let shards = Shards::start(self.threads)?;
        // A connection lives on the thread that opened it, so it is opened where it will be used.
        let mut producers = Vec::with_capacity(plan.producers as usize);
        for id in 0..plan.producers {
            let backend = Arc::clone(&self.backend);
            producers.push(shards.spawn(id as usize, async move { backend.producer(ProducerId(id)).await }).await??);
        }
        let mut consumers = Vec::with_capacity((plan.workers * consumers_per_worker) as usize);
        let first_worker = self.company.as_ref().map_or(0, |company| company.first_worker());
        for worker in 0..plan.workers {
            for _ in 0..consumers_per_worker {
                let backend = Arc::clone(&self.backend);
                let opened = shards
                    .spawn(worker as usize, async move { backend.consumer(WorkerId(first_worker + worker)).await });
                consumers.push((worker, opened.await??));
            }
        }
        let crew = Crew {
            producers: (producers.into_iter().enumerate())
                .map(|(id, producer)| shards.spawn(id, producer::run(Arc::clone(&producer_context), producer)))
                .collect(),
            workers: consumers
                .into_iter()
                .map(|(worker, consumer)| {
                    let work = worker::run(Arc::clone(&worker_context), worker, consumer, recorder.sink());
                    shards.spawn(worker as usize, work)
                })
                .collect(),
            stop,
        };
        let shared = Shared {
            shards,
            ledger,
            gate,
            pacer: Arc::default(),
            valve,
            producers: producer_context,
            samples: BacklogSamples::with_room_for(plan.schedule.measured().duration().as_secs()),
        };
        Ok((shared, crew))
    }

    /// Ends every task: gracefully within [`STOP_GRACE`] and the length of the work, by abortion after that.
    pub(super) async fn dismiss(&self, crew: Crew) {
        crew.stop.store(true, Ordering::Release);
        let deadline = Instant::now() + STOP_GRACE + self.plan.work;
        for mut task in crew.producers.into_iter().chain(crew.workers) {
            match timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(panic)) => self.incidents.fail(format!("a task of the driver panicked: {panic}")),
                Err(_) => {
                    task.abort();
                    // Waiting for the abortion lets its record sink go, so that the recorder can end.
                    let _ = task.await;
                }
            }
        }
    }
}
