//! Pauses of the machine and of the harness, held against the latencies that they may lie behind (METHODOLOGY M7).
//!
//! A pause matters by two measures. It must be long beside the latency that is reported, and it must touch enough of the run to
//! move that figure: 1 % of the time for p99, 0.1 % for p99.9, once for the maximum. The machine's pauses make a run not valid
//! when they certainly reach its p99; those that can only reach further up are said beside the figures. The harness must not
//! pause at all: whoever measures and stands still meanwhile has not measured.

use std::ops::Range;

use qbench_engines::monitor::Hiccups;
use qbench_engines::monitor::hiccups::{Pause, Report};
use qbench_schema::result::{Blame, Percentiles, SpoiledTail};

use super::reason::Reason;

/// No pause below this is held against anybody: a thread waits for so long where something else runs.
const PAUSE_FLOOR_MS: f64 = 10.0;
/// A pause of the harness alone below this is not a freeze.
const FREEZE_FLOOR_MS: f64 = 50.0;
/// Share of a latency that a pause must have to matter for it.
const LATENCY_SHARE: f64 = 0.10;
/// Share of the measured phase that pauses must touch to move p99.
const P99_SHARE: f64 = 0.01;
/// Share of the measured phase that pauses must touch to move p99.9.
const P999_SHARE: f64 = 0.001;
/// Share of a pause that must be seen from the other side to be the same pause.
const SAME_SHARE: f64 = 0.5;
/// Share of the generator's lateness that the host's must have to be its cause.
const CAUSE_SHARE: f64 = 0.5;

/// What pauses did to a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoiled {
    /// Why the run is not valid.
    pub reasons: Vec<Reason>,
    /// Why p99.9 and the maximum are not the queue's in a run that may be valid.
    pub tail: Option<SpoiledTail>,
    /// How late the host's wake-ups were at p99, where that is certainly the host's doing.
    host_p99_ms: Option<f64>,
}

/// The latency that pauses are held against.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// The headline latency; `None` where it says nothing about the queue: flat out and in overload.
    pub end_to_end_ms: Option<Percentiles>,
    /// Length of the measured phase.
    pub measured_s: f64,
}

impl Spoiled {
    /// Whose doing it is that the generator was late by `lag_p99_ms`.
    pub fn blame_for_lateness(&self, lag_p99_ms: f64) -> Blame {
        match self.host_p99_ms.is_some_and(|host_ms| host_ms >= CAUSE_SHARE * lag_p99_ms) {
            true => Blame::Host,
            false => Blame::Harness,
        }
    }
}

/// Holds what the meters saw against the latency.
pub fn judge(hiccups: &Hiccups, latency: Latency) -> Spoiled {
    let owned = Owned::of(hiccups);
    // Without real-time priority a wake-up waits for a free core as well, and who takes the cores may be the queue.
    let host = hiccups.host.as_ref().filter(|host| host.real_time);
    let of_host = Paused {
        by: if host.is_some() { Blame::Host } else { Blame::Harness },
        who: if host.is_some() { "this host paused" } else { "this host paused or had no core free" },
        beside: "",
        cores: hiccups.host.as_ref().map_or(1, |host| host.cores.max(1)),
        pauses: owned.host,
    };
    let of_harness = Paused {
        by: Blame::Harness,
        who: "the harness paused",
        beside: if hiccups.host.is_some() { " (the host did not)" } else { " (whether the host did is not known)" },
        cores: 1,
        pauses: owned.harness,
    };
    let mut reasons = Vec::new();
    reasons.extend(of_host.reach_p99(latency));
    reasons.extend(of_harness.is_a_freeze(latency).or_else(|| of_harness.reach_p99(latency)));
    let tail = of_host.reach_the_tail(latency).or_else(|| of_harness.reach_the_tail(latency));
    Spoiled { reasons, tail, host_p99_ms: host.map(|host| host.late_ms.p99) }
}

/// Pauses by who made them.
struct Owned {
    host: Vec<Pause>,
    harness: Vec<Pause>,
}

impl Owned {
    /// The meters of harness and process share a core. What both saw there, the host did, and so it did what the process saw on
    /// other cores. What only the harness's saw is the harness's. What only the process's saw there, the process did itself.
    fn of(hiccups: &Hiccups) -> Self {
        let list = |report: &Option<Report>| report.as_ref().map_or_else(Vec::new, |report| report.pauses.clone());
        let (mut host, mut harness) = (list(&hiccups.host), list(&hiccups.harness));
        if hiccups.harness.is_some() {
            let seen = united(&harness);
            let of_the_meter: Vec<Pause> =
                host.iter().copied().filter(|pause| pause.place == 0 && !is_within(pause, &seen)).collect();
            let of_the_meter = united(&of_the_meter);
            host.retain(|pause| !is_within(pause, &of_the_meter));
        }
        let of_host = united(&host);
        harness.retain(|pause| !is_within(pause, &of_host));
        Owned { host, harness }
    }
}

/// The time that pauses cover, in microseconds since the start of the measured phase: each instant once, in order.
fn united(pauses: &[Pause]) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = pauses.iter().map(span).collect();
    spans.sort_by_key(|span| span.start);
    let mut united: Vec<Range<u64>> = Vec::new();
    for span in spans {
        match united.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => united.push(span),
        }
    }
    united
}

fn span(pause: &Pause) -> Range<u64> {
    pause.at_us..pause.at_us + pause.late_us
}

/// Whether enough of `pause` lies in `spans` to be the same.
fn is_within(pause: &Pause, spans: &[Range<u64>]) -> bool {
    let own = span(pause);
    // They are in order and do not overlap, so their ends are in order as well.
    let first = spans.partition_point(|span| span.end <= own.start);
    let common_us: u64 = spans[first..]
        .iter()
        .take_while(|span| span.start < own.end)
        .map(|span| span.end.min(own.end) - span.start.max(own.start))
        .sum();
    common_us as f64 >= SAME_SHARE * pause.late_us as f64
}

/// The pauses of one side.
struct Paused {
    by: Blame,
    who: &'static str,
    /// What the other side did meanwhile.
    beside: &'static str,
    /// Cores that were watched: a pause of one of them holds up its share of the jobs.
    cores: usize,
    pauses: Vec<Pause>,
}

impl Paused {
    /// Those of at least `limit_ms`.
    fn from(&self, limit_ms: f64) -> Vec<Pause> {
        self.pauses.iter().copied().filter(|pause| ms(pause) >= limit_ms).collect()
    }

    /// Pauses that certainly moved p99. Only what fell due within one counts, though what was under way was held up as well.
    fn reach_p99(&self, latency: Latency) -> Option<Reason> {
        let p99_ms = latency.end_to_end_ms.map_or(0.0, |end_to_end| end_to_end.p99);
        let pauses = self.from((LATENCY_SHARE * p99_ms).max(PAUSE_FLOOR_MS));
        let paused_ms = pauses.iter().map(ms).sum::<f64>() / self.cores as f64;
        let share = paused_ms / 1e3 / latency.measured_s;
        if latency.measured_s <= 0.0 || share < P99_SHARE {
            return None;
        }
        let what = if latency.end_to_end_ms.is_some() { "p99 is" } else { "the figures are" };
        Some(Reason::new(
            self.by,
            format!(
                "{} for {paused_ms:.0} ms of the measured phase{}, {:.1} % of it and less than {:.0} % allowed ({}): {what} not \
                 the queue's",
                self.who,
                self.beside,
                100.0 * share,
                100.0 * P99_SHARE,
                worst(&pauses)?
            ),
        ))
    }

    /// A pause that no measuring program may make, however little of the run it touched.
    fn is_a_freeze(&self, latency: Latency) -> Option<Reason> {
        let p99_ms = latency.end_to_end_ms.map_or(0.0, |end_to_end| end_to_end.p99);
        let limit_ms = (LATENCY_SHARE * p99_ms).max(FREEZE_FLOOR_MS);
        let worst = worst(&self.from(limit_ms))?;
        Some(Reason::new(
            self.by,
            format!("{} {worst}{}, and less than {limit_ms:.0} ms are allowed", self.who, self.beside),
        ))
    }

    /// Pauses that may lie behind p99.9 or the maximum. What was under way counts as touched, too.
    fn reach_the_tail(&self, latency: Latency) -> Option<SpoiledTail> {
        let end_to_end = latency.end_to_end_ms.filter(|end_to_end| end_to_end.max > 0.0)?;
        let limit_ms = |of_ms: f64| (LATENCY_SHARE * of_ms).max(PAUSE_FLOOR_MS);
        let behind_p999 = self.from(limit_ms(end_to_end.p999));
        let touched =
            united(&behind_p999).into_iter().map(|span| (span.end - span.start) as f64 / 1e3 + end_to_end.p50);
        let reaches_p999 = touched.sum::<f64>() / 1e3 / latency.measured_s >= P999_SHARE;
        let (pauses, which) = match reaches_p999 {
            true => (behind_p999, "p99.9 and max are"),
            false => (self.from(limit_ms(end_to_end.max)), "max is"),
        };
        let worst = worst(&pauses)?;
        Some(SpoiledTail {
            by: self.by,
            reason: format!("{} {worst}{}: {which} not the queue's", self.who, self.beside),
        })
    }
}

fn ms(pause: &Pause) -> f64 {
    pause.late_us as f64 / 1e3
}

/// The longest of `pauses` in words; `None` when there are none.
fn worst(pauses: &[Pause]) -> Option<String> {
    let worst = pauses.iter().max_by_key(|pause| pause.late_us)?;
    let words = format!("for {:.0} ms at second {}", ms(worst), worst.at_us / 1_000_000);
    Some(match pauses.len() {
        1 => words,
        times => format!("{times} times, once {words}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(at_ms: u64, late_ms: u64, place: usize) -> Pause {
        Pause { at_us: at_ms * 1_000, late_us: late_ms * 1_000, place }
    }

    fn report(cores: usize, pauses: &[Pause]) -> Option<Report> {
        Some(Report { pauses: pauses.to_vec(), cores, real_time: true, ticks: 60_000, ..Report::default() })
    }

    fn hiccups(host: &[Pause], harness: &[Pause]) -> Hiccups {
        Hiccups { host: report(2, host), harness: report(1, harness), notes: Vec::new() }
    }

    /// Of a minute with a p99 of 20 ms.
    fn a_minute() -> Latency {
        let end_to_end = Percentiles { p50: 12.0, p99: 20.0, p999: 40.0, max: 70.0, ..Percentiles::default() };
        Latency { end_to_end_ms: Some(end_to_end), measured_s: 60.0 }
    }

    #[test]
    fn a_pause_that_both_meters_saw_is_the_host_s_and_spoils_the_tail_of_a_run_that_is_valid() {
        let spoiled = judge(&hiccups(&[pause(7_100, 48, 0)], &[pause(7_100, 47, 0)]), a_minute());
        assert_eq!(spoiled.reasons, []);
        let tail = spoiled.tail.unwrap();
        assert_eq!(tail.by, Blame::Host);
        assert_eq!(tail.reason, "this host paused for 48 ms at second 7: p99.9 and max are not the queue's");
    }

    #[test]
    fn a_pause_of_another_core_is_the_host_s_though_the_harness_s_meter_was_awake() {
        let spoiled = judge(&hiccups(&[pause(7_100, 48, 1)], &[]), a_minute());
        assert_eq!(spoiled.tail.unwrap().by, Blame::Host);
    }

    #[test]
    fn a_freeze_of_the_harness_alone_is_a_reason_and_names_it() {
        for late_ms in [50, 100, 200] {
            let spoiled = judge(&hiccups(&[], &[pause(3_050, late_ms, 0)]), a_minute());
            let [reason] = spoiled.reasons.as_slice() else { panic!("{:?}", spoiled.reasons) };
            assert_eq!(reason.blame, Blame::Harness);
            let words = format!(
                "the harness paused for {late_ms} ms at second 3 (the host did not), and less than 50 ms are allowed"
            );
            assert_eq!(reason.words, words);
        }
        assert_eq!(judge(&hiccups(&[], &[pause(3_050, 49, 0)]), a_minute()).reasons, []);
    }

    #[test]
    fn a_short_pause_of_the_host_does_not_excuse_a_long_one_of_the_harness() {
        let spoiled = judge(&hiccups(&[pause(3_100, 12, 0)], &[pause(3_050, 200, 0)]), a_minute());
        assert_eq!(spoiled.reasons.len(), 1);
        assert_eq!(spoiled.reasons[0].blame, Blame::Harness);
    }

    #[test]
    fn a_pause_of_the_meter_s_own_process_is_nobody_s() {
        let stopped = [pause(3_000, 300, 0), pause(3_000, 300, 1), pause(9_000, 2, 0)];
        assert_eq!(
            judge(&hiccups(&stopped, &[pause(9_000, 2, 0)]), a_minute()),
            Spoiled { host_p99_ms: Some(0.0), ..Spoiled::default() }
        );
    }

    #[test]
    fn pauses_of_the_host_are_a_reason_once_they_take_one_per_cent_of_the_time_of_all_cores() {
        let many = |cores: &[usize], each_ms| -> Vec<Pause> {
            let of = |core: &usize| (0..30).map(|second| pause(second * 1_000, each_ms, *core)).collect::<Vec<_>>();
            cores.iter().flat_map(of).collect()
        };
        let judged = |host: &[Pause]| {
            let on_the_shared_core: Vec<Pause> = host.iter().copied().filter(|pause| pause.place == 0).collect();
            judge(&hiccups(host, &on_the_shared_core), a_minute()).reasons
        };
        assert_eq!(judged(&many(&[0, 1], 19)), [], "0.95 % of the minute");
        let reasons = judged(&many(&[0, 1], 21));
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert_eq!(reasons[0].blame, Blame::Host);
        assert_eq!(
            reasons[0].words,
            "this host paused for 630 ms of the measured phase, 1.1 % of it and less than 1 % allowed (60 times, once for 21 ms \
             at second 29): p99 is not the queue's"
        );
        assert_eq!(judged(&many(&[1], 21)), [], "half of the jobs were on the other core");
    }

    #[test]
    fn what_is_short_beside_the_latency_spoils_nothing() {
        let stalled = Percentiles { p50: 900.0, p99: 1_800.0, p999: 1_950.0, max: 2_000.0, ..Percentiles::default() };
        let slow = Latency { end_to_end_ms: Some(stalled), measured_s: 60.0 };
        let pauses: Vec<Pause> = (0..60).map(|second| pause(second * 1_000, 48, 0)).collect();
        let spoiled = judge(&hiccups(&pauses, &pauses), slow);
        assert_eq!((spoiled.reasons, spoiled.tail), (vec![], None));
        let spoiled = judge(&hiccups(&[], &[pause(3_000, 150, 0)]), slow);
        assert_eq!((spoiled.reasons, spoiled.tail), (vec![], None), "a stalled server explains two seconds by itself");
    }

    #[test]
    fn a_rare_pause_reaches_the_maximum_alone() {
        let long = Latency { measured_s: 600.0, ..a_minute() };
        let spoiled = judge(&hiccups(&[pause(7_100, 48, 0)], &[pause(7_100, 48, 0)]), long);
        assert_eq!(spoiled.tail.unwrap().reason, "this host paused for 48 ms at second 7: max is not the queue's");
        let spoiled = judge(&hiccups(&[pause(7_100, 9, 0)], &[pause(7_100, 9, 0)]), long);
        assert_eq!(spoiled.tail, None, "anything that runs takes a core for so long");
    }

    #[test]
    fn without_the_process_every_pause_is_laid_at_the_harness_s_door() {
        let alone = |late_ms| Hiccups { host: None, ..hiccups(&[], &[pause(3_050, late_ms, 0)]) };
        let spoiled = judge(&alone(200), a_minute());
        assert_eq!(spoiled.reasons[0].blame, Blame::Harness);
        assert!(spoiled.reasons[0].words.contains("(whether the host did is not known)"), "{:?}", spoiled.reasons);
        assert_eq!(judge(&alone(30), a_minute()).tail.unwrap().by, Blame::Harness);
    }

    #[test]
    fn without_real_time_priority_nobody_says_that_it_was_the_host_alone() {
        let mut seen = hiccups(&[pause(7_100, 48, 0)], &[pause(7_100, 48, 0)]);
        seen.host.iter_mut().for_each(|host| host.real_time = false);
        let spoiled = judge(&seen, a_minute());
        assert_eq!(spoiled.blame_for_lateness(2.0), Blame::Harness);
        let tail = spoiled.tail.unwrap();
        assert_eq!(tail.by, Blame::Harness);
        assert!(tail.reason.starts_with("this host paused or had no core free for 48 ms"), "{}", tail.reason);
    }

    #[test]
    fn where_latency_says_nothing_about_the_queue_only_reasons_remain() {
        let flat_out = Latency { end_to_end_ms: None, measured_s: 60.0 };
        assert_eq!(judge(&hiccups(&[pause(7_100, 48, 0)], &[pause(7_100, 48, 0)]), flat_out).tail, None);
        assert_eq!(judge(&hiccups(&[], &[pause(7_100, 100, 0)]), flat_out).reasons.len(), 1);
        let stopped = judge(&hiccups(&[pause(7_100, 900, 0), pause(7_100, 900, 1)], &[pause(7_100, 900, 0)]), flat_out);
        assert!(stopped.reasons[0].words.ends_with("the figures are not the queue's"), "{:?}", stopped.reasons);
    }

    #[test]
    fn a_generator_that_was_late_because_nobody_woke_up_in_time_is_the_host_s() {
        let mut seen = hiccups(&[], &[]);
        seen.host.iter_mut().for_each(|host| host.late_ms.p99 = 1.5);
        let spoiled = judge(&seen, a_minute());
        assert_eq!(spoiled.blame_for_lateness(2.5), Blame::Host);
        assert_eq!(spoiled.blame_for_lateness(3.5), Blame::Harness);
    }

    #[test]
    fn nothing_seen_is_nothing_spoiled() {
        assert_eq!(judge(&Hiccups::default(), a_minute()), Spoiled::default());
        let never_began = Latency { end_to_end_ms: Some(Percentiles::default()), measured_s: 0.0 };
        assert_eq!(judge(&hiccups(&[], &[]), never_began).reasons, []);
    }
}
