//! Whether one probe passed.

use qbench_schema::capacity::Probe;
use qbench_schema::result::{Regime, RunResult, RunStatus, TimelineRow};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::search::Outcome;
use super::slo::Slo;

/// A backlog may grow by this share of the offered rate before it counts as growing, at the upper end of its interval.
const GROWTH_MAX: f64 = 0.01;

/// Least share of the offered jobs that was completed within the measured phase.
const COMPLETED_MIN: f64 = 0.98;

/// What a finished run says about its rate. `None` where the machine alone spoiled it, so that it says nothing.
pub(super) fn judge(result: &RunResult, slo: Slo) -> Option<(Outcome, Probe)> {
    if result.validity.is_spoiled_by_the_host_alone() {
        return None;
    }
    let slope_high = slope_high(&result.timeline);
    let outcome = why_not(result, slo, slope_high).map_or(Outcome::Passed, Outcome::Failed);
    let latency = &result.end_to_end_ms;
    let probe = Probe {
        rate_jobs_s: result.identity.offered_jobs_s,
        achieved_jobs_s: result.throughput_jobs_s,
        p50_ms: latency.p50,
        p99_ms: latency.p99,
        p999_ms: latency.p999,
        backlog_slope_high_jobs_s: slope_high,
        cpu_server_us_per_job: result.cpu_us_per_job.server,
        passed: outcome == Outcome::Passed,
        valid: result.validity.valid,
        because: match &outcome {
            Outcome::Passed => String::new(),
            Outcome::Failed(because) => because.clone(),
        },
    };
    Some((outcome, probe))
}

fn why_not(result: &RunResult, slo: Slo, slope_high: Option<f64>) -> Option<String> {
    if result.status != RunStatus::Finished {
        return Some(format!("the run failed: {}", result.error.as_deref().unwrap_or("no reason was given")));
    }
    let offered = result.identity.offered_jobs_s;
    let seen = slo.of(&result.end_to_end_ms);
    // What is wrong with the run itself comes first: then its latencies are nobody's.
    if !result.validity.valid {
        return Some(result.validity.reasons.join("; "));
    }
    if result.identity.regime == Regime::Overload {
        return Some(format!("backlog: it grew by {:.1} jobs/s", result.backlog.slope_jobs_s));
    }
    if seen > slo.limit_ms() {
        return Some(format!("{} {seen:.1} ms", slo.name()));
    }
    if let Some(high) = slope_high.filter(|high| *high > GROWTH_MAX * offered) {
        return Some(format!("backlog: it may grow by {high:.1} jobs/s"));
    }
    let completed = result.throughput_jobs_s / offered;
    (completed < COMPLETED_MIN)
        .then(|| format!("backlog: {:.1} % of the offered jobs were completed", 100.0 * completed))
}

/// Upper end of the 95 % interval of the backlog's slope over the seconds of the measured phase: least squares, with Student's t. `None`
/// below four seconds.
fn slope_high(timeline: &[TimelineRow]) -> Option<f64> {
    let seconds: Vec<(f64, f64)> = timeline
        .iter()
        .filter(|second| second.intended > 0)
        .map(|second| (f64::from(second.at_s), second.backlog as f64))
        .collect();
    // The last second may be a part of one, and is the beginning of the drain.
    let seconds = &seconds[..seconds.len().checked_sub(1)?];
    if seconds.len() < 4 {
        return None;
    }
    let count = seconds.len() as f64;
    let (mean_at, mean) =
        seconds.iter().fold((0.0, 0.0), |(at, backlog), second| (at + second.0 / count, backlog + second.1 / count));
    let spread: f64 = seconds.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
    let slope = seconds.iter().map(|(at, backlog)| (at - mean_at) * (backlog - mean)).sum::<f64>() / spread;
    let residuals: f64 = seconds.iter().map(|(at, backlog)| (backlog - mean - slope * (at - mean_at)).powi(2)).sum();
    let error = (residuals / (count - 2.0) / spread).sqrt();
    Some(slope + StudentsT::new(0.0, 1.0, count - 2.0).ok()?.inverse_cdf(0.975) * error)
}

#[cfg(test)]
mod tests {
    use qbench_schema::result::{Blame, RunIdentity, Validity};

    use super::*;

    fn result(p99_ms: f64, growth_jobs_s: u64) -> RunResult {
        let identity = RunIdentity { offered_jobs_s: 500.0, ..RunIdentity::default() };
        let mut result = RunResult::without_figures(identity, RunStatus::Finished, "");
        result.validity = Validity { valid: true, ..Validity::default() };
        result.throughput_jobs_s = 499.0;
        result.end_to_end_ms.p99 = p99_ms;
        result.timeline = (0..20)
            .map(|at_s| TimelineRow {
                at_s,
                intended: 500,
                completed: 500,
                backlog: 5 + u64::from(at_s % 3) + growth_jobs_s * u64::from(at_s),
                ..TimelineRow::default()
            })
            .collect();
        result
    }

    fn because(result: &RunResult) -> String {
        let slo = "p99=50ms".parse().expect("a limit");
        judge(result, slo).expect("it says something").1.because
    }

    #[test]
    fn it_passes_below_the_limit_with_a_backlog_that_stays() {
        assert_eq!(because(&result(49.0, 0)), "");
        assert_eq!(because(&result(51.0, 0)), "p99 51.0 ms");
        let growing = because(&result(49.0, 20));
        assert!(growing.starts_with("backlog: it may grow by 20."), "{growing}");
    }

    #[test]
    fn a_run_that_is_not_valid_fails_with_its_own_reasons_and_one_that_the_host_spoiled_says_nothing() {
        let mut late = result(49.0, 0);
        late.validity = Validity::of([(Blame::Harness, "the generator was late".to_owned())]);
        assert_eq!(because(&late), "the generator was late");
        late.validity = Validity::of([(Blame::Host, "this host paused".to_owned())]);
        assert_eq!(judge(&late, "p99=50ms".parse().expect("a limit")), None);
    }

    #[test]
    fn the_slope_has_the_upper_end_that_the_textbook_gives() {
        // Anscombe's first data set (1973): slope 0.5001, standard error 0.1179, 9 degrees of freedom; here in tenths of a job.
        let at = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
        let y = [804, 695, 758, 881, 833, 996, 724, 426, 1084, 482, 568];
        let mut timeline: Vec<TimelineRow> = at
            .into_iter()
            .zip(y)
            .map(|(at_s, backlog)| TimelineRow { at_s, intended: 1, backlog, ..TimelineRow::default() })
            .collect();
        timeline.push(TimelineRow { intended: 1, ..TimelineRow::default() });
        let high = slope_high(&timeline).expect("enough seconds");
        assert!((high - 100.0 * (0.500_09 + 2.262_16 * 0.117_91)).abs() < 0.1, "{high}");
    }
}
