//! Validity gates (METHODOLOGY L6): an invalid result is kept and marked, and never ranked.

pub mod hiccups;
mod reason;

use qbench_schema::result::{Audit, Backlog, Blame, Percentiles, Regime, Validity, Verdict, word};

use hiccups::Spoiled;
pub use reason::Reason;

/// Share of the intended arrivals that must have been sent while the measured phase lasted.
const MIN_SENT_SHARE: f64 = 0.995;
/// So few unsent arrivals are never a reason: those of the last moments, which producers hand over just after the end.
const UNSENT_FLOOR: u64 = 10;
/// Release lag may be at most this share of the reported p99, and the wait for a producer of the reported median.
const MAX_LAG_SHARE: f64 = 0.10;
/// Less than this is never a reason: it is the resolution of timers and wake-ups, whatever the latency.
const LAG_FLOOR_MS: f64 = 1.0;
/// Share of all cores that the harness itself may use, and of one core that each thread of producers and workers may.
const MAX_HARNESS_SHARE: f64 = 0.85;
/// Share of the host's time that the hypervisor may take away.
const MAX_STEAL_PCT: f64 = 3.0;
/// In a normal run, the share of its arrivals that may pile up over the measured phase.
const MAX_BACKLOG_SHARE: f64 = 0.02;
/// Share of the measured phase that the background load must have reported on.
const MIN_BACKGROUND_COVER: f64 = 0.9;

/// What the gates look at.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// The auditor's word.
    pub audit: &'a Audit,
    /// Measured arrivals.
    pub intended: u64,
    /// Jobs sent within the measured phase. What was sent later was sent, but not at the offered rate.
    pub sent_in_phase: u64,
    /// The headline latency.
    pub end_to_end_ms: Percentiles,
    /// The generator's own lateness (METHODOLOGY L9).
    pub release_lag_ms: Percentiles,
    /// The wait for a free producer.
    pub producer_wait_ms: Percentiles,
    /// Jobs in the system over the measured phase.
    pub backlog: Backlog,
    /// Length of the measured phase.
    pub measured_s: f64,
    /// Whether the load was meant to be carried.
    pub regime: Regime,
    /// CPU of the harness, 100 is one core; absent where it could not be read.
    pub harness_cpu_pct: Option<f64>,
    /// CPU of the busiest thread of producers and workers, 100 is one core; absent where it could not be read.
    pub busiest_thread_pct: Option<f64>,
    /// Logical cores.
    pub cores: u32,
    /// Time stolen by the hypervisor over the measured phase.
    pub steal_pct: Option<f64>,
    /// The same of the server's host, where that is another one.
    pub server_host_steal_pct: Option<f64>,
    /// Records that could not be kept.
    pub dropped_records: u64,
    /// Latencies too large for the histograms.
    pub overflows: u64,
    /// For scenarios with background load: seconds of the measured phase that it reported on.
    pub background_covered_s: Option<f64>,
    /// Why records are missing, if they are.
    pub recording_error: Option<&'a str>,
    /// What pauses of the host and of the harness did.
    pub spoiled: &'a Spoiled,
}

/// Applies every gate. `extra` are reasons that stand before any figure: the run failed or was interrupted.
pub fn judge(evidence: &Evidence<'_>, extra: Vec<Reason>) -> Validity {
    let mut reasons = extra;
    reasons.extend(gates(evidence).into_iter().filter_map(|(blame, words)| Some(Reason::new(blame, words?))));
    reasons.extend(evidence.spoiled.reasons.iter().cloned());
    reason::verdict(reasons)
}

/// The gates beside those for pauses: whose doing it is when one trips, and the words when it did.
fn gates(e: &Evidence<'_>) -> [(Blame, Option<String>); 13] {
    let sent_share = if e.intended == 0 { 0.0 } else { e.sent_in_phase as f64 / e.intended as f64 };
    let unsent_is_many = e.intended == 0 || e.intended.saturating_sub(e.sent_in_phase) > UNSENT_FLOOR;
    let lag_limit_ms = (MAX_LAG_SHARE * e.end_to_end_ms.p99).max(LAG_FLOOR_MS);
    let wait_limit_ms = (MAX_LAG_SHARE * e.end_to_end_ms.p50).max(LAG_FLOOR_MS);
    let piled_up = e.backlog.slope_jobs_s * e.measured_s;
    let piled_up_limit = (MAX_BACKLOG_SHARE * e.intended as f64).max(10.0);
    [
        (Blame::Queue, (e.audit.verdict != Verdict::Ok).then(|| {
            format!("audit {}: {}", word(e.audit.verdict), e.audit.reasons.join(", "))
        })),
        // Producers that wait for the queue send late. Where they were released late, the next reason says so.
        (Blame::Queue, (sent_share < MIN_SENT_SHARE && unsent_is_many).then(|| {
            format!(
                "offered load not reached: {} of {} intended jobs were sent in the measured phase ({:.1} %, at least {:.1} % \
                 needed)",
                e.sent_in_phase,
                e.intended,
                sent_share * 100.0,
                MIN_SENT_SHARE * 100.0
            )
        })),
        (e.spoiled.blame_for_lateness(e.release_lag_ms.p99), (e.release_lag_ms.p99 > lag_limit_ms).then(|| {
            format!(
                "the generator was late: release_lag p99 {:.2} ms, at most {:.2} ms allowed ({})",
                e.release_lag_ms.p99,
                lag_limit_ms,
                if lag_limit_ms > LAG_FLOOR_MS { "10 % of end_to_end p99" } else { "the resolution of timers" }
            )
        })),
        // The median, because a stall of the server keeps every producer busy for a while: that is the queue's own doing.
        (Blame::Queue, (e.producer_wait_ms.p50 > wait_limit_ms).then(|| {
            format!(
                "too few producers: every second job waited {:.2} ms or more for a free one, at most {:.2} ms allowed ({}); double \
                 --producers, and if the wait stays the queue takes no more",
                e.producer_wait_ms.p50,
                wait_limit_ms,
                if wait_limit_ms > LAG_FLOOR_MS { "10 % of end_to_end p50" } else { "the resolution of timers" }
            )
        })),
        (Blame::Harness, e.harness_cpu_pct.filter(|pct| *pct > MAX_HARNESS_SHARE * 100.0 * f64::from(e.cores)).map(|pct| {
            format!(
                "the harness was bound by its own CPU: {pct:.0} % of {} cores, at most {:.0} % allowed",
                e.cores,
                MAX_HARNESS_SHARE * 100.0 * f64::from(e.cores)
            )
        })),
        (Blame::Harness, e.busiest_thread_pct.filter(|pct| *pct > MAX_HARNESS_SHARE * 100.0).map(|pct| {
            format!(
                "the harness was bound by its own CPU: a thread of producers and workers used {pct:.0} % of a core, at most \
                 {:.0} % allowed",
                MAX_HARNESS_SHARE * 100.0
            )
        })),
        (Blame::Queue, (e.regime == Regime::Normal && piled_up > piled_up_limit).then(|| {
            format!(
                "the backlog grew by {:.1} jobs/s ({piled_up:.0} jobs over the phase, at most {piled_up_limit:.0} allowed) \
                 though capacity was above the offered load",
                e.backlog.slope_jobs_s
            )
        })),
        (Blame::Host, e.steal_pct.filter(|pct| *pct > MAX_STEAL_PCT).map(|pct| {
            format!("the hypervisor took {pct:.1} % of the host's time, at most {MAX_STEAL_PCT:.1} % allowed")
        })),
        (Blame::Host, e.server_host_steal_pct.filter(|pct| *pct > MAX_STEAL_PCT).map(|pct| {
            format!("the hypervisor took {pct:.1} % of the time of the server's host, at most {MAX_STEAL_PCT:.1} % allowed")
        })),
        (Blame::Harness, (e.dropped_records > 0).then(|| format!("{} records could not be kept", e.dropped_records))),
        (Blame::Harness, (e.overflows > 0).then(|| format!("{} latencies were too large for the clock's range", e.overflows))),
        (Blame::Harness, e.recording_error.map(|error| format!("records are missing: {error}"))),
        (Blame::Harness, e.background_covered_s.filter(|covered_s| *covered_s < MIN_BACKGROUND_COVER * e.measured_s).map(|covered_s| {
            format!(
                "the background load covered {covered_s:.1} s of the {:.1} s measured, at least {:.0} % needed",
                e.measured_s,
                MIN_BACKGROUND_COVER * 100.0
            )
        })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean_audit() -> Audit {
        Audit { verdict: Verdict::Ok, ..Audit::default() }
    }

    static UNSPOILED: std::sync::LazyLock<Spoiled> = std::sync::LazyLock::new(Spoiled::default);

    fn clean(audit: &Audit) -> Evidence<'_> {
        Evidence {
            audit,
            intended: 5_000,
            sent_in_phase: 5_000,
            end_to_end_ms: Percentiles { p99: 20.0, ..Percentiles::default() },
            release_lag_ms: Percentiles { p99: 0.3, ..Percentiles::default() },
            producer_wait_ms: Percentiles { p50: 0.1, p99: 400.0, ..Percentiles::default() },
            backlog: Backlog::default(),
            measured_s: 10.0,
            regime: Regime::Normal,
            harness_cpu_pct: Some(20.0),
            busiest_thread_pct: Some(40.0),
            cores: 2,
            steal_pct: Some(0.0),
            server_host_steal_pct: None,
            dropped_records: 0,
            overflows: 0,
            background_covered_s: None,
            recording_error: None,
            spoiled: &UNSPOILED,
        }
    }

    #[test]
    fn a_clean_run_is_valid() {
        let audit = clean_audit();
        assert_eq!(judge(&clean(&audit), vec![]), Validity { valid: true, ..Validity::default() });
    }

    #[test]
    fn each_gate_trips_alone_and_names_its_figure() {
        let audit = clean_audit();
        let violated = Audit { verdict: Verdict::Violated, reasons: vec!["3 jobs lost".into()], ..clean_audit() };
        let base = clean(&audit);
        let late = Percentiles { p99: 2.5, ..Percentiles::default() };
        let waiting = Percentiles { p50: 1.2, ..Percentiles::default() };
        let growing = Backlog { slope_jobs_s: 50.0, ..Backlog::default() };
        for (evidence, figure, blame) in [
            (Evidence { audit: &violated, ..base.clone() }, "3 jobs lost", Blame::Queue),
            (Evidence { sent_in_phase: 4_900, ..base.clone() }, "98.0 %", Blame::Queue),
            (Evidence { release_lag_ms: late, ..base.clone() }, "release_lag p99 2.50 ms", Blame::Harness),
            (Evidence { producer_wait_ms: waiting, ..base.clone() }, "waited 1.20 ms or more", Blame::Queue),
            (Evidence { harness_cpu_pct: Some(190.0), ..base.clone() }, "190 %", Blame::Harness),
            (Evidence { busiest_thread_pct: Some(97.0), ..base.clone() }, "97 % of a core", Blame::Harness),
            (Evidence { backlog: growing, ..base.clone() }, "50.0 jobs/s", Blame::Queue),
            (Evidence { steal_pct: Some(4.2), ..base.clone() }, "4.2 %", Blame::Host),
            (
                Evidence { server_host_steal_pct: Some(5.1), ..base.clone() },
                "5.1 % of the time of the server's host",
                Blame::Host,
            ),
            (Evidence { dropped_records: 7, ..base.clone() }, "7 records", Blame::Harness),
            (Evidence { overflows: 1, ..base.clone() }, "1 latencies", Blame::Harness),
            (Evidence { background_covered_s: Some(5.0), ..base.clone() }, "5.0 s", Blame::Harness),
            (Evidence { recording_error: Some("disk full"), ..base.clone() }, "disk full", Blame::Harness),
        ] {
            let validity = judge(&evidence, vec![]);
            assert!(!validity.valid);
            assert_eq!(validity.reasons.len(), 1, "{:?}", validity.reasons);
            assert!(validity.reasons[0].contains(figure), "{:?} should name {figure}", validity.reasons);
            assert_eq!(validity.blame, [blame], "{:?}", validity.reasons);
        }
    }

    #[test]
    fn a_run_that_the_queue_spoiled_too_is_not_the_host_s_alone() {
        let audit = clean_audit();
        let stolen = Evidence { steal_pct: Some(4.2), ..clean(&audit) };
        assert!(judge(&stolen, vec![]).is_spoiled_by_the_host_alone());
        let growing = Backlog { slope_jobs_s: 50.0, ..Backlog::default() };
        assert!(!judge(&Evidence { backlog: growing, ..stolen }, vec![]).is_spoiled_by_the_host_alone());
    }

    #[test]
    fn a_backlog_that_grows_in_overload_is_what_was_asked_for() {
        let audit = clean_audit();
        let growing = Backlog { slope_jobs_s: 500.0, ..Backlog::default() };
        let evidence = Evidence { backlog: growing, regime: Regime::Overload, ..clean(&audit) };
        assert!(judge(&evidence, vec![]).valid);
    }

    #[test]
    fn lag_within_the_timer_s_resolution_is_no_reason_at_microsecond_latencies() {
        let audit = clean_audit();
        let fast = Percentiles { p99: 0.9, ..Percentiles::default() };
        assert!(judge(&Evidence { end_to_end_ms: fast, ..clean(&audit) }, vec![]).valid);
    }

    #[test]
    fn a_few_jobs_of_the_last_moments_may_be_sent_after_the_end() {
        let audit = clean_audit();
        let short = |sent_in_phase| Evidence { intended: 200, sent_in_phase, ..clean(&audit) };
        assert!(judge(&short(190), vec![]).valid);
        assert!(!judge(&short(189), vec![]).valid);
    }

    #[test]
    fn a_failed_run_is_not_valid_whatever_its_figures() {
        let audit = clean_audit();
        let validity = judge(&clean(&audit), vec![Reason::new(Blame::Queue, "the run failed")]);
        assert_eq!((validity.valid, validity.reasons.len()), (false, 1));
    }
}
