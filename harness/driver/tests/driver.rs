//! The driver against queues that misbehave: what it offers does not depend on them, and what they do is noticed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use qbench_driver::plan::LoadPlan;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::work::{Failures, WorkEnd};
use qbench_schema::latency::LatencyHistogram;
use qbench_schema::load::{Arrivals, WorkerSettings};
use qbench_schema::record::Stage;
use qbench_schema::result::{Activity, Verdict};
use support::{Driven, Fault, Faulty, drive, jobs, memory, plan};

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
    let histograms = &driven.outcome.recording.histograms;
    let latency = histograms.percentiles_ms(Stage::EndToEnd);
    assert!(
        histograms.percentiles_ms(Stage::ProducerWait).p95 >= 200.0,
        "a stalling queue keeps its producers waiting"
    );
    assert!(histograms.percentiles_ms(Stage::ReleaseLag).p95 < 200.0, "and that is not the pacer's lateness");
    assert!(latency.p95 >= 200.0, "latency counts from the intended instant: p95 {} ms", latency.p95);
}

/// METHODOLOGY L7: what few producers are too few for is the wait for one of them, and it goes away with twice as many.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_producers_show_as_the_wait_for_one_and_twice_as_many_are_enough() {
    let wait_ms = async |producers: u32| {
        let driven = drive(Faulty::in_memory(Fault::SlowEnqueues), LoadPlan { producers, ..plan(280.0) }, None).await;
        let stages = &driven.outcome.recording.histograms;
        let [lag, release, wait] =
            [Stage::ScheduleLag, Stage::ReleaseLag, Stage::ProducerWait].map(|s| stages.stage(s));
        assert_eq!((release.count(), wait.count()), (280, 280));
        let means = |of: &LatencyHistogram| of.percentiles().mean;
        let sum_ms = means(release) + means(wait);
        assert!((means(lag) - sum_ms).abs() < 0.01 * sum_ms, "{lag:?} is not {release:?} and {wait:?}");
        wait.quantile_ms(0.5)
    };
    // One carries at most 1,000 / (3 to 4.2 ms) jobs/s, two carry twice that.
    let (few, twice) = (wait_ms(1).await, wait_ms(2).await);
    assert!(few > 10.0 && twice < few / 4.0, "{few} ms with one producer, {twice} ms with two");
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
    slow.workers = 2;
    (slow.worker.concurrency, slow.worker.prefetch, slow.worker.claim_batch) = (jobs(1), 20, jobs(10));
    (slow.worker.ack_batch, slow.worker.ack_linger) = (Some(jobs(5)), Some(Duration::from_millis(50)));
    slow.work = Duration::from_millis(40);
    let driven = drive(memory(), slow, Some(Duration::from_millis(500))).await;
    assert!(driven.outcome.interrupted);
    let census = driven.outcome.census.unwrap();
    let totals = driven.outcome.totals;
    assert_eq!(census.in_flight, 0, "no job waits for its lease to end");
    assert_eq!(census.done, Some(totals.completed), "every finished job was acked");
    assert_eq!(census.ready, totals.confirmed - totals.completed, "every unstarted job was handed back");
    assert!(totals.completed > 0 && census.ready > 0);
    assert_eq!((driven.audit.verdict, driven.audit.lost), (Verdict::Ok, 0), "{:?}", driven.audit);
}

/// 400 jobs/s on two workers that hold many and work 100 ms on each, stopped while their buffers are full.
async fn stopped_with_full_buffers(change: impl FnOnce(&mut LoadPlan)) -> (Driven, Duration) {
    const UNTIL_STOP: Duration = Duration::from_millis(700);
    let mut held = plan(400.0);
    (held.workers, held.worker) = (2, WorkerSettings { refill: Some(0), ..WorkerSettings::default() });
    held.work = Duration::from_millis(100);
    change(&mut held);
    let begun = Instant::now();
    let driven = drive(memory(), held, Some(UNTIL_STOP)).await;
    (driven, begun.elapsed().saturating_sub(UNTIL_STOP))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_quick_and_leaves_nothing_behind_whatever_a_worker_holds() {
    type Change = fn(&mut LoadPlan);
    let knobs: [(&str, Change); 5] = [
        ("a claimed batch", |LoadPlan { worker, .. }| worker.claim_batch = jobs(50)),
        ("a buffer", |LoadPlan { worker, .. }| {
            (worker.claim_batch, worker.prefetch, worker.refill) = (jobs(10), 40, Some(20));
        }),
        ("many at a time", |LoadPlan { worker, .. }| {
            (worker.concurrency, worker.claim_batch, worker.prefetch) = (jobs(5), jobs(20), 20);
        }),
        ("a completion buffer that would wait for long", |LoadPlan { worker, .. }| {
            (worker.ack_batch, worker.ack_linger) = (Some(jobs(1_000)), Some(Duration::from_secs(10)));
        }),
        ("all of them", |LoadPlan { worker, enqueue_batch, .. }| {
            *enqueue_batch = 10;
            (worker.concurrency, worker.claim_batch) = (jobs(3), jobs(10));
            (worker.prefetch, worker.refill) = (30, Some(5));
            (worker.ack_batch, worker.ack_linger) = (Some(jobs(1_000)), Some(Duration::from_secs(10)));
        }),
    ];
    for (what, change) in knobs {
        let (driven, took) = stopped_with_full_buffers(change).await;
        let census = driven.outcome.census.unwrap();
        let totals = driven.outcome.totals;
        assert_eq!((driven.audit.verdict, driven.audit.lost), (Verdict::Ok, 0), "{what}: {:?}", driven.audit);
        assert_eq!((census.in_flight, census.done), (0, Some(totals.completed)), "{what}: {census:?}");
        assert_eq!(census.ready, totals.confirmed - totals.completed, "{what}");
        assert!(totals.completed > 0 && census.ready > 0, "{what}: {totals:?}");
        assert!(took < Duration::from_millis(100) + Duration::from_secs(1), "{what}: {took:?} after the stop");
    }
}

/// A backlog of `jobs` that is put there first and then worked off.
fn drain_of(jobs: u64) -> LoadPlan {
    let load = MeasuredLoad::FlatOut { duration: Duration::from_secs(60), jobs_max: jobs };
    LoadPlan { schedule: Arc::new(Schedule::new(None, 0, load)), activity: Activity::Drain, ..plan(1.0) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_queue_is_filled_sends_no_more_of_it() {
    const JOBS: u64 = 20_000_000;
    let driven = drive(memory(), drain_of(JOBS), Some(Duration::from_millis(500))).await;
    let totals = driven.outcome.totals;
    assert!(totals.confirmed > 0 && totals.confirmed < JOBS, "sent on after the stop: {totals:?}");
    assert_eq!((totals.unknown, totals.completed), (0, 0), "{totals:?}");
    assert_eq!((driven.audit.verdict, driven.audit.lost), (Verdict::Ok, 0), "{:?}", driven.audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_worked_off_when_its_last_job_is_acked_not_when_that_is_noticed() {
    // Several rounds of work, so that the driver looks ever less often.
    let slow = LoadPlan { work: Duration::from_millis(30), ..drain_of(50) };
    let outcome = drive(memory(), slow, None).await.outcome;
    assert!(outcome.drained);
    assert_eq!((outcome.totals.completed, outcome.measured_end_us), (50, outcome.recording.last_settled_us));
    let measured_s = (outcome.measured_end_us - outcome.measured_start_us.unwrap()) as f64 / 1e6;
    assert!((outcome.rates.completed_jobs_s - 50.0 / measured_s).abs() < 1e-6, "{:?}", outcome.rates);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_in_a_worker_s_buffer_have_a_local_wait_and_others_none() {
    let local_wait = async |claim_batch, prefetch| {
        let mut buffered = plan(300.0);
        (buffered.workers, buffered.worker.concurrency, buffered.work) = (1, jobs(4), Duration::from_millis(10));
        (buffered.worker.claim_batch, buffered.worker.prefetch) = (jobs(claim_batch), prefetch);
        buffered.worker.refill = None;
        buffered.schedule = Arc::new(Schedule::new(
            None,
            100,
            MeasuredLoad::OnSchedule {
                rate_jobs_s: 300.0,
                duration: Duration::from_secs(1),
                arrivals: Arrivals::Constant,
                seed: 0,
            },
        ));
        let driven = drive(memory(), buffered, None).await;
        assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
        driven.outcome.recording.histograms.percentiles_ms(Stage::LocalWait)
    };
    let (without, with) = (local_wait(1, 0).await, local_wait(10, 40).await);
    assert!(without.p50 < 5.0, "{without:?}");
    assert!(with.p50 > 10.0, "{with:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_waits_in_the_completion_buffer_for_the_linger_and_no_longer() {
    for linger_ms in [10.0, 100.0] {
        let mut sparse = plan(4.0);
        let linger = Duration::from_secs_f64(linger_ms / 1e3);
        (sparse.workers, sparse.worker.ack_batch, sparse.worker.ack_linger) = (1, Some(jobs(10)), Some(linger));
        let driven = drive(memory(), sparse, None).await;
        assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
        let ack_time = driven.outcome.recording.histograms.percentiles_ms(Stage::AckTime);
        assert!((linger_ms..linger_ms + 60.0).contains(&ack_time.p50), "{linger_ms} ms of linger: {ack_time:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_completion_buffer_does_not_wait() {
    let mut busy = flat_out(Activity::Both, 0, 100_000_000);
    busy.worker.ack_linger = Some(Duration::from_secs(2));
    let driven = drive(memory(), busy, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert!(driven.outcome.totals.measured.completed > 1_000, "{:?}", driven.outcome.totals);
    let ack_time = driven.outcome.recording.histograms.percentiles_ms(Stage::AckTime);
    assert!(ack_time.p95 < 500.0, "only the last buffers waited: {ack_time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_flushes_the_completion_buffer_at_once() {
    let mut patient = plan(400.0);
    (patient.worker.ack_batch, patient.worker.ack_linger) = (Some(jobs(1_000)), Some(Duration::from_secs(10)));
    let started = Instant::now();
    let driven = drive(memory(), patient, Some(Duration::from_millis(500))).await;
    assert!(started.elapsed() < Duration::from_secs(3), "it took {:?}", started.elapsed());
    let (totals, census) = (driven.outcome.totals, driven.outcome.census.unwrap());
    assert_eq!((census.done, census.in_flight), (Some(totals.completed), 0));
    assert!(totals.completed > 0 && totals.completed == totals.confirmed, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_and_panicking_jobs_are_settled_and_their_workers_live_on() {
    let failures = Failures { failed_share: 0.3, panicked_share: 0.2, seed: 5 };
    let ends: Vec<WorkEnd> = (0..400).map(|job| failures.end_of(job)).collect();
    let count = |end| ends.iter().filter(|drawn| **drawn == end).count() as u64;
    let mut failing = LoadPlan { failures, ..plan(400.0) };
    failing.worker.ack_batch = Some(jobs(5));
    let driven = drive(memory(), failing, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let jobs = driven.outcome.totals.measured;
    assert_eq!((jobs.enqueued, jobs.completed), (400, count(WorkEnd::Succeeded)));
    assert_eq!(jobs.failed, count(WorkEnd::Failed) + count(WorkEnd::Panicked));
    assert_eq!(jobs.panicked, count(WorkEnd::Panicked));
    assert!(jobs.panicked > 0, "there is something to survive");
    let census = driven.outcome.census.unwrap();
    assert_eq!((census.done, census.dead), (Some(jobs.completed), jobs.failed));
    let shares = driven.outcome.recording.completed_by_worker;
    assert!(shares.iter().all(|share| *share > 0), "every worker went on: {shares:?}");
    assert_eq!(shares.iter().sum::<u64>(), jobs.completed, "a failed job is nobody's achievement");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_may_fail_and_the_run_ends_all_the_same() {
    let failures = Failures { failed_share: 0.0, panicked_share: 1.0, seed: 5 };
    let driven = drive(memory(), LoadPlan { failures, ..flat_out(Activity::Both, 0, 20_000) }, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    let jobs = driven.outcome.totals.measured;
    assert_eq!((jobs.completed, jobs.panicked), (0, jobs.enqueued));
    assert!(jobs.enqueued > 1_000, "producers wait for jobs that are over, not for those that succeeded: {jobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_up_jobs_are_audited_and_not_reported() {
    let mut warmed = plan(200.0);
    let warmup = Some((500.0, Duration::from_millis(600)));
    let measured = MeasuredLoad::OnSchedule {
        rate_jobs_s: 200.0,
        duration: Duration::from_secs(1),
        arrivals: Arrivals::Constant,
        seed: 0,
    };
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
    (flat_out.activity, flat_out.enqueue_batch) = (activity, 10);
    (flat_out.worker.claim_batch, flat_out.worker.ack_batch) = (jobs(10), Some(jobs(10)));
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
    (filled.workers, filled.worker.concurrency, filled.work) = (1, jobs(1), Duration::from_millis(1));
    let measured = MeasuredLoad::OnSchedule {
        rate_jobs_s: 200.0,
        duration: Duration::from_secs(1),
        arrivals: Arrivals::Constant,
        seed: 0,
    };
    filled.schedule = Arc::new(Schedule::new(None, 2_000, measured));
    let driven = drive(memory(), filled, None).await;
    assert_eq!(driven.audit.verdict, Verdict::Ok, "{:?}", driven.audit);
    assert_eq!((driven.outcome.backlog.start, driven.outcome.prefilled), (2_000, 2_000));
    assert_eq!(driven.outcome.totals.completed, 2_200);
    let rates = driven.outcome.rates;
    let both = rates.completed_jobs_s + rates.prefilled_completed_jobs_s;
    assert!(rates.completed_jobs_s <= 200.0, "throughput counts the jobs of the phase: {rates:?}");
    assert!(rates.prefilled_completed_jobs_s > 0.0 && both <= 2_200.0, "{rates:?}");
    assert_eq!(
        driven.outcome.recording.histograms.stage(Stage::EndToEnd).count(),
        200,
        "prefilled jobs have no latency"
    );
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
