//! The driver against queues that misbehave: what it offers does not depend on them, and what they do is noticed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use qbench_backends::{
    Admin, Backend, BackendConfig, BackendOptions, Capabilities, Claimer, Consumer, Error, ErrorKind, JobId, Lease,
    NewJob, Producer, ProducerId, Result, RoundTrips, Wake, WorkerId, registry,
};
use qbench_harness::audit;
use qbench_harness::clock::{PhaseCell, RunClock, RunPhase};
use qbench_harness::driver::incidents::Incidents;
use qbench_harness::driver::phases::{LoadOutcome, LoadPlan, LoadRun, Observer};
use qbench_harness::driver::schedule::{Arrivals, Schedule};
use qbench_schema::record::Stage;
use qbench_schema::result::{Audit, Durability, Verdict};

/// What the queue does wrong, once or for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Every enqueue of one job in a hundred takes half a second.
    Stalls,
    /// Confirms job 17 and throws it away.
    LosesAJob,
    /// Delivers job 17 under a number that was never sent.
    ForgesANumber,
    /// Delivers job 17 with another payload.
    ChangesAPayload,
    /// Answers every tenth claim with more than it was asked for.
    Overclaims,
    /// Rejects every fifth enqueue; nothing happened.
    Rejects,
}

/// The `memory` backend with a fault.
struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Fault,
    calls: Arc<AtomicU64>,
}

#[async_trait]
impl Backend for Faulty {
    fn id(&self) -> &'static str {
        "faulty"
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
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
        Ok(Consumer { claimer: Box::new(FaultyClaimer { inner: claimer, fault: self.fault, calls: 0 }), acker })
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
        match self.fault {
            Fault::Stalls if call % 100 == 50 => tokio::time::sleep(Duration::from_millis(500)).await,
            Fault::LosesAJob if jobs[0].job == JobId(17) => return Ok(()),
            Fault::Rejects if call % 5 == 3 => {
                return Err(Error::new(ErrorKind::Rejected, "enqueue", "deadlock detected").with_code("40P01"));
            }
            _ => {}
        }
        self.inner.enqueue(jobs).await
    }
}

struct FaultyClaimer {
    inner: Box<dyn Claimer>,
    fault: Fault,
    calls: u64,
}

#[async_trait]
impl Claimer for FaultyClaimer {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        self.calls += 1;
        let limit = if self.fault == Fault::Overclaims && self.calls.is_multiple_of(10) { limit + 1 } else { limit };
        self.inner.claim(limit, wait, out).await?;
        for lease in out.iter_mut().filter(|lease| lease.job == JobId(17)) {
            match self.fault {
                Fault::ForgesANumber => lease.job = JobId(1_000_000),
                Fault::ChangesAPayload => lease.payload = Bytes::from_static(b"not what was sent"),
                _ => {}
            }
        }
        Ok(())
    }
    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.inner.reclaim(limit, out).await
    }
}

struct Nobody;

impl Observer for Nobody {
    fn progress(&mut self, _: RunPhase, _: Duration, _: Duration, _: u64) {}
    fn measured_start(&mut self) {}
    fn measured_end(&mut self) {}
}

fn memory() -> Arc<dyn Backend> {
    let config = BackendConfig {
        url: None,
        namespace: "test".into(),
        durability: Durability::D0,
        lease: Duration::from_secs(30),
        wake: Wake::Block,
        poll_interval: Duration::from_millis(5),
        workers: 4,
        timeout: Duration::from_secs(5),
        options: BackendOptions::default(),
        round_trips: RoundTrips::default(),
    };
    (registry::find("memory").unwrap().open)(&config).unwrap()
}

fn plan(rate_jobs_s: f64) -> LoadPlan {
    LoadPlan {
        schedule: Arc::new(Schedule::new(None, rate_jobs_s, Duration::from_secs(1), Arrivals::Constant)),
        producers: 2,
        enqueue_batch: 1,
        workers: 4,
        concurrency: 2,
        claim_batch: 1,
        prefetch: 0,
        ack_batch: 1,
        ack_linger: Duration::ZERO,
        work: Duration::ZERO,
        payload: Bytes::from_static(b"payload"),
        lease: Duration::from_secs(30),
        drain_deadline: Duration::from_secs(10),
    }
}

struct Driven {
    outcome: LoadOutcome,
    audit: Audit,
    incidents: Arc<Incidents>,
}

async fn drive(backend: Arc<dyn Backend>, plan: LoadPlan, interrupt_after: Option<Duration>) -> Driven {
    let incidents = Arc::new(Incidents::default());
    let interrupt = Arc::new(AtomicBool::new(false));
    if let Some(delay) = interrupt_after {
        let interrupt = Arc::clone(&interrupt);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            interrupt.store(true, Ordering::Release);
        });
    }
    let capabilities = backend.capabilities();
    let mut admin = backend.admin().await.unwrap();
    admin.setup().await.unwrap();
    let run = LoadRun {
        plan: &plan,
        backend,
        clock: RunClock::start(),
        phase: PhaseCell::default(),
        incidents: Arc::clone(&incidents),
        interrupt,
    };
    let outcome = run.drive(admin.as_mut(), None, &mut Nobody).await.unwrap();
    let audit = audit::judge(&outcome.totals, &incidents, &outcome.census, outcome.drained, &capabilities);
    Driven { outcome, audit, incidents }
}

async fn drive_faulty(fault: Fault) -> Driven {
    let backend = Arc::new(Faulty { inner: memory(), fault, calls: Arc::default() });
    drive(backend, plan(400.0), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_every_job_is_accounted_for() {
    let driven = drive_faulty(Fault::Nothing).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let jobs = driven.outcome.totals.measured;
    assert_eq!((jobs.intended, jobs.sent, jobs.enqueued, jobs.completed), (400, 400, 400, 400));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalling_queue_changes_the_latency_and_never_the_arrivals() {
    let driven = drive_faulty(Fault::Stalls).await;
    assert_eq!(driven.outcome.totals.measured.intended, 400);
    assert_eq!(driven.outcome.totals.measured.completed, 400);
    // Both producers stall for half a second now and then, so jobs that were due meanwhile waited for most of it.
    let latency = driven.outcome.recording.histograms.percentiles_ms(Stage::EndToEnd);
    assert!(latency.p95 >= 200.0, "latency counts from the intended instant: p95 {} ms", latency.p95);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_job_is_noticed() {
    let driven = drive_faulty(Fault::LosesAJob).await;
    assert_eq!((driven.audit.verdict, driven.audit.lost), (Verdict::Violated, 1), "{:?}", driven.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_number_a_changed_payload_and_a_claim_beyond_its_limit_are_violations() {
    let forged = drive_faulty(Fault::ForgesANumber).await.audit;
    assert_eq!((forged.verdict, forged.unexpected), (Verdict::Violated, 1));
    let changed = drive_faulty(Fault::ChangesAPayload).await.audit;
    assert_eq!((changed.verdict, changed.corrupted), (Verdict::Violated, 1));
    // A claim can only exceed its limit when more than one job waits, so the jobs arrive faster than claims return.
    let backend = Arc::new(Faulty { inner: memory(), fault: Fault::Overclaims, calls: Arc::default() });
    let mut busy = plan(400.0);
    (busy.workers, busy.concurrency, busy.work) = (1, 1, Duration::from_millis(5));
    busy.drain_deadline = Duration::from_secs(10);
    let overclaimed = drive(backend, busy, None).await.audit;
    assert_eq!(overclaimed.verdict, Verdict::Violated);
    assert!(overclaimed.overclaimed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_enqueue_is_tried_again_and_counted() {
    let driven = drive_faulty(Fault::Rejects).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert_eq!(driven.outcome.totals.measured.completed, 400);
    assert!(driven.incidents.errors()["40P01"] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_runs_and_hands_back_what_was_never_begun() {
    let mut slow = plan(400.0);
    (slow.workers, slow.concurrency, slow.prefetch, slow.claim_batch) = (2, 1, 20, 10);
    (slow.ack_batch, slow.ack_linger, slow.work) = (5, Duration::from_millis(50), Duration::from_millis(40));
    let driven = drive(memory(), slow, Some(Duration::from_millis(500))).await;
    assert!(driven.outcome.interrupted);
    let census = driven.outcome.census.unwrap();
    let totals = driven.outcome.totals;
    assert_eq!(census.in_flight, 0, "no job waits for its lease to end");
    assert_eq!(census.done, Some(totals.completed), "every finished job was acked");
    assert_eq!(census.ready, totals.confirmed - totals.completed, "every unstarted job was handed back");
    assert!(totals.completed > 0 && census.ready > 0);
    assert_eq!(driven.audit.verdict, Verdict::Inconclusive);
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_up_jobs_are_audited_and_not_reported() {
    let mut warmed = plan(200.0);
    let warmup = Some((500.0, Duration::from_millis(600)));
    warmed.schedule = Arc::new(Schedule::new(warmup, 200.0, Duration::from_secs(1), Arrivals::Constant));
    let driven = drive(memory(), warmed, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert_eq!(driven.outcome.totals.completed, 500);
    assert_eq!(driven.outcome.totals.measured.intended, 200);
    assert_eq!(driven.outcome.recording.completed_by_worker.iter().sum::<u64>(), 200);
}
