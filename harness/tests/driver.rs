//! The driver against queues that misbehave: what it offers does not depend on them, and what they do is noticed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use qbench_harness::driver::plan::LoadPlan;
use qbench_harness::driver::schedule::{Arrivals, MeasuredLoad, Schedule};
use qbench_schema::record::Stage;
use qbench_schema::result::{Activity, Verdict};
use support::{Driven, Fault, Faulty, drive, memory, plan};

async fn drive_faulty(fault: Fault) -> Driven {
    drive(Faulty::in_memory(fault), plan(400.0), None).await
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
    let measured =
        MeasuredLoad::OnSchedule { rate_jobs_s: 200.0, duration: Duration::from_secs(1), arrivals: Arrivals::Constant };
    warmed.schedule = Arc::new(Schedule::new(warmup, 0, measured));
    let driven = drive(memory(), warmed, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert_eq!(driven.outcome.totals.completed, 500);
    assert_eq!(driven.outcome.totals.measured.intended, 200);
    assert_eq!(driven.outcome.recording.completed_by_worker.iter().sum::<u64>(), 200);
}

fn flat_out(activity: Activity, prefill: u64, jobs_max: u64) -> LoadPlan {
    let measured = MeasuredLoad::FlatOut { duration: Duration::from_millis(300), jobs_max };
    let mut flat_out = plan(1.0);
    flat_out.schedule = Arc::new(Schedule::new(None, prefill, measured));
    (flat_out.activity, flat_out.enqueue_batch, flat_out.claim_batch, flat_out.ack_batch) = (activity, 10, 10, 10);
    flat_out
}

#[tokio::test(flavor = "multi_thread")]
async fn flat_out_producers_stay_within_the_backlog_and_every_job_is_audited() {
    let driven = drive(memory(), flat_out(Activity::Both, 0, 100_000_000), None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let outcome = driven.outcome;
    assert!(outcome.totals.measured.completed > 1_000, "{:?}", outcome.totals);
    assert_eq!(outcome.totals.measured.intended, outcome.totals.measured.completed);
    assert!(outcome.backlog.max <= 1_000, "{:?}", outcome.backlog);
    assert_eq!(outcome.recording.histograms.percentiles_ms(Stage::ScheduleLag).max, 0.0, "no schedule, no lag");
    let by_second: u64 = outcome.timeline.iter().map(|second| second.completed).sum();
    assert_eq!(by_second, outcome.totals.measured.completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefilled_queue_is_full_when_the_measured_phase_begins() {
    let mut filled = plan(200.0);
    (filled.workers, filled.concurrency, filled.work) = (1, 1, Duration::from_millis(1));
    let measured =
        MeasuredLoad::OnSchedule { rate_jobs_s: 200.0, duration: Duration::from_secs(1), arrivals: Arrivals::Constant };
    filled.schedule = Arc::new(Schedule::new(None, 2_000, measured));
    let driven = drive(memory(), filled, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert_eq!((driven.outcome.backlog.start, driven.outcome.prefilled), (2_000, 2_000));
    assert_eq!(driven.outcome.totals.completed, 2_200);
    assert_eq!(driven.outcome.recording.histograms.stage(Stage::EndToEnd).len(), 200, "prefilled jobs have no latency");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_producers_alone_nothing_is_taken_out_until_the_phase_has_ended() {
    let driven = drive(memory(), flat_out(Activity::Enqueue, 0, 30_000), None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let outcome = driven.outcome;
    assert_eq!(outcome.in_window.completed, 0);
    assert!(outcome.in_window.confirmed > 1_000);
    assert_eq!(outcome.totals.completed, outcome.totals.confirmed, "and then all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_workers_alone_the_phase_ends_when_the_backlog_is_gone() {
    let driven = drive(memory(), flat_out(Activity::Drain, 0, 30_000), None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let outcome = driven.outcome;
    assert_eq!((outcome.in_window.sent, outcome.in_window.completed), (0, 30_000));
    assert_eq!((outcome.backlog.start, outcome.backlog.end, outcome.prefilled), (30_000, 0, 30_000));
}
