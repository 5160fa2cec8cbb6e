use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{JobId, LeaseToken};

use super::*;
use crate::schedule::MeasuredLoad;
use crate::share::Share;
use qbench_schema::load::Arrivals;
use qbench_schema::shard::ShardNumber;

fn ledger(jobs: u64) -> Ledger {
    let measured = MeasuredLoad::OnSchedule {
        rate_jobs_s: jobs as f64,
        duration: Duration::from_secs(1),
        arrivals: Arrivals::Constant,
        seed: 0,
    };
    let schedule = Schedule::new(None, 0, measured);
    schedule.measured().begin(1);
    Ledger::new(Arc::new(schedule))
}

fn lease(job: u64) -> Lease {
    Lease { job: JobId(job), attempt: 1, payload: Bytes::new(), token: LeaseToken([job, 0]) }
}

fn through(ledger: &Ledger, jobs: Range<u64>) {
    ledger.sent(&jobs, 5);
    ledger.confirmed(&jobs, 6);
    for job in jobs {
        assert!(ledger.delivered(&lease(job)).is_some());
        ledger.completed(job);
    }
}

#[test]
fn a_run_without_incident_balances() {
    let ledger = ledger(1_000);
    through(&ledger, 0..1_000);
    let totals = ledger.totals();
    assert!(ledger.drained());
    assert_eq!((totals.lost, totals.duplicated, totals.redelivered, totals.unexpected), (0, 0, 0, 0));
    let measured = totals.measured;
    assert_eq!((measured.intended, measured.sent, measured.enqueued, measured.completed), (1_000, 1_000, 1_000, 1_000));
}

#[test]
fn a_confirmed_job_that_never_completes_is_lost_even_if_another_completes_twice() {
    let ledger = ledger(10);
    through(&ledger, 0..9);
    ledger.sent(&(9..10), 5);
    ledger.confirmed(&(9..10), 6);
    ledger.completed(3);
    assert!(!ledger.drained());
    assert_eq!((ledger.totals().lost, ledger.totals().duplicated), (1, 1));
}

#[test]
fn a_number_that_was_never_attempted_is_unexpected() {
    let ledger = ledger(10);
    through(&ledger, 0..5);
    assert!(ledger.delivered(&lease(7)).is_none(), "scheduled, not sent");
    assert!(ledger.delivered(&lease(10)).is_none(), "beyond the schedule");
    assert!(ledger.delivered(&lease(u64::MAX)).is_none());
    assert_eq!(ledger.totals().unexpected, 3);
}

/// Of the 10 jobs of the whole, the second of two shards has 1, 3, 5, 7 and 9: its own numbers 0 to 4.
fn second_of_two(in_company: bool) -> Ledger {
    let share = Share::of_shard(ShardNumber { number: 2, of: 2 });
    let measured = MeasuredLoad::OnSchedule {
        rate_jobs_s: 10.0,
        duration: Duration::from_secs(1),
        arrivals: Arrivals::Constant,
        seed: 0,
    };
    let schedule = Schedule::new(None, 0, measured).shared(share);
    schedule.measured().begin(1);
    let ledger = Ledger::new(Arc::new(schedule));
    if in_company { ledger.in_company() } else { ledger }
}

#[test]
fn a_job_of_another_generator_is_worked_on_and_accounted_for_elsewhere() {
    let ledger = second_of_two(true);
    ledger.sent(&(0..5), 5);
    ledger.confirmed(&(0..5), 6);
    for job in [1, 4, 8] {
        assert_eq!(ledger.delivered(&lease(job)).map(|sent| sent.phase), Some(Phase::Measured));
        ledger.completed(job);
    }
    ledger.failed(6, false);
    assert_eq!((ledger.counts().completed, ledger.counts().measured_completed, ledger.counts().failed), (3, 3, 1));
    assert!(ledger.delivered(&lease(10)).is_none(), "a number that nobody has");
    let totals = ledger.totals();
    assert_eq!((totals.completed, totals.failed, totals.lost, totals.unexpected), (1, 0, 4, 1), "its own jobs alone");
    let account: Vec<_> = ledger.account().collect();
    let told: Vec<_> = account.iter().map(|job| (job.job, job.intended_us, job.deliveries, job.completions)).collect();
    assert_eq!(
        told,
        [(1, 100_001, 1, 1), (3, 300_001, 0, 0), (5, 500_001, 0, 0), (7, 700_001, 0, 0), (9, 900_001, 0, 0)]
    );
    assert!(account.iter().all(|job| job.enqueue == EnqueueEnd::Confirmed && job.confirmed_us == 6));
}

#[test]
fn where_each_generator_has_a_queue_of_its_own_the_job_of_another_one_is_unexpected() {
    let ledger = second_of_two(false);
    ledger.sent(&(0..5), 5);
    ledger.confirmed(&(0..5), 6);
    assert!(ledger.delivered(&lease(4)).is_none());
    ledger.completed(4);
    assert_eq!((ledger.totals().unexpected, ledger.counts().completed), (1, 0));
}

#[test]
fn an_enqueue_without_an_answer_may_surface_or_not_and_is_neither_lost_nor_unexpected() {
    let ledger = ledger(2);
    ledger.sent(&(0..2), 5);
    ledger.unknown(&(0..2));
    assert!(ledger.delivered(&lease(1)).is_some());
    ledger.completed(1);
    let totals = ledger.totals();
    assert_eq!((totals.unknown, totals.lost, totals.unexpected, totals.settled_unconfirmed), (2, 0, 0, 1));
}

#[test]
fn a_delivery_that_was_handed_back_makes_the_next_one_no_redelivery() {
    let ledger = ledger(1);
    ledger.sent(&(0..1), 5);
    ledger.confirmed(&(0..1), 6);
    assert!(ledger.delivered(&lease(0)).is_some());
    ledger.handed_back(&lease(0));
    assert_eq!(ledger.totals().handed_back, 1);
    assert!(ledger.delivered(&lease(0)).is_some());
    assert_eq!((ledger.totals().redelivered, ledger.totals().handed_back), (0, 0));
}

#[test]
fn three_hundred_duplicates_do_not_wrap_to_none() {
    let ledger = ledger(1);
    through(&ledger, 0..1);
    for _ in 0..300 {
        ledger.completed(0);
    }
    assert_eq!(ledger.totals().duplicated, 1);
}

#[test]
fn a_delivery_whose_answer_never_arrived_is_known_from_the_backend_s_count() {
    let ledger = ledger(1);
    ledger.sent(&(0..1), 5);
    ledger.confirmed(&(0..1), 6);
    assert!(ledger.delivered(&Lease { attempt: 3, ..lease(0) }).is_some());
    ledger.completed(0);
    assert_eq!(ledger.totals().redelivered, 2);
}

#[test]
fn an_ack_without_an_answer_is_neither_a_completion_nor_a_loss_until_another_delivery_settles_it() {
    let ledger = ledger(1);
    ledger.sent(&(0..1), 5);
    ledger.confirmed(&(0..1), 6);
    assert!(ledger.delivered(&lease(0)).is_some());
    ledger.ack_unknown(0);
    let open = ledger.totals();
    assert_eq!((open.completed, open.lost, open.unknown_acks), (0, 0, 1));
    assert!(ledger.delivered(&Lease { attempt: 2, ..lease(0) }).is_some());
    ledger.completed(0);
    let settled = ledger.totals();
    assert_eq!((settled.completed, settled.duplicated, settled.unknown_acks), (1, 0, 0));
}

#[test]
fn a_failed_job_is_settled_and_neither_lost_nor_completed() {
    let ledger = ledger(3);
    ledger.sent(&(0..3), 5);
    ledger.confirmed(&(0..3), 6);
    (0..3).for_each(|job| assert!(ledger.delivered(&lease(job)).is_some()));
    ledger.completed(0);
    ledger.failed(1, false);
    assert!(!ledger.drained());
    ledger.failed(2, true);
    assert!(ledger.drained());
    assert_eq!((ledger.counts().settled(), ledger.backlog()), (3, 0));
    let totals = ledger.totals();
    assert_eq!((totals.completed, totals.failed, totals.lost, totals.duplicated), (1, 2, 0, 0));
    assert_eq!((totals.measured.completed, totals.measured.failed, totals.measured.panicked), (1, 2, 1));
    ledger.completed(2);
    assert_eq!(ledger.totals().duplicated, 1, "a job that failed and was completed is settled twice");
}

#[test]
fn a_flat_out_load_is_audited_over_the_borders_of_its_chunks() {
    let jobs_max = 3 * CHUNK_SLOTS as u64;
    let measured = MeasuredLoad::FlatOut { duration: Duration::from_secs(1), jobs_max };
    let schedule = Schedule::new(None, 10, measured);
    let ledger = Ledger::new(Arc::new(schedule));
    let border = CHUNK_SLOTS as u64;
    assert!(ledger.delivered(&lease(border)).is_none(), "not attempted, and not allocated");
    through(&ledger, 0..border - 3);
    through(&ledger, border - 3..border + 4);
    let totals = ledger.totals();
    assert_eq!((totals.confirmed, totals.completed, totals.lost, totals.unexpected), (border + 4, border + 4, 0, 1));
    assert_eq!((totals.measured.intended, totals.measured.completed), (border - 6, border - 6));
}
