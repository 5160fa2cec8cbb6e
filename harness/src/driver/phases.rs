//! One run of the load: connect, warm up, measure, drain, stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{Admin, Backend, Census, ProducerId, WorkerId};
use qbench_schema::result::Backlog;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::gate::ReleaseGate;
use super::incidents::Incidents;
use super::ledger::{Ledger, Totals};
use super::pacer::{self, PacerState};
use super::producer::{self, ProducerContext};
use super::schedule::{Schedule, Segment};
use super::worker::{self, WorkerContext};
use crate::clock::{PhaseCell, RunClock, RunPhase};
use crate::record::{Recorder, Recording};

/// How often the driver looks at backlog, interruption and fatal errors.
const TICK: Duration = Duration::from_millis(100);

/// An empty queue in which nothing completed for so long (and the length of the work) has given everything it will give.
const QUIET: Duration = Duration::from_secs(1);

/// How long producers and workers may take to end after they were told to, beyond the length of the work. A server that
/// answers needs milliseconds; one that does not is not waited for.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What to drive, fully decided.
#[derive(Debug)]
pub struct LoadPlan {
    /// Intended instants of every job.
    pub schedule: Arc<Schedule>,
    /// Producers, each with a connection and one call in flight.
    pub producers: u32,
    /// Most jobs in one enqueue call.
    pub enqueue_batch: u32,
    /// Workers.
    pub workers: u32,
    /// Jobs that one worker works on at the same time.
    pub concurrency: u32,
    /// Most jobs in one claim.
    pub claim_batch: u32,
    /// Jobs claimed ahead of a free slot.
    pub prefetch: u32,
    /// Most jobs in one ack.
    pub ack_batch: u32,
    /// How long a finished job may wait for its ack batch to fill.
    pub ack_linger: Duration,
    /// Simulated work.
    pub work: Duration,
    /// The payload of every job.
    pub payload: Bytes,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Limit on draining, after warm-up and after the measured phase.
    pub drain_deadline: Duration,
}

/// What the run tells others while it goes on.
pub trait Observer: Send {
    /// Called about ten times a second.
    fn progress(&mut self, phase: RunPhase, done: Duration, total: Duration, backlog: u64);
    /// The measured phase begins now.
    fn measured_start(&mut self);
    /// The measured phase ends now.
    fn measured_end(&mut self);
}

/// What came of the load.
pub struct LoadOutcome {
    /// The account of every job.
    pub totals: Totals,
    /// Histograms and per-worker counts of the measured phase.
    pub recording: Recording,
    /// Jobs completed between start and end of the measured phase: what the CPU time of that phase was spent on.
    pub completed_in_window: u64,
    /// Jobs in the system over the measured phase.
    pub backlog: Backlog,
    /// Start of the measured phase in microseconds of the run's clock; `None` when it was never reached.
    pub measured_start_us: Option<u64>,
    /// Its end: as planned, or when it was cut short.
    pub measured_end_us: u64,
    /// From the end of the measured phase to the last ack, or to giving up.
    pub drain_s: f64,
    /// Whether the queue was emptied to the end, so that what is missing now is lost.
    pub drained: bool,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// The server's own account, or why there is none.
    pub census: Result<Census, String>,
}

/// Why a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    AsPlanned,
    DeadlinePassed,
    Interrupted,
    Broken,
}

/// Everything that runs during a load.
struct Crew {
    producers: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

/// One load against one backend. Errors of single operations are in `incidents`; so is the reason when the run had to end
/// early ([`Incidents::fatal`]).
pub struct LoadRun<'a> {
    /// What to drive.
    pub plan: &'a LoadPlan,
    /// What to drive it against; its tables are set up.
    pub backend: Arc<dyn Backend>,
    /// The run's clock.
    pub clock: RunClock,
    /// Where the phase is announced.
    pub phase: PhaseCell,
    /// What goes wrong.
    pub incidents: Arc<Incidents>,
    /// Set from outside to stop gracefully.
    pub interrupt: Arc<AtomicBool>,
}

impl LoadRun<'_> {
    /// Runs warm-up, measured phase and drain. `metrics` is the job file, `admin` settles, counts and is asked for the
    /// depth.
    ///
    /// # Errors
    /// When connections cannot be opened, the job file cannot be created, or the system gives no thread.
    pub async fn drive(
        &self,
        admin: &mut dyn Admin,
        metrics: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<LoadOutcome> {
        let plan = self.plan;
        let ledger = Arc::new(Ledger::new(Arc::clone(&plan.schedule)));
        let gate = Arc::new(ReleaseGate::new());
        let pacer_state = Arc::new(PacerState::default());
        let stop = Arc::new(AtomicBool::new(false));
        let recorder = Recorder::start(metrics, plan.workers, Arc::clone(&self.incidents))?;
        let mut crew = self.start_crew(&ledger, &gate, &stop, &recorder).await?;

        let mut ended = Ended::AsPlanned;
        if let Some(warmup) = plan.schedule.warmup() {
            self.phase.enter(RunPhase::Warmup);
            ended = self.release(warmup, &ledger, &gate, &pacer_state, observer, &mut Vec::new()).await?;
            if ended == Ended::AsPlanned {
                ended = self.wait_until_drained(&ledger, RunPhase::Warmup, observer).await;
                if ended == Ended::DeadlinePassed {
                    self.incidents.fail(format!(
                        "the warm-up was not drained within {} s: {} jobs are left; lower the rate or add workers",
                        plan.drain_deadline.as_secs_f64(),
                        ledger.backlog()
                    ));
                    ended = Ended::Broken;
                }
            }
            if ended == Ended::AsPlanned
                && let Err(error) = admin.settle().await
            {
                self.incidents.fail(format!("settling the server after the warm-up failed: {error}"));
                ended = Ended::Broken;
            }
        }

        let measured = plan.schedule.measured();
        let mut completed_before = 0;
        let mut samples = Vec::with_capacity(measured.duration().as_secs() as usize * 10 + 16);
        if ended == Ended::AsPlanned {
            self.phase.enter(RunPhase::Measured);
            observer.measured_start();
            completed_before = ledger.completed_so_far();
            ended = self.release(measured, &ledger, &gate, &pacer_state, observer, &mut samples).await?;
            observer.measured_end();
        }
        let completed_in_window = ledger.completed_so_far() - completed_before;
        let measured_end_us = self.clock.now_us();
        self.phase.enter(RunPhase::Drain);
        pacer_state.stop();
        gate.close(pacer_state.released());
        let mut drained = false;
        if ended == Ended::AsPlanned {
            drained = self.drain(&ledger, &mut crew, admin, observer).await == Ended::AsPlanned;
        }
        self.dismiss(crew, &stop).await;
        let recording = recorder.finish();
        let mut totals = ledger.totals();
        // An interrupted schedule only intended what had fallen due.
        totals.measured.intended =
            totals.measured.intended.min(pacer_state.released().saturating_sub(measured.first_job()));
        let interrupted = self.interrupt.load(Ordering::Acquire);
        let last_us = recording.last_acked_us.max(measured_end_us);
        Ok(LoadOutcome {
            totals,
            completed_in_window,
            backlog: describe_backlog(&samples),
            measured_start_us: measured.start_us(),
            measured_end_us,
            drain_s: if drained { last_us - measured_end_us } else { self.clock.now_us() - measured_end_us } as f64
                / 1e6,
            drained,
            interrupted,
            census: admin.census().await.map_err(|error| error.to_string()),
            recording,
        })
    }

    /// Opens every connection and starts every task, before anything is measured.
    async fn start_crew(
        &self,
        ledger: &Arc<Ledger>,
        gate: &Arc<ReleaseGate>,
        stop: &Arc<AtomicBool>,
        recorder: &Recorder,
    ) -> anyhow::Result<Crew> {
        let plan = self.plan;
        let capabilities = self.backend.capabilities();
        let producer_context = Arc::new(ProducerContext {
            clock: self.clock,
            gate: Arc::clone(gate),
            ledger: Arc::clone(ledger),
            incidents: Arc::clone(&self.incidents),
            payload: plan.payload.clone(),
            enqueue_batch: plan.enqueue_batch,
        });
        // Where a consumer must settle a claim before the next one, every slot of a worker gets a consumer of its own.
        let consumers_per_worker = if capabilities.one_claim_at_a_time { plan.concurrency } else { 1 };
        let worker_context = Arc::new(WorkerContext {
            clock: self.clock,
            ledger: Arc::clone(ledger),
            incidents: Arc::clone(&self.incidents),
            stop: Arc::clone(stop),
            payload: plan.payload.clone(),
            work: plan.work,
            concurrency: plan.concurrency / consumers_per_worker,
            claim_batch: plan.claim_batch,
            prefetch: plan.prefetch,
            ack_batch: plan.ack_batch,
            ack_linger: plan.ack_linger,
            recovery: capabilities.recovery,
            lease: plan.lease,
        });
        let mut producers = Vec::with_capacity(plan.producers as usize);
        for id in 0..plan.producers {
            producers.push(self.backend.producer(ProducerId(id)).await?);
        }
        let mut consumers = Vec::with_capacity((plan.workers * consumers_per_worker) as usize);
        for worker in 0..plan.workers {
            for _ in 0..consumers_per_worker {
                consumers.push((worker, self.backend.consumer(WorkerId(worker)).await?));
            }
        }
        Ok(Crew {
            producers: producers
                .into_iter()
                .map(|producer| tokio::spawn(producer::run(Arc::clone(&producer_context), producer)))
                .collect(),
            workers: consumers
                .into_iter()
                .map(|(worker, consumer)| {
                    tokio::spawn(worker::run(Arc::clone(&worker_context), worker, consumer, recorder.sink()))
                })
                .collect(),
        })
    }

    /// Releases all jobs of `segment` and waits for the end of its duration. Samples the backlog into `samples`.
    async fn release(
        &self,
        segment: &Segment,
        ledger: &Ledger,
        gate: &Arc<ReleaseGate>,
        state: &Arc<PacerState>,
        observer: &mut dyn Observer,
        samples: &mut Vec<(u64, u64)>,
    ) -> anyhow::Result<Ended> {
        let start_us = self.clock.now_us();
        segment.begin(start_us);
        pacer::spawn(
            self.clock,
            Arc::clone(&self.plan.schedule),
            segment.phase(),
            Arc::clone(gate),
            Arc::clone(state),
        )?;
        let end = Instant::from_std(self.clock.at(start_us)) + segment.duration();
        let last_job = segment.first_job() + segment.jobs();
        let phase = self.phase.current();
        loop {
            let now = Instant::now();
            samples.push((self.clock.now_us(), ledger.backlog()));
            let done = segment.duration().saturating_sub(end.saturating_duration_since(now));
            observer.progress(phase, done, segment.duration(), ledger.backlog());
            if let Some(ended) = self.must_end() {
                state.stop();
                return Ok(ended);
            }
            if now >= end && state.released() >= last_job {
                return Ok(Ended::AsPlanned);
            }
            tokio::time::sleep_until((now + TICK).min(end.max(now + Duration::from_millis(1)))).await;
        }
    }

    fn must_end(&self) -> Option<Ended> {
        if self.incidents.fatal().is_some() {
            Some(Ended::Broken)
        } else if self.interrupt.load(Ordering::Acquire) {
            Some(Ended::Interrupted)
        } else {
            None
        }
    }

    /// Waits until every confirmed job has completed.
    async fn wait_until_drained(&self, ledger: &Ledger, phase: RunPhase, observer: &mut dyn Observer) -> Ended {
        let begun = Instant::now();
        // Short at first, because draining usually takes as long as one job; a scan of all slots is not done more often.
        let mut pause = Duration::from_millis(2);
        while !ledger.drained() {
            if let Some(ended) = self.must_end() {
                return ended;
            }
            if begun.elapsed() >= self.plan.drain_deadline {
                return Ended::DeadlinePassed;
            }
            observer.progress(phase, begun.elapsed(), self.plan.drain_deadline, ledger.backlog());
            sleep(pause).await;
            pause = (pause * 2).min(TICK);
        }
        Ended::AsPlanned
    }

    /// Lets producers send what was released, workers complete it, and the server say that nothing is left.
    async fn drain(
        &self,
        ledger: &Ledger,
        crew: &mut Crew,
        admin: &mut dyn Admin,
        observer: &mut dyn Observer,
    ) -> Ended {
        let deadline = Instant::now() + self.plan.drain_deadline;
        while !crew.producers.iter().all(JoinHandle::is_finished) {
            if let Some(ended) = self.must_end() {
                return ended;
            }
            if Instant::now() >= deadline {
                return Ended::DeadlinePassed;
            }
            sleep(Duration::from_millis(2)).await;
        }
        // A worker may hold jobs that the server does not show any more; this long after the last completion it holds none.
        let quiet = QUIET + self.plan.work + self.plan.ack_linger;
        let mut last_progress = (ledger.completed_so_far(), Instant::now());
        loop {
            let completed = ledger.completed_so_far();
            if completed != last_progress.0 {
                last_progress = (completed, Instant::now());
            }
            let accounted_for = ledger.drained();
            // Asked even when every confirmed job is done: one whose enqueue got no answer may still surface.
            if accounted_for || last_progress.1.elapsed() >= quiet {
                match admin.depth().await {
                    // An empty queue in which nothing moves any more is drained, whatever is missing: that is lost.
                    Ok(depth) if depth.ready + depth.in_flight == 0 => return Ended::AsPlanned,
                    Ok(_) => {}
                    Err(error) => self.incidents.count(&error),
                }
            }
            if let Some(ended) = self.must_end() {
                return ended;
            }
            if Instant::now() >= deadline {
                return Ended::DeadlinePassed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let done = self.plan.drain_deadline.saturating_sub(left);
            observer.progress(RunPhase::Drain, done, self.plan.drain_deadline, ledger.backlog());
            sleep(if accounted_for { TICK } else { Duration::from_millis(10) }).await;
        }
    }

    /// Ends every task: gracefully within [`STOP_GRACE`] and the length of the work, by abortion after that.
    async fn dismiss(&self, crew: Crew, stop: &AtomicBool) {
        stop.store(true, Ordering::Release);
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

/// Start, end, maximum and least-squares slope of `(instant in us, jobs)` samples.
fn describe_backlog(samples: &[(u64, u64)]) -> Backlog {
    let (Some((first_us, start)), Some((_, end))) = (samples.first(), samples.last()) else {
        return Backlog::default();
    };
    let points = samples.iter().map(|(at_us, jobs)| ((at_us - first_us) as f64 / 1e6, *jobs as f64));
    let count = samples.len() as f64;
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), (at_s, jobs)| (x + at_s, y + jobs));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (covariance, variance) = points
        .fold((0.0, 0.0), |(c, v), (at_s, jobs)| (c + (at_s - mean_x) * (jobs - mean_y), v + (at_s - mean_x).powi(2)));
    Backlog {
        start: *start,
        end: *end,
        max: samples.iter().map(|(_, jobs)| *jobs).max().unwrap_or_default(),
        slope_jobs_s: if variance > 0.0 { covariance / variance } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_that_grows_by_fifty_a_second_has_that_slope() {
        let samples: Vec<_> = (0..100).map(|tick| (1_000_000 + tick * 100_000, 7 + tick * 5)).collect();
        let backlog = describe_backlog(&samples);
        assert_eq!((backlog.start, backlog.end, backlog.max), (7, 502, 502));
        assert!((backlog.slope_jobs_s - 50.0).abs() < 1e-6);
    }

    #[test]
    fn no_samples_mean_no_backlog_and_no_slope() {
        assert_eq!(describe_backlog(&[]), Backlog::default());
        assert_eq!(describe_backlog(&[(5, 3)]).slope_jobs_s, 0.0);
    }
}
