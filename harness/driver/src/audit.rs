//! The auditor's word on a run (METHODOLOGY A1 to A3, A5).

use std::sync::atomic::Ordering;

use qbench_backends::{Capabilities, Census};
use qbench_schema::result::{Audit, Delivery, Verdict};

use crate::incidents::Incidents;
use crate::ledger::Totals;
use crate::outcome::End;

/// Judges a run from the harness's account, the incidents and the server's own account.
///
/// Without a drain, and without a stop that handed every job back, the best verdict is `inconclusive` (METHODOLOGY A2). What
/// cannot become right by waiting (an invented job, a changed payload) is a violation all the same.
pub fn judge(
    totals: &Totals,
    incidents: &Incidents,
    census: &Result<Census, String>,
    end: End,
    capabilities: &Capabilities,
) -> Audit {
    let mut violations = certain_violations(totals, incidents, capabilities.delivery);
    let mut violation = |count: u64, what: &str| violations.extend(counted(count, what));
    let mut doubts = Vec::new();
    let mut reconciliation = Vec::new();
    let mut lost = totals.lost;
    match (end, census) {
        (End::Undrained, _) => {
            doubts.push(format!("the queue was not drained: {} confirmed jobs are not settled", totals.lost));
        }
        (End::Drained | End::Stopped, Err(reason)) => {
            if end == End::Drained {
                violation(lost, "jobs confirmed by enqueue and never settled");
            }
            doubts.push(format!("the server's own account could not be read: {reason}"));
        }
        (End::Drained, Ok(census)) => {
            violation(lost, "jobs confirmed by enqueue and never settled");
            reconciliation = reconcile(totals, census);
            if totals.unknown_acks > 0 && census.done.is_none() {
                doubts.push(format!(
                    "{} acks had no answer, and the server cannot tell whether these jobs are done",
                    totals.unknown_acks
                ));
            }
        }
        (End::Stopped, Ok(census)) => {
            let left = census.ready + census.in_flight;
            // A job whose enqueue or ack had no answer may be among those left, in the place of a confirmed one that is lost;
            // not one that the server counts as settled beyond what we know to be.
            let settled_anyway = census.done.map_or(0, |done| (done + census.dead).saturating_sub(totals.settled()));
            let unanswered = totals.open_enqueues() + totals.unknown_acks.saturating_sub(settled_anyway);
            let perhaps_lost = lost.min((lost + unanswered).saturating_sub(left));
            lost = lost.saturating_sub(left);
            violation(lost, "jobs confirmed by enqueue, not settled, and not in the queue either");
            if perhaps_lost > lost {
                doubts.push(format!(
                    "{unanswered} enqueues or acks had no answer: {} of the {left} jobs in the queue may be theirs, and as many \
                     confirmed ones lost",
                    perhaps_lost - lost
                ));
            }
            reconciliation = reconcile_stopped(totals, census);
            // Some servers have a job in flight until it is taken again, also when it was given back.
            let returned = if capabilities.counts_returned_as_ready { 0 } else { totals.handed_back };
            let held = census.in_flight.saturating_sub(returned);
            if held > 0 {
                doubts.push(format!("{held} jobs were not handed back: they wait for their leases"));
            }
        }
    }
    Audit { lost, ..conclude(totals, incidents, violations, reconciliation, doubts) }
}

/// What one of several generators that work on one queue can say by itself: what is wrong whatever the others did. Whether its jobs were settled, only
/// all of them together can say, so the best verdict is `inconclusive`.
pub fn judge_share(totals: &Totals, incidents: &Incidents, delivery: Delivery) -> Audit {
    let violations = certain_violations(totals, incidents, delivery);
    let elsewhere = format!(
        "a shard on a queue of all shards: {} of its confirmed jobs were not settled here, and `qbench merge` looks for them with the others",
        totals.lost + totals.unknown_acks
    );
    conclude(totals, incidents, violations, Vec::new(), vec![elsewhere])
}

/// What cannot become right by waiting, and what nobody else can put right.
fn certain_violations(totals: &Totals, incidents: &Incidents, delivery: Delivery) -> Vec<String> {
    let redelivered = if delivery == Delivery::AtMostOnce { totals.redelivered } else { 0 };
    [
        (totals.unexpected, "deliveries of jobs that were never attempted"),
        (totals.duplicated, "jobs settled more than once, without any crash"),
        (incidents.corrupted.load(Ordering::Relaxed), "deliveries with a payload other than the one enqueued"),
        (incidents.overclaimed.load(Ordering::Relaxed), "claims that returned more jobs than their limit"),
        (redelivered, "redeliveries, though the backend declares at-most-once"),
    ]
    .into_iter()
    .filter_map(|(count, what)| counted(count, what))
    .collect()
}

fn counted(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what}"))
}

/// The verdict that follows, with the counts; nothing is called lost.
fn conclude(
    totals: &Totals,
    incidents: &Incidents,
    violations: Vec<String>,
    reconciliation: Vec<String>,
    doubts: Vec<String>,
) -> Audit {
    let verdict = if !violations.is_empty() || !reconciliation.is_empty() {
        Verdict::Violated
    } else if !doubts.is_empty() {
        Verdict::Inconclusive
    } else {
        Verdict::Ok
    };
    Audit {
        verdict,
        lost: 0,
        duplicated: totals.duplicated,
        unexpected: totals.unexpected,
        redelivered: totals.redelivered,
        unknown_outcome: totals.unknown,
        corrupted: incidents.corrupted.load(Ordering::Relaxed),
        overclaimed: incidents.overclaimed.load(Ordering::Relaxed),
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
    differences.extend(reconcile_enqueued(totals, census));
    // The queue is empty, so a job whose ack had no answer is done, dead or lost.
    differences.extend(reconcile_settled(totals, census, totals.unknown_acks));
    differences
}

/// Compares what is settled. Of the jobs whose ack had no answer at least `least_of_unknown` must be settled, too.
fn reconcile_settled(totals: &Totals, census: &Census, least_of_unknown: u64) -> Option<String> {
    let unknown = totals.unknown_acks;
    if !(totals.failed..=totals.failed + unknown).contains(&census.dead) {
        return Some(format!(
            "the server counted {} jobs dead, the harness {} failed and {unknown} whose ack had no answer",
            census.dead, totals.failed
        ));
    }
    let done = census.done?;
    let settled = totals.settled();
    (!(settled + least_of_unknown..=settled + unknown).contains(&(done + census.dead))).then(|| {
        format!(
            "the server counted {done} jobs done and {} dead, the harness {} completed, {} failed and {unknown} whose ack had \
             no answer",
            census.dead, totals.completed, totals.failed
        )
    })
}

/// Compares the accounts after a stop: what the server still has must be what was not settled. A job whose enqueue or ack
/// had no answer may be there or not.
fn reconcile_stopped(totals: &Totals, census: &Census) -> Vec<String> {
    let mut differences: Vec<String> = reconcile_enqueued(totals, census).into_iter().collect();
    let left = census.ready + census.in_flight;
    let open = totals.open_enqueues();
    if left > totals.lost + open + totals.unknown_acks {
        differences.push(format!(
            "the server still has {left} jobs after the stop, and the harness {} confirmed and not settled, {open} without an \
             answer to enqueue and {} without one to ack",
            totals.lost, totals.unknown_acks
        ));
    }
    differences.extend(reconcile_settled(totals, census, 0));
    differences
}

fn reconcile_enqueued(totals: &Totals, census: &Census) -> Option<String> {
    let enqueued = census.enqueued?;
    let most = totals.confirmed + totals.unknown;
    (!(totals.confirmed + totals.settled_unconfirmed..=most).contains(&enqueued)).then(|| {
        format!(
            "the server counted {enqueued} jobs enqueued, the harness {} confirmed and {} without an answer",
            totals.confirmed, totals.unknown
        )
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use qbench_backends::Wake;

    use super::*;

    fn capabilities(delivery: Delivery) -> Capabilities {
        Capabilities { delivery, ..Capabilities::leased(&[Wake::Poll], NonZeroU32::MIN) }
    }

    fn clean() -> Totals {
        Totals { confirmed: 100, completed: 100, ..Totals::default() }
    }

    fn clean_census() -> Result<Census, String> {
        Ok(Census { enqueued: Some(100), done: Some(100), ..Census::default() })
    }

    fn verdict(totals: Totals, census: Result<Census, String>, end: End) -> Audit {
        judge(&totals, &Incidents::default(), &census, end, &capabilities(Delivery::AtLeastOnce))
    }

    #[test]
    fn a_clean_run_is_ok() {
        let audit = verdict(clean(), clean_census(), End::Drained);
        assert_eq!((audit.verdict, audit.reasons), (Verdict::Ok, vec![]));
    }

    #[test]
    fn a_lost_job_is_a_violation_only_after_a_full_drain() {
        let totals = Totals { lost: 1, completed: 99, ..clean() };
        let census = Ok(Census { enqueued: Some(100), done: Some(99), ..Census::default() });
        assert_eq!(verdict(totals, census.clone(), End::Drained).verdict, Verdict::Violated);
        let late = verdict(totals, census, End::Undrained);
        assert_eq!(late.verdict, Verdict::Inconclusive);
        assert!(late.reasons[0].contains("not drained"), "{:?}", late.reasons);
    }

    #[test]
    fn an_undrained_run_is_never_ok() {
        assert_eq!(verdict(clean(), clean_census(), End::Undrained).verdict, Verdict::Inconclusive);
    }

    /// 100 jobs, of which 60 were completed before a stop.
    fn stopped(census: Census) -> Audit {
        let totals = Totals { completed: 60, lost: 40, ..clean() };
        verdict(totals, Ok(Census { enqueued: Some(100), done: Some(60), ..census }), End::Stopped)
    }

    #[test]
    fn a_stopped_run_is_ok_when_every_job_is_done_or_back_in_the_queue() {
        let audit = stopped(Census { ready: 40, ..Census::default() });
        assert_eq!((audit.verdict, audit.lost, audit.reasons), (Verdict::Ok, 0, vec![]));
    }

    #[test]
    fn a_job_that_a_stop_did_not_hand_back_leaves_a_doubt() {
        let audit = stopped(Census { ready: 37, in_flight: 3, ..Census::default() });
        assert_eq!((audit.verdict, audit.lost), (Verdict::Inconclusive, 0));
        assert!(audit.reasons[0].contains("3 jobs were not handed back"), "{:?}", audit.reasons);
    }

    #[test]
    fn a_server_that_has_a_job_in_flight_until_it_is_taken_again_is_believed_as_far_as_jobs_were_handed_back() {
        let capabilities = Capabilities { counts_returned_as_ready: false, ..capabilities(Delivery::AtLeastOnce) };
        let totals = Totals { completed: 60, lost: 40, handed_back: 3, ..clean() };
        for (in_flight, expected) in [(3, Verdict::Ok), (4, Verdict::Inconclusive)] {
            let census =
                Census { enqueued: Some(100), done: Some(60), ready: 40 - in_flight, in_flight, ..Census::default() };
            let audit = judge(&totals, &Incidents::default(), &Ok(census), End::Stopped, &capabilities);
            assert_eq!(audit.verdict, expected, "{:?}", audit.reasons);
        }
    }

    #[test]
    fn what_a_stopped_run_lost_or_doubled_is_a_violation() {
        let lost = stopped(Census { ready: 39, ..Census::default() });
        assert_eq!((lost.verdict, lost.lost), (Verdict::Violated, 1));
        let doubled = stopped(Census { ready: 41, ..Census::default() });
        assert_eq!((doubled.verdict, doubled.reconciliation.len()), (Verdict::Violated, 1));
        let totals = Totals { completed: 60, lost: 40, ..clean() };
        let acked_and_forgotten = Ok(Census { enqueued: Some(100), done: Some(59), ready: 40, ..Census::default() });
        assert_eq!(verdict(totals, acked_and_forgotten, End::Stopped).verdict, Verdict::Violated);
        assert_eq!(verdict(totals, Err("gone".into()), End::Stopped).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_job_without_an_answer_to_its_enqueue_or_ack_hides_no_loss_from_a_stop() {
        let totals = Totals { completed: 60, lost: 40, ..clean() };
        let left = |ready| Ok(Census { enqueued: Some(100), done: Some(60), ready, ..Census::default() });
        for open in [Totals { unknown: 1, ..totals }, Totals { unknown_acks: 1, lost: 39, ..totals }] {
            // The one without an answer is there and a confirmed one is gone, or the other way round: nobody can tell.
            let audit = verdict(open, left(open.lost), End::Stopped);
            assert_eq!((audit.verdict, audit.lost), (Verdict::Inconclusive, 0), "{:?}", audit.reasons);
            assert!(audit.reasons[0].contains("1 enqueues or acks had no answer"), "{:?}", audit.reasons);
        }
        let surfaced = Totals { unknown: 1, settled_unconfirmed: 1, completed: 61, ..totals };
        let of = |ready| Ok(Census { enqueued: Some(101), done: Some(61), ready, ..Census::default() });
        assert_eq!(verdict(surfaced, of(40), End::Stopped).verdict, Verdict::Ok, "it was completed: nothing is open");
        assert_eq!(verdict(surfaced, of(41), End::Stopped).verdict, Verdict::Violated, "one too many");
        let acked = Totals { unknown_acks: 1, lost: 39, ..totals };
        let of = |done| Ok(Census { enqueued: Some(100), done: Some(done), ready: 39, ..Census::default() });
        assert_eq!(verdict(acked, of(61), End::Stopped).verdict, Verdict::Ok, "its ack had happened: nothing is open");
        assert_eq!(verdict(acked, of(60), End::Stopped).verdict, Verdict::Inconclusive, "nobody knows");
    }

    #[test]
    fn an_invented_job_is_a_violation_even_without_a_drain() {
        let totals = Totals { unexpected: 1, ..clean() };
        assert_eq!(verdict(totals, clean_census(), End::Undrained).verdict, Verdict::Violated);
    }

    #[test]
    fn every_kind_of_damage_is_caught() {
        let incidents = |field: fn(&Incidents) -> &std::sync::atomic::AtomicU64| {
            let incidents = Incidents::default();
            Incidents::add(field(&incidents));
            incidents
        };
        for damaged in [incidents(|i| &i.corrupted), incidents(|i| &i.overclaimed)] {
            let audit = judge(&clean(), &damaged, &clean_census(), End::Drained, &capabilities(Delivery::AtLeastOnce));
            assert_eq!(audit.verdict, Verdict::Violated);
        }
        assert_eq!(
            verdict(Totals { duplicated: 2, ..clean() }, clean_census(), End::Drained).verdict,
            Verdict::Violated
        );
    }

    #[test]
    fn a_share_of_a_queue_is_never_ok_by_itself_and_calls_nothing_lost_that_another_may_have() {
        let share = |totals| judge_share(&totals, &Incidents::default(), Delivery::AtLeastOnce);
        let audit = share(Totals { completed: 25, lost: 75, ..clean() });
        assert_eq!((audit.verdict, audit.lost), (Verdict::Inconclusive, 0));
        assert!(audit.reasons[0].contains("75 of its confirmed jobs"), "{:?}", audit.reasons);
        for damaged in [Totals { unexpected: 1, ..clean() }, Totals { duplicated: 1, ..clean() }] {
            assert_eq!(share(damaged).verdict, Verdict::Violated);
        }
    }

    #[test]
    fn a_redelivery_breaks_only_the_at_most_once_contract() {
        let totals = Totals { redelivered: 1, ..clean() };
        assert_eq!(verdict(totals, clean_census(), End::Drained).verdict, Verdict::Ok);
        let strict =
            judge(&totals, &Incidents::default(), &clean_census(), End::Drained, &capabilities(Delivery::AtMostOnce));
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
            let audit = verdict(clean(), Ok(census.clone()), End::Drained);
            assert_eq!(audit.verdict, Verdict::Violated, "{census:?}");
            assert_eq!(audit.reconciliation.len(), 1, "{census:?}");
        }
    }

    #[test]
    fn failed_jobs_are_settled_and_must_be_the_server_s_dead_ones() {
        let totals = Totals { completed: 90, failed: 10, ..clean() };
        let counted = |done, dead| Ok(Census { done: Some(done), dead, ..clean_census().unwrap() });
        assert_eq!(verdict(totals, counted(90, 10), End::Drained).verdict, Verdict::Ok);
        for (done, dead) in [(100, 0), (91, 9), (90, 11), (89, 10)] {
            let audit = verdict(totals, counted(done, dead), End::Drained);
            assert_eq!((audit.verdict, audit.reconciliation.len()), (Verdict::Violated, 1), "{done} done, {dead} dead");
        }
        let open = Totals { completed: 90, failed: 9, unknown_acks: 1, ..clean() };
        for (done, dead) in [(91, 9), (90, 10)] {
            assert_eq!(verdict(open, counted(done, dead), End::Drained).verdict, Verdict::Ok, "its ack had happened");
        }
        assert_eq!(
            verdict(open, counted(90, 9), End::Drained).verdict,
            Verdict::Violated,
            "neither done, nor dead, nor waiting"
        );
    }

    #[test]
    fn an_unanswered_enqueue_may_have_happened_or_not() {
        let totals = Totals { unknown: 1, ..clean() };
        for enqueued in [100, 101] {
            let census = Ok(Census { enqueued: Some(enqueued), ..clean_census().unwrap() });
            assert_eq!(verdict(totals, census, End::Drained).verdict, Verdict::Ok);
        }
    }

    #[test]
    fn an_ack_without_an_answer_is_settled_by_the_server_s_own_account() {
        let totals = Totals { completed: 99, unknown_acks: 1, ..clean() };
        let counted = |done| Ok(Census { enqueued: Some(100), done, ..Census::default() });
        assert_eq!(verdict(totals, counted(Some(100)), End::Drained).verdict, Verdict::Ok, "it had happened");
        assert_eq!(
            verdict(totals, counted(Some(99)), End::Drained).verdict,
            Verdict::Violated,
            "neither done nor in the queue"
        );
        assert_eq!(verdict(totals, counted(None), End::Drained).verdict, Verdict::Inconclusive, "nobody knows");
    }

    #[test]
    fn without_the_server_s_account_there_is_no_ok() {
        assert_eq!(verdict(clean(), Err("connection reset".into()), End::Drained).verdict, Verdict::Inconclusive);
    }
}
