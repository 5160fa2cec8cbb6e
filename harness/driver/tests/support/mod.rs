//! The `memory` backend with a fault, and what it takes to drive it. Every test file compiles this and uses its own part.
#![allow(dead_code, reason = "every test file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use qbench_backends::{
    AckStatus, Acker, Admin, Backend, BackendConfig, BackendOptions, Claimer, ClientCounters, Consumer, Error,
    ErrorKind, JobId, Lease, NewJob, Producer, ProducerId, Result, Wake, WorkResult, WorkerId, registry,
};
use qbench_driver::audit;
use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_driver::phases::{LoadRun, Observer};
use qbench_driver::plan::LoadPlan;
use qbench_driver::record::RecordFiles;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::shards::threads_beside;
use qbench_driver::work::Failures;
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_schema::load::{Arrivals, WorkerSettings};
use qbench_schema::result::{Activity, Audit, Durability};

/// The job that faults happen to.
pub const VICTIM: JobId = JobId(17);

/// What the queue does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Every enqueue of one job in a hundred takes half a second.
    Stalls,
    /// Every enqueue takes 3 ms.
    SlowEnqueues,
    /// Confirms the victim's enqueue and throws the job away.
    LosesAnInsert,
    /// Performs the victim's ack and reports that the lease had passed on.
    DropsACompletion,
    /// Delivers the victim twice and confirms both acks.
    DeliversTwice,
    /// Acks the victim itself and delivers it to nobody.
    AcksWhatItNeverRan,
    /// Delivers the victim under a number that was never sent.
    ForgesANumber,
    /// Delivers the victim with another payload.
    ChangesAPayload,
    /// Answers every tenth claim with more than it was asked for.
    Overclaims,
    /// Rejects every fifth enqueue; nothing happened.
    Rejects,
    /// Fails the victim's enqueue for good after it has happened.
    FailsAfterInsert,
    /// The victim's ack happens, and its answer never arrives.
    LosesAnAnswer,
    /// Settles every failed job as done, and every job that is settled with it.
    CallsFailedJobsDone,
}

/// The `memory` backend with a fault.
pub struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Fault,
    calls: Arc<AtomicU64>,
}

impl Faulty {
    pub fn in_memory(fault: Fault) -> Arc<dyn Backend> {
        Arc::new(Faulty { inner: memory(), fault, calls: Arc::default() })
    }
}

#[async_trait]
impl Backend for Faulty {
    fn id(&self) -> &'static str {
        "faulty"
    }
    async fn admin(&self) -> Result<Box<dyn Admin>> {
        self.inner.admin().await
    }
    async fn producer(&self, id: ProducerId) -> Result<Box<dyn Producer>> {
        let inner = self.inner.producer(id).await?;
        Ok(Box::new(FaultyProducer { inner, fault: self.fault, calls: Arc::clone(&self.calls) }))
    }
    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let Consumer { claimer, acker } = self.inner.consumer(id).await?;
        // The one that acks behind the harness's back.
        let own = self.inner.consumer(id).await?.acker;
        Ok(Consumer {
            claimer: Box::new(FaultyClaimer { inner: claimer, own, fault: self.fault, calls: 0, again: None }),
            acker: Box::new(FaultyAcker { inner: acker, fault: self.fault, answered: true }),
        })
    }
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    fault: Fault,
    calls: Arc<AtomicU64>,
}

#[async_trait]
impl Producer for FaultyProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let has_victim = jobs.iter().any(|job| job.job == VICTIM);
        match self.fault {
            Fault::Stalls if call % 100 == 50 => tokio::time::sleep(Duration::from_millis(500)).await,
            Fault::SlowEnqueues => tokio::time::sleep(Duration::from_millis(3)).await,
            Fault::LosesAnInsert if has_victim => {
                let kept: Vec<NewJob> = jobs.iter().filter(|job| job.job != VICTIM).cloned().collect();
                return if kept.is_empty() { Ok(()) } else { self.inner.enqueue(&kept).await };
            }
            Fault::Rejects if call % 5 == 3 => {
                return Err(Error::new(ErrorKind::Rejected, "enqueue", "deadlock detected").with_code("40P01"));
            }
            Fault::FailsAfterInsert if has_victim => {
                self.inner.enqueue(jobs).await?;
                return Err(Error::new(ErrorKind::Server, "enqueue", "out of disk space").with_code("53100"));
            }
            _ => {}
        }
        self.inner.enqueue(jobs).await
    }
}

struct FaultyClaimer {
    inner: Box<dyn Claimer>,
    own: Box<dyn Acker>,
    fault: Fault,
    calls: u64,
    /// A lease to be delivered once more.
    again: Option<Lease>,
}

#[async_trait]
impl Claimer for FaultyClaimer {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        if let Some(lease) = self.again.take() {
            out.push(lease);
            return Ok(());
        }
        self.calls += 1;
        let limit = if self.fault == Fault::Overclaims && self.calls.is_multiple_of(10) { limit + 1 } else { limit };
        self.inner.claim(limit, wait, out).await?;
        let Some(place) = out.iter().position(|lease| lease.job == VICTIM) else { return Ok(()) };
        match self.fault {
            Fault::ForgesANumber => out[place].job = JobId(1_000_000),
            Fault::ChangesAPayload => out[place].payload = Bytes::from_static(b"not what was sent"),
            Fault::DeliversTwice => self.again = Some(out[place].clone()),
            Fault::AcksWhatItNeverRan => {
                let lease = out.remove(place);
                self.own.ack(&[lease], &mut Vec::new()).await?;
            }
            _ => {}
        }
        Ok(())
    }
    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.inner.reclaim(limit, out).await
    }
}

struct FaultyAcker {
    inner: Box<dyn Acker>,
    fault: Fault,
    /// False after an ack whose answer was thrown away.
    answered: bool,
}

#[async_trait]
impl Acker for FaultyAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        let victim = leases.iter().position(|lease| lease.job == VICTIM);
        let before = out.len();
        self.inner.ack(leases, out).await?;
        let Some(victim) = victim else { return Ok(()) };
        match self.fault {
            Fault::DropsACompletion => out[before + victim] = AckStatus::Stale,
            // Both deliveries may be in one ack.
            Fault::DeliversTwice => {
                let victims = leases.iter().zip(&mut out[before..]).filter(|(lease, _)| lease.job == VICTIM);
                victims.for_each(|(_, status)| *status = AckStatus::Acked);
            }
            Fault::LosesAnAnswer if self.answered => {
                self.answered = false;
                return Err(Error::new(ErrorKind::Unknown, "ack", "connection reset"));
            }
            _ => {}
        }
        Ok(())
    }
    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        match self.fault {
            Fault::CallsFailedJobsDone => self.inner.ack(leases, out).await,
            _ => self.inner.ack_results(leases, results, out).await,
        }
    }
    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        self.inner.nack(leases).await
    }
}

pub struct Nobody;

impl Observer for Nobody {
    fn progress(&mut self, _: RunPhase, _: Duration, _: Duration, _: u64) {}
    fn measured_start(&mut self) {}
    fn measured_end(&mut self) {}
}

/// The in-process backend that every fault is put in front of.
pub fn memory() -> Arc<dyn Backend> {
    let config = BackendConfig {
        durability: Durability::D0,
        wake: Wake::Block,
        poll_interval: Duration::from_millis(5),
        workers: 4,
        timeout: Duration::from_secs(5),
        ..BackendConfig::new("test")
    };
    registry::find("memory").unwrap().open(&config).unwrap()
}

/// A constant load for `duration` after nothing.
pub fn on_schedule(rate_jobs_s: f64, duration: Duration) -> Schedule {
    Schedule::new(None, 0, MeasuredLoad::OnSchedule { rate_jobs_s, duration, arrivals: Arrivals::Constant, seed: 0 })
}

/// So many, which are not none.
pub fn jobs(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// A small load of one second without work.
pub fn plan(rate_jobs_s: f64) -> LoadPlan {
    LoadPlan {
        schedule: Arc::new(on_schedule(rate_jobs_s, Duration::from_secs(1))),
        activity: Activity::Both,
        max_backlog: 1_000,
        prefill_batch: 100,
        producers: 2,
        enqueue_batch: 1,
        workers: 4,
        worker: WorkerSettings { concurrency: jobs(2), refill: Some(0), ..WorkerSettings::default() },
        work: Duration::ZERO,
        failures: Failures::default(),
        payload: Bytes::from_static(b"payload"),
        lease: Duration::from_secs(30),
        drain_deadline: Duration::from_secs(10),
    }
}

/// What came of a drive.
pub struct Driven {
    pub outcome: LoadOutcome,
    pub audit: Audit,
    pub incidents: Arc<Incidents>,
}

/// Drives `backend` with `plan`, stopped after `interrupt_after`.
pub async fn drive(backend: Arc<dyn Backend>, plan: LoadPlan, interrupt_after: Option<Duration>) -> Driven {
    let incidents = Arc::new(Incidents::default());
    let interrupt = Arc::new(AtomicBool::new(false));
    if let Some(delay) = interrupt_after {
        let interrupt = Arc::clone(&interrupt);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            interrupt.store(true, Ordering::Release);
        });
    }
    let capabilities = registry::find("memory").unwrap().capabilities(&BackendOptions::default()).unwrap();
    let mut admin = backend.admin().await.unwrap();
    admin.setup().await.unwrap();
    let run = LoadRun {
        plan: &plan,
        threads: threads_beside(false),
        backend,
        capabilities: &capabilities,
        counters: ClientCounters::default(),
        clock: RunClock::start(),
        phase: PhaseCell::default(),
        incidents: Arc::clone(&incidents),
        interrupt,
        company: None,
    };
    let outcome = run.drive(admin.as_mut(), RecordFiles::default(), &mut Nobody).await.unwrap();
    let audit = audit::judge(&outcome.totals, &incidents, &outcome.census, outcome.end(), &capabilities);
    Driven { outcome, audit, incidents }
}
