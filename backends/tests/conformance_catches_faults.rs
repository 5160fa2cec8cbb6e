//! The suite is itself tested: each fault, put around the reference backend, makes the case that is about it fail.
//!
//! Time is paused, so waiting costs nothing.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use qbench_backends::Entry;
use qbench_backends::conformance::{self, Outcome, Report};
use qbench_backends::registry::{self};
use qbench_backends::{
    AckStatus, Acker, Admin, Backend, BackendConfig, BackendOptions, Capabilities, Census, Claimer, Consumer, Depth,
    Description, Lease, NewJob, Producer, ProducerId, Result, WorkResult, WorkerId,
};

/// What is wrong with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    ClaimsOneTooMany,
    DeliversTwice,
    LosesAJob,
    FlipsABit,
    CutsAtZero,
    LosesEmptyPayloads,
    NeverWakes,
    WakesOnlyOne,
    NeverWaits,
    CallsStaleAcksGood,
    CallsGoodAcksStale,
    AnswersAcksBackwards,
    KeepsJobsOnReset,
    ForgetsNackedJobs,
    AcceptsNacksItCannotDo,
    CallsFailedJobsDone,
    PutsFailedJobsBack,
    CallsStaleFailuresGood,
    AcceptsFailuresItCannotRecord,
    ReclaimsLiveLeases,
    NeverReclaims,
    ReclaimsTooMany,
    BringsGoneJobsBack,
    PromisesHeartbeats,
    SaysAttemptOne,
    ReversesBatches,
    CountsNothing,
    CountsInFlightAsReady,
    CountsOnlyTheFirst,
    ForgetsDoneJobs,
    RefusesSecondTeardown,
    Panics,
    Hangs,
}

/// The reference backend with a fault around it.
struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Fault,
    torn_down: Arc<AtomicBool>,
}

/// An entry of the registry for `memory` with one fault.
macro_rules! faulty {
    ($fault:ident) => {{
        static ENTRY: Entry = Entry {
            id: "faulty",
            engine: qbench_backends::in_process::ENGINE,
            summary: "the reference backend with a fault",
            colour: None,
            options: &[],
            variants: &[],
            contract: &|options| capabilities(options, Fault::$fault),
            opener: &|config| open(config, Fault::$fault),
        };
        &ENTRY
    }};
}

fn capabilities(options: &BackendOptions, fault: Fault) -> Result<Capabilities> {
    let mut capabilities = registry::find("memory").expect("registered").capabilities(options)?;
    match fault {
        Fault::BringsGoneJobsBack => capabilities.recovery = qbench_backends::Recovery::None,
        Fault::PromisesHeartbeats => capabilities.recovery = qbench_backends::Recovery::Heartbeat,
        Fault::AcceptsNacksItCannotDo => capabilities.nack = false,
        Fault::AcceptsFailuresItCannotRecord => capabilities.records_failures = false,
        _ => {}
    }
    Ok(capabilities)
}

fn open(config: &BackendConfig, fault: Fault) -> Result<Arc<dyn Backend>> {
    let mut config = config.clone();
    if fault == Fault::ReclaimsLiveLeases {
        config.lease = Duration::from_millis(1);
    }
    let inner = registry::find("memory").expect("registered").open(&config)?;
    Ok(Arc::new(Faulty { inner, fault, torn_down: Arc::default() }))
}

#[async_trait]
impl Backend for Faulty {
    fn id(&self) -> &'static str {
        "faulty"
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        let torn_down = Arc::clone(&self.torn_down);
        Ok(Box::new(FaultyAdmin { inner: self.inner.admin().await?, fault: self.fault, torn_down }))
    }

    async fn producer(&self, id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(FaultyProducer { inner: self.inner.producer(id).await?, fault: self.fault }))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let Consumer { claimer, acker } = self.inner.consumer(id).await?;
        Ok(Consumer {
            claimer: Box::new(FaultyClaimer { inner: claimer, fault: self.fault, claims: 0, last: None }),
            acker: Box::new(FaultyAcker { inner: acker, fault: self.fault }),
        })
    }
}

struct FaultyAdmin {
    inner: Box<dyn Admin>,
    fault: Fault,
    torn_down: Arc<AtomicBool>,
}

#[async_trait]
impl Admin for FaultyAdmin {
    async fn describe(&mut self) -> Result<Description> {
        self.inner.describe().await
    }

    async fn setup(&mut self) -> Result<()> {
        self.inner.setup().await
    }

    async fn reset(&mut self) -> Result<()> {
        if self.fault == Fault::KeepsJobsOnReset { Ok(()) } else { self.inner.reset().await }
    }

    async fn settle(&mut self) -> Result<()> {
        self.inner.settle().await
    }

    async fn depth(&mut self) -> Result<Depth> {
        let depth = self.inner.depth().await?;
        Ok(match self.fault {
            Fault::CountsNothing => Depth::default(),
            Fault::CountsInFlightAsReady => Depth { ready: depth.ready + depth.in_flight, in_flight: 0 },
            Fault::CountsOnlyTheFirst => Depth { ready: depth.ready.min(10_000), ..depth },
            _ => depth,
        })
    }

    async fn census(&mut self) -> Result<Census> {
        let census = self.inner.census().await?;
        Ok(if self.fault == Fault::ForgetsDoneJobs { Census { done: Some(0), ..census } } else { census })
    }

    async fn teardown(&mut self) -> Result<()> {
        if self.torn_down.swap(true, Ordering::Relaxed) && self.fault == Fault::RefusesSecondTeardown {
            return Err(qbench_backends::Error::config("there is nothing to tear down"));
        }
        self.inner.teardown().await
    }
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    fault: Fault,
}

#[async_trait]
impl Producer for FaultyProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        let mut jobs = jobs.to_vec();
        match self.fault {
            Fault::LosesAJob => jobs.retain(|job| job.job.0 != 333),
            Fault::LosesEmptyPayloads => jobs.retain(|job| !job.payload.is_empty()),
            Fault::FlipsABit => {
                for job in &mut jobs {
                    let mut payload = job.payload.to_vec();
                    if let Some(last) = payload.last_mut() {
                        *last ^= 1;
                    }
                    job.payload = payload.into();
                }
            }
            Fault::CutsAtZero => {
                for job in &mut jobs {
                    let end = job.payload.iter().position(|byte| *byte == 0).unwrap_or(job.payload.len());
                    job.payload = Bytes::copy_from_slice(&job.payload[..end]);
                }
            }
            _ => {}
        }
        self.inner.enqueue(&jobs).await
    }
}

struct FaultyClaimer {
    inner: Box<dyn Claimer>,
    fault: Fault,
    claims: u32,
    last: Option<Lease>,
}

#[async_trait]
impl Claimer for FaultyClaimer {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        self.claims += 1;
        let first = out.len();
        match self.fault {
            Fault::Panics => panic!("no claims today"),
            Fault::Hangs => std::future::pending().await,
            Fault::ClaimsOneTooMany => self.inner.claim(limit + 1, wait, out).await?,
            Fault::NeverWakes => {
                self.inner.claim(limit, Duration::ZERO, out).await?;
                if out.len() == first {
                    tokio::time::sleep(wait).await;
                }
            }
            // Every other wake-up gets lost: the consumer sleeps on though the bell rang.
            Fault::WakesOnlyOne => {
                self.inner.claim(limit, wait, out).await?;
                if wait > Duration::from_secs(10) {
                    tokio::time::sleep(Duration::from_secs(out[first..].iter().map(|lease| lease.job.0 * 10).sum()))
                        .await;
                }
            }
            Fault::NeverWaits => self.inner.claim(limit, Duration::ZERO, out).await?,
            Fault::DeliversTwice => match self.last.take() {
                Some(lease) if self.claims.is_multiple_of(5) => out.push(lease),
                _ => self.inner.claim(limit, wait, out).await?,
            },
            _ => self.inner.claim(limit, wait, out).await?,
        }
        if self.fault == Fault::ReversesBatches {
            out[first..].reverse();
        }
        if self.fault == Fault::SaysAttemptOne {
            out[first..].iter_mut().for_each(|lease| lease.attempt = 1);
        }
        if let Some(lease) = out.get(first) {
            self.last = Some(lease.clone());
        }
        Ok(())
    }

    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let first = out.len();
        match self.fault {
            Fault::NeverReclaims => {}
            Fault::ReclaimsTooMany => self.inner.reclaim(limit + 1, out).await?,
            _ => self.inner.reclaim(limit, out).await?,
        }
        if self.fault == Fault::SaysAttemptOne {
            out[first..].iter_mut().for_each(|lease| lease.attempt = 1);
        }
        Ok(())
    }
}

struct FaultyAcker {
    inner: Box<dyn Acker>,
    fault: Fault,
}

#[async_trait]
impl Acker for FaultyAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        let first = out.len();
        self.inner.ack(leases, out).await?;
        match self.fault {
            Fault::CallsStaleAcksGood => out[first..].fill(AckStatus::Acked),
            Fault::CallsGoodAcksStale => out[first..].fill(AckStatus::Stale),
            Fault::AnswersAcksBackwards => out[first..].reverse(),
            _ => {}
        }
        Ok(())
    }

    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        let first = out.len();
        match self.fault {
            Fault::CallsFailedJobsDone => self.inner.ack(leases, out).await?,
            Fault::PutsFailedJobsBack => {
                self.inner.nack(leases).await?;
                out.extend(leases.iter().map(|_| AckStatus::Acked));
            }
            _ => self.inner.ack_results(leases, results, out).await?,
        }
        if self.fault == Fault::CallsStaleFailuresGood {
            out[first..].fill(AckStatus::Acked);
        }
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        if self.fault == Fault::ForgetsNackedJobs {
            let mut statuses = Vec::new();
            return self.inner.ack(leases, &mut statuses).await;
        }
        self.inner.nack(leases).await
    }
}

async fn report_of(entry: &'static Entry, filter: &str) -> Report {
    conformance::run(entry, &common::in_process(), filter, |_| {}).await.expect("opens")
}

/// The named case fails on the faulty backend, with a sentence that contains `words`.
async fn caught(entry: &'static Entry, case: &str, words: &str) {
    let report = report_of(entry, case).await;
    let result = report.results.iter().find(|result| result.name == case).expect("the case exists");
    match &result.outcome {
        Outcome::Failed(sentence) => assert!(sentence.contains(words), "{case} failed for another reason: {sentence}"),
        other => panic!("{case} should fail, but was {other:?}"),
    }
    assert!(report.verdict().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_wrapper_alone_is_no_fault() {
    let report = report_of(faulty!(Nothing), "").await;
    println!("{report}");
    report.verdict().expect("every case passes");
}

#[tokio::test(start_paused = true)]
async fn claims_beyond_the_limit() {
    caught(faulty!(ClaimsOneTooMany), "batches.claim_keeps_its_limit", "a claim of at most 1 gave 2").await;
    caught(faulty!(ClaimsOneTooMany), "exclusivity.claims_keep_their_limit", "gave more").await;
}

#[tokio::test(start_paused = true)]
async fn double_deliveries() {
    caught(faulty!(DeliversTwice), "exclusivity.no_job_to_two_live_consumers", "more than once").await;
}

#[tokio::test(start_paused = true)]
async fn lost_jobs() {
    caught(faulty!(LosesAJob), "round_trip.every_job_once", "499 of 500 jobs came").await;
    caught(faulty!(LosesAJob), "exclusivity.no_job_is_lost", "1999 of 2000").await;
    caught(faulty!(LosesEmptyPayloads), "payload.empty", "0 of 1 jobs came").await;
}

#[tokio::test(start_paused = true)]
async fn changed_payloads() {
    caught(faulty!(FlipsABit), "payload.one_byte", "other bytes").await;
    caught(faulty!(FlipsABit), "payload.64_kib", "other bytes").await;
    caught(faulty!(FlipsABit), "round_trip.one_job", "other bytes").await;
    caught(faulty!(CutsAtZero), "payload.one_byte", "the 1 bytes of job 0 came back as 0").await;
    caught(faulty!(CutsAtZero), "payload.arbitrary_bytes", "other bytes").await;
    caught(faulty!(CutsAtZero), "payload.mixed_in_one_batch", "other bytes").await;
}

#[tokio::test(start_paused = true)]
async fn consumers_that_sleep_on() {
    caught(faulty!(NeverWakes), "wake.block", "gave 0 jobs").await;
    caught(faulty!(NeverWakes), "wake.poll", "gave 0 jobs").await;
    caught(faulty!(WakesOnlyOne), "wake.every_waiting_consumer_by_block", "one of 4 waiting claims").await;
    caught(faulty!(WakesOnlyOne), "wake.every_waiting_consumer_by_poll", "one of 4 waiting claims").await;
}

#[tokio::test(start_paused = true)]
async fn consumers_that_do_not_wait() {
    caught(faulty!(NeverWaits), "wake.empty_queue_gives_nothing_after_the_wait", "came back after").await;
}

#[tokio::test(start_paused = true)]
async fn stale_acks_called_good() {
    caught(faulty!(CallsStaleAcksGood), "stale.second_ack", "was accepted").await;
    caught(faulty!(CallsStaleAcksGood), "stale.lease_that_passed_on", "was accepted").await;
    caught(faulty!(CallsStaleAcksGood), "reset.makes_old_leases_stale", "was accepted").await;
    caught(faulty!(CallsStaleAcksGood), "nack.ends_the_lease", "was accepted").await;
    caught(faulty!(CallsStaleAcksGood), "batches.ack_answers_in_order", "gave [Acked, Acked, Acked, Acked]").await;
}

#[tokio::test(start_paused = true)]
async fn good_acks_called_stale() {
    caught(faulty!(CallsGoodAcksStale), "round_trip.one_job", "called stale").await;
    caught(faulty!(CallsGoodAcksStale), "batches.ack_settles_every_lease", "called stale").await;
    caught(faulty!(CallsGoodAcksStale), "exclusivity.good_acks_hold", "called stale").await;
    caught(faulty!(CallsGoodAcksStale), "stale.expired_lease_that_nobody_took", "called stale").await;
    caught(faulty!(AnswersAcksBackwards), "batches.ack_answers_in_order", "[Acked, Stale, Acked, Stale]").await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_survive_a_reset() {
    caught(faulty!(KeepsJobsOnReset), "reset.leaves_nothing", "depth is").await;
    caught(faulty!(KeepsJobsOnReset), "reset.leaves_a_working_queue", "").await;
}

#[tokio::test(start_paused = true)]
async fn nacks_that_do_something_else() {
    caught(faulty!(ForgetsNackedJobs), "nack.ready_for_anybody", "a claim of one job gave 0").await;
    caught(faulty!(ForgetsNackedJobs), "counts.census_counts_a_nacked_job_once", "the census is").await;
    caught(faulty!(AcceptsNacksItCannotDo), "nack.refused_where_not_supported", "was accepted").await;
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_something_else() {
    caught(faulty!(CallsFailedJobsDone), "failures.failed_jobs_are_dead", "dead: 0").await;
    caught(faulty!(PutsFailedJobsBack), "failures.failed_job_stays_away", "were delivered").await;
    caught(faulty!(CallsStaleFailuresGood), "failures.answers_in_order", "gave [Acked, Acked, Acked, Acked]").await;
    caught(faulty!(CallsStaleFailuresGood), "failures.stale_failure_is_left_alone", "was accepted").await;
    caught(faulty!(AcceptsFailuresItCannotRecord), "failures.refused_where_not_supported", "was accepted").await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_mean_nothing() {
    caught(faulty!(ReclaimsLiveLeases), "lease.live_lease_is_not_reclaimed", "long before their leases ended").await;
    caught(faulty!(NeverReclaims), "lease.vanished_consumer_s_job_comes_back", "0 of 1 expired jobs").await;
    caught(faulty!(ReclaimsTooMany), "lease.reclaim_keeps_its_limit", "a reclaim of at most 4 gave 5").await;
    caught(faulty!(BringsGoneJobsBack), "lease.vanished_consumer_s_job_is_gone", "came back").await;
    caught(faulty!(BringsGoneJobsBack), "lease.nothing_to_reclaim_without_leases", "reclaim gave").await;
    caught(faulty!(PromisesHeartbeats), "lease.silent_consumer_s_job_comes_back", "a claim of one job gave 0").await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_are_not_counted() {
    caught(faulty!(SaysAttemptOne), "attempts.reclaim_counts", "delivery 2 was called attempt 1").await;
    caught(faulty!(SaysAttemptOne), "attempts.nack_counts", "delivery 2 was called attempt 1").await;
    caught(faulty!(SaysAttemptOne), "attempts.nack_and_reclaim_count_together", "was attempt 1").await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_kept() {
    caught(faulty!(ReversesBatches), "order.fifo", "came after").await;
}

#[tokio::test(start_paused = true)]
async fn counts_that_are_wrong() {
    caught(faulty!(CountsNothing), "counts.depth_sees_ready_jobs", "depth is").await;
    caught(faulty!(CountsInFlightAsReady), "counts.depth_sees_jobs_in_flight", "depth is").await;
    caught(faulty!(CountsOnlyTheFirst), "counts.depth_of_a_large_backlog", "30000 jobs wait").await;
    caught(faulty!(ForgetsDoneJobs), "counts.census_accounts_for_every_job", "the census is").await;
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_works_only_once() {
    caught(faulty!(RefusesSecondTeardown), "ownership.teardown_of_nothing_is_fine", "nothing to tear down").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_case_and_no_other() {
    let report = report_of(faulty!(Panics), "ownership.").await;
    let failed: Vec<_> = report.failed().map(|result| (result.name, &result.outcome)).collect();
    let panicked = Outcome::Failed("panicked: no claims today".to_owned());
    assert_eq!(failed, [("ownership.setup_after_teardown", &panicked)]);
    assert_eq!(report.passed() + 1, report.expected, "cases that never claim still pass");
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_at_the_deadline() {
    caught(faulty!(Hangs), "round_trip.one_job", "hung: no end within 60s").await;
}
