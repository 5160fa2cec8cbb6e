//! The auditor's word on a run (METHODOLOGY A1 to A3, A5).

use std::sync::atomic::Ordering;

use qbench_backends::{Capabilities, Census};
use qbench_schema::result::{Audit, Delivery, Verdict};

use crate::driver::incidents::Incidents;
use crate::driver::ledger::Totals;

/// Judges a run from the harness's account, the incidents and the server's own account.
///
/// `drained` says whether the queue was emptied to the end; without that, what is missing may only be late, so the best
/// verdict is `inconclusive` (A2). What cannot become right by waiting (an invented job, a changed payload) is a
/// violation all the same.
pub fn judge(
    totals: &Totals,
    incidents: &Incidents,
    census: &Result<Census, String>,
    drained: bool,
    capabilities: &Capabilities,
) -> Audit {
    let corrupted = incidents.corrupted.load(Ordering::Relaxed);
    let overclaimed = incidents.overclaimed.load(Ordering::Relaxed);
    let mut violations = Vec::new();
    let mut violation = |count: u64, what: &str| {
        if count > 0 {
            violations.push(format!("{count} {what}"));
        }
    };
    violation(totals.unexpected, "deliveries of jobs that were never attempted");
    violation(totals.duplicated, "jobs settled more than once, without any crash");
    violation(corrupted, "deliveries with a payload other than the one enqueued");
    violation(overclaimed, "claims that returned more jobs than their limit");
    if capabilities.delivery == Delivery::AtMostOnce {
        violation(totals.redelivered, "redeliveries, though the backend declares at-most-once");
    }
    let mut doubts = Vec::new();
    let mut reconciliation = Vec::new();
    if drained {
        violation(totals.lost, "jobs confirmed by enqueue and never settled");
        match census {
            Ok(census) => {
                reconciliation = reconcile(totals, census);
                if totals.unknown_acks > 0 && census.done.is_none() {
                    doubts.push(format!(
                        "{} acks had no answer, and the server cannot tell whether these jobs are done",
                        totals.unknown_acks
                    ));
                }
            }
            Err(reason) => doubts.push(format!("the server's own account could not be read: {reason}")),
        }
    } else {
        doubts.push(format!("the queue was not drained: {} confirmed jobs are not settled", totals.lost));
    }
    let verdict = if !violations.is_empty() || !reconciliation.is_empty() {
        Verdict::Violated
    } else if !doubts.is_empty() {
        Verdict::Inconclusive
    } else {
        Verdict::Ok
    };
    Audit {
        verdict,
        lost: totals.lost,
        duplicated: totals.duplicated,
        unexpected: totals.unexpected,
        redelivered: totals.redelivered,
        unknown_outcome: totals.unknown,
        corrupted,
        overclaimed,
        stale_acks: incidents.stale_acks.load(Ordering::Relaxed),
        unknown_acks: totals.unknown_acks,
        refused: totals.refused,
        reasons: violations.into_iter().chain(reconciliation.iter().cloned()).chain(doubts).collect(),
        reconciliation,
    }
}

/// Compares the harness's account with the server's, after a full drain. An enqueue without an answer may have happened
/// or not, so the server may know up to that many jobs more.
fn reconcile(totals: &Totals, census: &Census) -> Vec<String> {
    let mut differences = Vec::new();
    for (count, state) in [(census.ready, "ready"), (census.in_flight, "in_flight")] {
        if count > 0 {
            differences.push(format!("the server still has {count} {state} jobs after the drain"));
        }
    }
    if let Some(enqueued) = census.enqueued {
        let most = totals.confirmed + totals.unknown;
        if !(totals.confirmed..=most).contains(&enqueued) {
            differences.push(format!(
                "the server counted {enqueued} jobs enqueued, the harness {} confirmed and {} without an answer",
                totals.confirmed, totals.unknown
            ));
        }
    }
    // The queue is empty, so a job whose ack had no answer is done, dead or lost.
    let unknown = totals.unknown_acks;
    if !(totals.failed..=totals.failed + unknown).contains(&census.dead) {
        differences.push(format!(
            "the server counted {} jobs dead, the harness {} failed and {unknown} whose ack had no answer",
            census.dead, totals.failed
        ));
    } else if let Some(done) = census.done
        && done + census.dead != totals.completed + totals.failed + unknown
    {
        differences.push(format!(
            "the server counted {done} jobs done and {} dead, the harness {} completed, {} failed and {unknown} whose ack had \
             no answer",
            census.dead, totals.completed, totals.failed
        ));
    }
    differences
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use qbench_backends::{AckBuffer, Order, Recovery, Wake};

    use super::*;

    fn capabilities(delivery: Delivery) -> Capabilities {
        Capabilities {
            delivery,
            recovery: Recovery::LeaseExpiry,
            wakes: &[Wake::Poll],
            max_enqueue_batch: NonZeroU32::MIN,
            max_claim_batch: NonZeroU32::MIN,
            max_ack_batch: NonZeroU32::MIN,
            one_claim_at_a_time: false,
            nack: true,
            detects_stale_ack: true,
            counts_attempts: true,
            sees_in_flight: true,
            records_failures: true,
            ack_buffer: AckBuffer::NONE,
            order: Order::Fifo,
        }
    }

    fn clean() -> Totals {
        Totals { confirmed: 100, completed: 100, ..Totals::default() }
    }

    fn clean_census() -> Result<Census, String> {
        Ok(Census { enqueued: Some(100), done: Some(100), ..Census::default() })
    }

    fn verdict(totals: Totals, census: Result<Census, String>, drained: bool) -> Audit {
        judge(&totals, &Incidents::default(), &census, drained, &capabilities(Delivery::AtLeastOnce))
    }

    #[test]
    fn a_clean_run_is_ok() {
        let audit = verdict(clean(), clean_census(), true);
        assert_eq!((audit.verdict, audit.reasons), (Verdict::Ok, vec![]));
    }

    #[test]
    fn a_lost_job_is_a_violation_only_after_a_full_drain() {
        let totals = Totals { lost: 1, completed: 99, ..clean() };
        let census = Ok(Census { enqueued: Some(100), done: Some(99), ..Census::default() });
        assert_eq!(verdict(totals, census.clone(), true).verdict, Verdict::Violated);
        let late = verdict(totals, census, false);
        assert_eq!(late.verdict, Verdict::Inconclusive);
        assert!(late.reasons[0].contains("not drained"), "{:?}", late.reasons);
    }

    #[test]
    fn an_undrained_run_is_never_ok() {
        assert_eq!(verdict(clean(), clean_census(), false).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn an_invented_job_is_a_violation_even_without_a_drain() {
        let totals = Totals { unexpected: 1, ..clean() };
        assert_eq!(verdict(totals, clean_census(), false).verdict, Verdict::Violated);
    }

    #[test]
    fn every_kind_of_damage_is_caught() {
        let incidents = |field: fn(&Incidents) -> &std::sync::atomic::AtomicU64| {
            let incidents = Incidents::default();
            Incidents::add(field(&incidents));
            incidents
        };
        for damaged in [incidents(|i| &i.corrupted), incidents(|i| &i.overclaimed)] {
            let audit = judge(&clean(), &damaged, &clean_census(), true, &capabilities(Delivery::AtLeastOnce));
            assert_eq!(audit.verdict, Verdict::Violated);
        }
        assert_eq!(verdict(Totals { duplicated: 2, ..clean() }, clean_census(), true).verdict, Verdict::Violated);
    }

    #[test]
    fn a_redelivery_breaks_only_the_at_most_once_contract() {
        let totals = Totals { redelivered: 1, ..clean() };
        assert_eq!(verdict(totals, clean_census(), true).verdict, Verdict::Ok);
        let strict = judge(&totals, &Incidents::default(), &clean_census(), true, &capabilities(Delivery::AtMostOnce));
        assert_eq!(strict.verdict, Verdict::Violated);
    }

    #[test]
    fn the_server_s_own_account_must_agree() {
        for census in [
            Census { ready: 1, ..clean_census().unwrap() },
            Census { done: Some(101), ..clean_census().unwrap() },
            Census { enqueued: Some(99), ..clean_census().unwrap() },
            Census { enqueued: Some(101), ..clean_census().unwrap() },
        ] {
            let audit = verdict(clean(), Ok(census.clone()), true);
            assert_eq!(audit.verdict, Verdict::Violated, "{census:?}");
            assert_eq!(audit.reconciliation.len(), 1, "{census:?}");
        }
    }

    #[test]
    fn failed_jobs_are_settled_and_must_be_the_server_s_dead_ones() {
        let totals = Totals { completed: 90, failed: 10, ..clean() };
        let counted = |done, dead| Ok(Census { done: Some(done), dead, ..clean_census().unwrap() });
        assert_eq!(verdict(totals, counted(90, 10), true).verdict, Verdict::Ok);
        for (done, dead) in [(100, 0), (91, 9), (90, 11), (89, 10)] {
            let audit = verdict(totals, counted(done, dead), true);
            assert_eq!((audit.verdict, audit.reconciliation.len()), (Verdict::Violated, 1), "{done} done, {dead} dead");
        }
        let open = Totals { completed: 90, failed: 9, unknown_acks: 1, ..clean() };
        for (done, dead) in [(91, 9), (90, 10)] {
            assert_eq!(verdict(open, counted(done, dead), true).verdict, Verdict::Ok, "its ack had happened");
        }
        assert_eq!(
            verdict(open, counted(90, 9), true).verdict,
            Verdict::Violated,
            "neither done, nor dead, nor waiting"
        );
    }

    #[test]
    fn an_unanswered_enqueue_may_have_happened_or_not() {
        let totals = Totals { unknown: 1, ..clean() };
        for enqueued in [100, 101] {
            let census = Ok(Census { enqueued: Some(enqueued), ..clean_census().unwrap() });
            assert_eq!(verdict(totals, census, true).verdict, Verdict::Ok);
        }
    }

    #[test]
    fn an_ack_without_an_answer_is_settled_by_the_server_s_own_account() {
        let totals = Totals { completed: 99, unknown_acks: 1, ..clean() };
        let counted = |done| Ok(Census { enqueued: Some(100), done, ..Census::default() });
        assert_eq!(verdict(totals, counted(Some(100)), true).verdict, Verdict::Ok, "it had happened");
        assert_eq!(
            verdict(totals, counted(Some(99)), true).verdict,
            Verdict::Violated,
            "neither done nor in the queue"
        );
        assert_eq!(verdict(totals, counted(None), true).verdict, Verdict::Inconclusive, "nobody knows");
    }

    #[test]
    fn without_the_server_s_account_there_is_no_ok() {
        assert_eq!(verdict(clean(), Err("connection reset".into()), true).verdict, Verdict::Inconclusive);
    }
}
