//! The auditor under mutation (METHODOLOGY A4): a queue that breaks one promise is caught, by the right word, at ten jobs a
//! second as at fifty thousand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use qbench_driver::plan::LoadPlan;
use qbench_driver::work::Failures;
use qbench_schema::load::WorkerSettings;
use qbench_schema::result::{Audit, Verdict};
use support::{Driven, Fault, Faulty, drive, jobs, memory, on_schedule, plan};

/// Slowly enough to watch.
fn ten_a_second() -> LoadPlan {
    LoadPlan { schedule: Arc::new(on_schedule(10.0, Duration::from_millis(2_500))), ..plan(1.0) }
}

/// As fast as it makes sense to audit on a small machine, in batches.
fn fifty_thousand_a_second() -> LoadPlan {
    LoadPlan {
        schedule: Arc::new(on_schedule(50_000.0, Duration::from_secs(1))),
        enqueue_batch: 100,
        worker: WorkerSettings {
            concurrency: jobs(100),
            claim_batch: jobs(100),
            ack_batch: Some(jobs(100)),
            ..WorkerSettings::default()
        },
        drain_deadline: Duration::from_secs(30),
        ..plan(1.0)
    }
}

async fn at_both_rates(fault: Fault, is_right: impl Fn(&Audit) -> bool) {
    for (rate, plan) in [("10/s", ten_a_second()), ("50,000/s", fifty_thousand_a_second())] {
        let jobs = plan.schedule.measured().jobs();
        let Driven { outcome, audit, .. } = drive(Faulty::in_memory(fault), plan, None).await;
        assert_eq!(outcome.totals.measured.intended, jobs, "{fault:?} at {rate}");
        assert!(is_right(&audit), "{fault:?} at {rate}: {audit:?}");
    }
}

/// Violated, with every count as in `[lost, duplicated, unexpected, corrupted]`.
fn violated(audit: &Audit, counts: [u64; 4]) -> bool {
    audit.verdict == Verdict::Violated && counts == [audit.lost, audit.duplicated, audit.unexpected, audit.corrupted]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_the_verdict_is_ok() {
    at_both_rates(Fault::Nothing, |audit| audit.verdict == Verdict::Ok && audit.reasons.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_was_confirmed_and_thrown_away_is_a_lost_job() {
    at_both_rates(Fault::LosesAnInsert, |audit| violated(audit, [1, 0, 0, 0])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_the_queue_denies_is_a_lost_job_and_the_server_s_account_differs() {
    at_both_rates(Fault::DropsACompletion, |audit| {
        violated(audit, [1, 0, 0, 0]) && audit.stale_acks == 1 && audit.reconciliation.len() == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_delivered_and_acked_twice_is_duplicated_and_redelivered() {
    at_both_rates(Fault::DeliversTwice, |audit| violated(audit, [0, 1, 0, 0]) && audit.redelivered == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_acked_and_never_run_is_lost() {
    at_both_rates(Fault::AcksWhatItNeverRan, |audit| violated(audit, [1, 0, 0, 0])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_number_is_unexpected_and_the_real_job_lost() {
    at_both_rates(Fault::ForgesANumber, |audit| {
        audit.verdict == Verdict::Violated && audit.unexpected == 1 && audit.lost == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_payload_is_corrupted() {
    at_both_rates(Fault::ChangesAPayload, |audit| violated(audit, [0, 0, 0, 1])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_that_the_queue_calls_done_makes_the_accounts_differ() {
    let failing = || LoadPlan { failures: Failures { failed_share: 0.2, panicked_share: 0.0, seed: 1 }, ..plan(400.0) };
    let honest = drive(memory(), failing(), None).await.audit;
    assert_eq!(honest.verdict, Verdict::Ok, "{honest:?}");
    let audit = drive(Faulty::in_memory(Fault::CallsFailedJobsDone), failing(), None).await.audit;
    assert!(violated(&audit, [0, 0, 0, 0]) && audit.reconciliation.len() == 1, "{audit:?}");
    assert!(audit.reconciliation[0].contains("jobs dead"), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_beyond_its_limit_is_a_violation() {
    // A claim can only exceed its limit when more than one job waits, so the jobs arrive faster than claims return.
    let busy =
        LoadPlan { workers: 1, worker: WorkerSettings::default(), work: Duration::from_millis(5), ..plan(400.0) };
    let audit = drive(Faulty::in_memory(Fault::Overclaims), busy, None).await.audit;
    assert_eq!(audit.verdict, Verdict::Violated);
    assert!(audit.overclaimed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_that_failed_after_it_had_happened_is_not_sent_again() {
    at_both_rates(Fault::FailsAfterInsert, |audit| {
        audit.verdict == Verdict::Ok && audit.unknown_outcome > 0 && audit.duplicated == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_without_an_answer_is_settled_by_the_server_s_own_account() {
    at_both_rates(Fault::LosesAnAnswer, |audit| {
        audit.verdict == Verdict::Ok && audit.unknown_acks > 0 && audit.duplicated == 0 && audit.lost == 0
    })
    .await;
}
