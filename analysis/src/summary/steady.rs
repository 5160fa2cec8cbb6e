//! Whether a run was in a steady state, from its own seconds (METHODOLOGY S4).

use qbench_schema::result::{LoadMode, RunResult, RunStatus, TimelineRow};

use crate::statistics::steadiness;

/// A p99 below this many milliseconds moves by more than a tenth for reasons that are not the queue's.
const P99_SCALE_MS: f64 = 5.0;

/// A backlog is held against the jobs that come in this time.
const BACKLOG_SCALE_S: f64 = 0.1;

/// What was not steady in the measured phase, a phrase each; none where all was. `None` where its seconds cannot tell: too few of
/// them, or no load of a steady rate.
pub(super) fn changes(result: &RunResult) -> Option<Vec<String>> {
    if result.status != RunStatus::Finished {
        return None;
    }
    // The drain has rows of its own; and the last second may be a part of one.
    let measured: Vec<&TimelineRow> = result.timeline.iter().filter(|second| second.intended > 0).collect();
    let measured = &measured[..measured.len().checked_sub(1)?];
    let rate = measured.iter().map(|second| second.intended as f64).sum::<f64>() / measured.len().max(1) as f64;
    let series = |of: fn(&TimelineRow) -> f64| measured.iter().map(|second| of(second)).collect::<Vec<f64>>();
    let mut judged = vec![("throughput", steadiness(&series(|second| second.completed as f64), 0.0)?)];
    // Flat out, latency and backlog are what the length of the queue makes them.
    if result.identity.mode != LoadMode::Saturation {
        judged.push(("p99", steadiness(&series(|second| second.end_to_end_p99_ms), P99_SCALE_MS)?));
        judged.push(("backlog", steadiness(&series(|second| second.backlog as f64), rate * BACKLOG_SCALE_S)?));
    }
    let told = judged.into_iter().filter(|(_, judged)| !judged.steady).map(|(what, judged)| {
        if judged.is_step {
            format!("{what} changed by {:+.0} % at second {}", 100.0 * judged.shift, judged.change_at)
        } else {
            format!("{what} drifted by {:+.0} %", 100.0 * judged.drift)
        }
    });
    Some(told.collect())
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use qbench_schema::result::RunIdentity;

    use super::*;

    fn run(p99_ms: impl Fn(u32) -> f64) -> RunResult {
        let mut result = RunResult::without_figures(RunIdentity::default(), RunStatus::Finished, "");
        result.timeline = (0..40)
            .map(|at_s| TimelineRow {
                at_s,
                intended: if at_s < 35 { 500 } else { 0 },
                completed: 500 - u64::from(at_s % 3),
                backlog: 5 + u64::from(at_s % 4),
                end_to_end_p99_ms: p99_ms(at_s) + 0.4 * f64::from(at_s * 7 % 5),
                ..TimelineRow::default()
            })
            .collect();
        result
    }

    #[test]
    fn a_p99_that_doubles_half_way_is_told_and_one_that_stays_is_not() {
        assert_eq!(changes(&run(|_| 20.0)), Some(vec![]));
        let told = changes(&run(|at_s| if at_s < 17 { 20.0 } else { 40.0 })).unwrap();
        assert!(
            told.len() == 1 && told[0].starts_with("p99 changed by +") && told[0].ends_with("second 17"),
            "{told:?}"
        );
        let told = changes(&run(|at_s| 20.0 + f64::from(at_s))).unwrap();
        assert!(told.len() == 1 && told[0].starts_with("p99 "), "{told:?}");
    }

    #[test]
    fn a_short_run_or_one_that_broke_tells_nothing() {
        let mut short = run(|_| 20.0);
        short.timeline.truncate(6);
        assert_eq!(changes(&short), None);
        let mut broken = run(|_| 20.0);
        broken.status = RunStatus::Failed;
        assert_eq!(changes(&broken), None);
    }
}
