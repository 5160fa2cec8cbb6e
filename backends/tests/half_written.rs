//! A backend that is still being written: the suite says what is missing, case by case, and goes on to its end.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::Entry;
use qbench_backends::conformance::{self, Outcome, Report};
use qbench_backends::registry::{self};
use qbench_backends::{
    AckStatus, Acker, Admin, Backend, BackendConfig, BackendOptions, Capabilities, Census, Claimer, Consumer, Depth,
    Description, Error, Lease, Producer, ProducerId, Result, WorkResult, WorkerId,
};

/// How far somebody has come with a backend. What there is, is the reference backend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Not even what it can do.
    Nothing,
    /// What it can do, but no way to wait.
    NoWakes,
    /// Nothing that works, and removing the queue panics.
    OnlyCapabilities,
    /// Claims answer, at once and with nothing.
    EmptyClaim,
    /// Jobs go in, out, and are acked.
    UpToAck,
}

struct HalfWritten {
    inner: Arc<dyn Backend>,
    written: Written,
}

/// An entry of the registry for a backend that is written so far.
macro_rules! half_written {
    ($written:ident) => {{
        static ENTRY: Entry = Entry {
            id: "half_written",
            engine: qbench_backends::in_process::ENGINE,
            summary: "the reference backend without some of it",
            colour: None,
            options: &[],
            variants: &[],
            contract: &|_| Ok(capabilities(Written::$written)),
            opener: &|config| open(config, Written::$written),
        };
        &ENTRY
    }};
}

fn capabilities(written: Written) -> Capabilities {
    let of_memory = registry::find("memory").expect("registered").capabilities(&BackendOptions::default());
    match written {
        Written::Nothing => panic!("what can it do?"),
        Written::NoWakes => Capabilities { wakes: &[], ..of_memory.expect("no options") },
        Written::OnlyCapabilities | Written::EmptyClaim | Written::UpToAck => of_memory.expect("no options"),
    }
}

fn open(config: &BackendConfig, written: Written) -> Result<Arc<dyn Backend>> {
    let inner = registry::find("memory").expect("registered").open(config)?;
    Ok(Arc::new(HalfWritten { inner, written }))
}

#[async_trait]
impl Backend for HalfWritten {
    fn id(&self) -> &'static str {
        "half_written"
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(HalfAdmin { inner: self.inner.admin().await?, written: self.written }))
    }

    async fn producer(&self, id: ProducerId) -> Result<Box<dyn Producer>> {
        self.inner.producer(id).await
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let Consumer { claimer, acker } = self.inner.consumer(id).await?;
        Ok(Consumer { claimer: Box::new(HalfClaimer(claimer, self.written)), acker: Box::new(HalfAcker(acker)) })
    }
}

struct HalfAdmin {
    inner: Box<dyn Admin>,
    written: Written,
}

#[async_trait]
impl Admin for HalfAdmin {
    async fn describe(&mut self) -> Result<Description> {
        self.inner.describe().await
    }

    async fn setup(&mut self) -> Result<()> {
        match self.written {
            Written::EmptyClaim | Written::UpToAck => self.inner.setup().await,
            _ => Err(Error::not_written("setup")),
        }
    }

    async fn reset(&mut self) -> Result<()> {
        self.inner.reset().await
    }

    async fn settle(&mut self) -> Result<()> {
        self.inner.settle().await
    }

    async fn depth(&mut self) -> Result<Depth> {
        self.inner.depth().await
    }

    async fn census(&mut self) -> Result<Census> {
        Err(Error::not_written("census"))
    }

    async fn teardown(&mut self) -> Result<()> {
        match self.written {
            Written::EmptyClaim | Written::UpToAck => self.inner.teardown().await,
            _ => panic!("no teardown yet"),
        }
    }
}

struct HalfClaimer(Box<dyn Claimer>, Written);

#[async_trait]
impl Claimer for HalfClaimer {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        match self.1 {
            Written::EmptyClaim => Ok(()),
            _ => self.0.claim(limit, wait, out).await,
        }
    }

    async fn reclaim(&mut self, _limit: u32, _out: &mut Vec<Lease>) -> Result<()> {
        Err(Error::not_written("reclaim"))
    }
}

struct HalfAcker(Box<dyn Acker>);

#[async_trait]
impl Acker for HalfAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        self.0.ack(leases, out).await
    }

    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        self.0.ack_results(leases, results, out).await
    }

    async fn nack(&mut self, _leases: &[Lease]) -> Result<()> {
        Err(Error::not_written("nack"))
    }
}

async fn report_of(entry: &'static Entry) -> Result<Report> {
    conformance::run(entry, &common::in_process(), "", |_| {}).await
}

/// Names of the cases that failed with a reason that contains `words`.
fn failed_with(report: &Report, words: &str) -> BTreeSet<&'static str> {
    let with = |outcome: &Outcome| matches!(outcome, Outcome::Failed(reason) if reason.contains(words));
    report.results.iter().filter(|result| with(&result.outcome)).map(|result| result.name).collect()
}

#[tokio::test(start_paused = true)]
async fn the_cases_that_need_a_missing_method_fail_by_its_name_and_all_others_run() {
    let report = report_of(half_written!(UpToAck)).await.expect("can be checked");
    println!("{report}");
    assert_eq!(report.results.len(), conformance::cases().count(), "every case was looked at");
    assert_eq!(report.passed() + report.failed().count(), report.expected, "every case that applies ran");

    let missing = |method: &str| failed_with(&report, &format!("{method}: not written yet"));
    assert!(missing("nack").contains("nack.ready_for_anybody"));
    assert!(missing("reclaim").contains("lease.vanished_consumer_s_job_comes_back"));
    assert!(missing("census").contains("counts.census_accounts_for_every_job"));
    let named = missing("nack").len() + missing("reclaim").len() + missing("census").len();
    assert_eq!(named, report.failed().count(), "no case fails for another reason");

    let passed: BTreeSet<&str> =
        report.results.iter().filter(|result| result.outcome == Outcome::Passed).map(|result| result.name).collect();
    assert!(passed.contains("round_trip.one_job") && passed.contains("wake.block"), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_cleaning_up_does_not_end_the_suite() {
    let report = report_of(half_written!(OnlyCapabilities)).await.expect("can be checked");
    assert_eq!(report.results.len(), conformance::cases().count());
    assert_eq!(report.passed(), 0);
    assert!(failed_with(&report, "setup: not written yet").contains("round_trip.one_job"));
    assert!(failed_with(&report, "panicked: no teardown yet").contains("ownership.teardown_of_nothing_is_fine"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_answers_at_once_with_nothing_fails_its_cases_and_holds_nothing_up() {
    let report = report_of(half_written!(EmptyClaim)).await.expect("can be checked");
    assert_eq!(report.results.len(), conformance::cases().count());
    assert!(failed_with(&report, "a claim of one job gave 0").contains("round_trip.one_job"));
    assert!(failed_with(&report, "0 of 500 jobs came").contains("round_trip.every_job_once"));
    assert!(failed_with(&report, "came back after").contains("wake.empty_queue_gives_nothing_after_the_wait"));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_say_what_it_can_do_is_one_sentence() {
    let error = report_of(half_written!(Nothing)).await.expect_err("nothing can be checked");
    assert_eq!(error.to_string(), "asking half_written what it can do panicked: what can it do?");
    let error = report_of(half_written!(NoWakes)).await.expect_err("nothing can be checked");
    assert!(error.to_string().contains("declares no way to wait"), "{error}");
}
