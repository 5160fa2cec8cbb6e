//! `qbench doctor`: whether this machine has what the runs need.

use std::time::Duration;

use clap::Args;

use super::Status;
use crate::run::meter_program;
use qbench_engines::ENGINES;
use qbench_engines::monitor::hiccups::Report;
use qbench_engines::monitor::{HiccupMeters, Hiccups};
use qbench_ground::priority;

/// How long the timer is watched.
const TIMER_WATCHED: Duration = Duration::from_secs(2);
/// A wake-up that is later than this at p99 shows in every latency of a few milliseconds.
const LATE_P99_MS: f64 = 1.0;
/// A pause that is longer than this is said beside the p99.9 and the maximum of a run.
const LATE_MAX_MS: f64 = 10.0;

/// Say which servers would be used, and what this machine does not allow
#[derive(Debug, Args)]
pub struct DoctorArgs {}

pub fn main(_args: DoctorArgs) -> anyhow::Result<Status> {
    let mut healthy = true;
    for engine in ENGINES {
        match engine.describe_programs() {
            Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
            Err(error) => {
                healthy &= !engine.is_standard();
                println!("{}: {error}", engine.title());
            }
        }
    }
    println!("{}", priority::raise_process());
    println!("{}", priority::pacer_priority());
    let hiccups = watch_timer();
    hiccups.notes.iter().for_each(|note| println!("{note}"));
    println!("{}", timer_in_words(&hiccups));
    if let Some(warning) = warning(&hiccups) {
        println!("warning: {warning}");
    }
    Ok(if healthy { Status::Done } else { Status::Failed })
}

/// Both meters of a run, for a while.
fn watch_timer() -> Hiccups {
    let meters = HiccupMeters::start(Some(meter_program()));
    meters.begin();
    std::thread::sleep(TIMER_WATCHED);
    meters.end();
    meters.finish()
}

fn timer_in_words(hiccups: &Hiccups) -> String {
    let late = |report: &Option<Report>| {
        let of = |report: &Report| format!("{:.2} ms at p99, {:.1} ms at most", report.late_ms.p99, report.late_ms.max);
        report.as_ref().map_or("not known".to_owned(), of)
    };
    format!(
        "timer: late by {}, over {} s (another process: {})",
        late(&hiccups.harness),
        TIMER_WATCHED.as_secs(),
        late(&hiccups.host)
    )
}

/// What these wake-ups mean for runs on this machine, where they are bad.
fn warning(hiccups: &Hiccups) -> Option<String> {
    let seen: Vec<&Report> = hiccups.harness.iter().chain(&hiccups.host).collect();
    let latest = |of: fn(&Report) -> f64| seen.iter().map(|report| of(report)).fold(0.0, f64::max);
    let (p99_ms, max_ms) = (latest(|report| report.late_ms.p99), latest(|report| report.late_ms.max));
    if p99_ms > LATE_P99_MS {
        Some(format!(
            "this machine wakes nobody up in time ({p99_ms:.1} ms late at p99, and {LATE_P99_MS:.0} ms is much): latencies of a few \
             milliseconds are as much its own as the queue's, and runs may be not valid for it"
        ))
    } else if max_ms > LATE_MAX_MS {
        Some(format!(
            "this machine pauses (for {max_ms:.0} ms, and {LATE_MAX_MS:.0} ms is much): p99.9 and the maximum of a run may be its \
             own, not the queue's"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use qbench_schema::result::Percentiles;

    use super::*;

    fn seen(p99: f64, max: f64) -> Hiccups {
        let report = |p99, max| {
            Some(Report { late_ms: Percentiles { p99, max, ..Percentiles::default() }, ..Report::default() })
        };
        Hiccups { host: report(p99 - 0.01, max + 0.1), harness: report(p99, max), notes: Vec::new() }
    }

    #[test]
    fn a_quiet_timer_is_a_line_and_a_bad_one_a_warning_too() {
        let quiet = seen(0.08, 1.2);
        assert_eq!(
            timer_in_words(&quiet),
            "timer: late by 0.08 ms at p99, 1.2 ms at most, over 2 s (another process: 0.07 ms at p99, 1.3 ms at most)"
        );
        assert_eq!(warning(&quiet), None);
        assert!(warning(&seen(0.08, 48.0)).unwrap().starts_with("this machine pauses (for 48 ms"));
        assert!(warning(&seen(2.4, 48.0)).unwrap().contains("2.4 ms late at p99"));
        let alone = Hiccups { host: None, ..quiet };
        assert!(timer_in_words(&alone).ends_with("(another process: not known)"));
    }
}
