//! A verdict in words: what `qbench run` prints.

use std::fmt::Write;

use qbench_schema::result::{Activity, LoadMode, Regime, RoundTrip, RunResult, Verdict};

/// Bins of the backlog in which the rate of a drain is shown.
const DRAIN_BINS: u64 = 5;

/// What a reader wants first of each kind of run, then what its jobs cost, then the account of every job.
pub fn in_words(result: &RunResult) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_words(&mut text, result);
    text
}

fn write_words(text: &mut String, result: &RunResult) -> std::fmt::Result {
    write!(text, "{} {}: ", result.identity.backend, result.identity.scenario)?;
    match (result.identity.mode, result.identity.regime) {
        (LoadMode::Saturation, _) => capacity(text, result)?,
        (LoadMode::OpenLoop, Regime::Overload) => overload(text, result)?,
        (LoadMode::OpenLoop, Regime::Normal) => {
            writeln!(
                text,
                "{:.1} of {:.1} jobs/s, {}",
                result.throughput_jobs_s,
                result.identity.offered_jobs_s,
                latency(result)
            )?;
        }
    }
    let cost = cost(result);
    if !cost.is_empty() {
        writeln!(text, "per job: {cost}")?;
    }
    wake(text, result)?;
    if let Some(tail) = &result.tail_spoiled {
        writeln!(text, "{}", tail.reason)?;
    }
    if let Some(floor) = result.floor {
        writeln!(
            text,
            "harness: carries {:.0} jobs/s when the queue costs nothing, {:.1} times this run's rate",
            floor.ceiling_jobs_s, floor.ceiling_over_rate
        )?;
    }
    if let Some(wire) = result.wire_floor {
        writeln!(
            text,
            "wire: {:.0} requests/s that do nothing on {} connections, {:.1} us of harness CPU each",
            wire.requests_s, wire.connections, wire.harness_cpu_us_per_request
        )?;
    }
    apart(text, result)?;
    write!(text, "sent {}, completed {}, ", result.jobs.sent, result.jobs.completed)?;
    if result.jobs.failed > 0 {
        write!(text, "failed {} (of these, {} panicked), ", result.jobs.failed, result.jobs.panicked)?;
    }
    write!(
        text,
        "{} {}, duplicated {}; release_lag p99 {:.2} ms, producer_wait p99 {:.2} ms; backlog max {}; drained in {:.2} s; {}",
        // What is missing from a queue that was not drained is only not done yet.
        if result.audit.verdict == Verdict::Inconclusive { "not completed" } else { "lost" },
        result.audit.lost,
        result.audit.duplicated,
        result.release_lag_ms.p99,
        result.producer_wait_ms.p99,
        result.backlog.max,
        result.drain_s,
        if result.validity.valid { "valid" } else { "NOT VALID" },
    )
}

/// How far away the server is, and what is known of its host.
fn apart(text: &mut String, result: &RunResult) -> std::fmt::Result {
    if let Some(ends) = result.round_trip_us {
        let end = |end: Option<RoundTrip>| {
            end.map_or("?".to_owned(), |end| format!("{:.0} us (p99 {:.0})", end.p50, end.p99))
        };
        writeln!(text, "round trip to the server: {} before, {} after", end(ends.before), end(ends.after))?;
    }
    if let Some(host) = &result.server_host {
        writeln!(
            text,
            "server's host: {} at {}, its clock {:+.3} ms from ours (+-{:.3} ms); CPU {} % of {} cores",
            host.host,
            host.address,
            host.clock_offset_ms,
            host.clock_uncertain_us / 1e3,
            host.cpu_pct.map_or("?".to_owned(), |pct| format!("{pct:.0}")),
            host.cores
        )?;
    }
    Ok(())
}

/// What idle workers ask of the server, and what notifications did where there were any.
fn wake(text: &mut String, result: &RunResult) -> std::fmt::Result {
    let Some(wake) = result.wake.filter(|_| result.identity.measured_s > 0.0 && !result.workers.is_empty()) else {
        return Ok(());
    };
    let each = wake.empty_claims as f64 / result.identity.measured_s / result.workers.len() as f64;
    write!(text, "waiting: {each:.2} empty claims a second and worker")?;
    if wake.notifications_sent + wake.notifications_received + wake.listener_reconnects > 0 {
        write!(
            text,
            "; {} notifications sent, {} received, {} reconnects of the listener",
            wake.notifications_sent, wake.notifications_received, wake.listener_reconnects
        )?;
    }
    writeln!(text)
}

fn latency(result: &RunResult) -> String {
    let of = &result.end_to_end_ms;
    format!("end_to_end p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms", of.p50, of.p95, of.p99, of.p999)
}

/// In overload the percentiles measure how long the run was (METHODOLOGY L5), so they come last and say so.
fn overload(text: &mut String, result: &RunResult) -> std::fmt::Result {
    writeln!(
        text,
        "OVERLOAD: {:.1} of {:.1} jobs/s, backlog {:+.1} jobs/s, {} left at the end, drained in {:.1} s",
        result.throughput_jobs_s,
        result.identity.offered_jobs_s,
        result.backlog.slope_jobs_s,
        result.backlog.end,
        result.drain_s
    )?;
    writeln!(text, "(latency only measures how long the run was: {})", latency(result))
}

fn capacity(text: &mut String, result: &RunResult) -> std::fmt::Result {
    let what = match result.identity.activity {
        Activity::Both => "jobs/s through the queue",
        Activity::Enqueue => "jobs/s into the queue",
        Activity::Drain => "jobs/s out of the queue",
    };
    write!(text, "{:.0} {what}, flat out for {:.1} s", result.throughput_jobs_s, result.identity.measured_s)?;
    if let Some(evenness) = result.skew.workers_max_over_min.filter(|_| result.identity.activity != Activity::Enqueue) {
        write!(text, "; busiest worker over idlest {evenness:.2}")?;
    }
    if let Some(deadlocks) = result.deadlocks {
        write!(text, "; {deadlocks} deadlocks")?;
    }
    let errors: Vec<String> = result.errors.iter().map(|(code, count)| format!("{count} x {code}")).collect();
    if !errors.is_empty() {
        write!(text, "; errors: {}", errors.join(", "))?;
    }
    writeln!(text)?;
    if result.identity.activity == Activity::Drain {
        for (from, to, rate_jobs_s) in rate_by_remaining(result) {
            writeln!(text, "  {from:>9} to {to:>9} jobs left: {rate_jobs_s:.0} jobs/s")?;
        }
    }
    Ok(())
}

/// Rate against what was left of the backlog, fullest bin first: `(jobs left from, to, jobs per second)`. From the seconds
/// of the timeline, each counted for the bin in which it began; a bin in which no second began is left out.
fn rate_by_remaining(result: &RunResult) -> Vec<(u64, u64, f64)> {
    let whole = result.prefilled;
    let mut bins = vec![(0_u64, 0_u64); DRAIN_BINS as usize];
    let mut left = whole;
    let seconds = result.identity.measured_s.floor() as usize;
    for second in result.timeline.iter().take(seconds) {
        let bin = (left * DRAIN_BINS).checked_div(whole).unwrap_or(0).min(DRAIN_BINS - 1) as usize;
        bins[bin].0 += second.completed;
        bins[bin].1 += 1;
        left = left.saturating_sub(second.completed);
    }
    let border = |bin: u64| whole * bin / DRAIN_BINS;
    (0..DRAIN_BINS)
        .rev()
        .filter(|bin| bins[*bin as usize].1 > 0)
        .map(|bin| {
            let (completed, seconds) = bins[bin as usize];
            (border(bin + 1), border(bin), completed as f64 / seconds as f64)
        })
        .collect()
}

fn cost(result: &RunResult) -> String {
    let cost = &result.cost_per_job;
    [
        (cost.server_cpu_us, "us of server CPU", 1),
        (cost.harness_cpu_us, "us of harness CPU", 1),
        (result.cpu_us_per_job.adapter, "us of adapter CPU", 1),
        (cost.round_trips, "round trips", 2),
        (cost.log_bytes, "bytes of log", 0),
        (cost.fsyncs, "fsyncs", 2),
        (cost.dead_tuples, "dead tuples", 2),
        (cost.server_memory_bytes, "bytes of server memory", 0),
    ]
    .into_iter()
    .filter_map(|(value, unit, digits)| Some(format!("{:.digits$} {unit}", value?)))
    .collect::<Vec<_>>()
    .join(", ")
}

#[cfg(test)]
mod tests {
    use qbench_schema::result::{RunIdentity, RunStatus, TimelineRow};

    use super::*;

    fn drained(completed: &[u64]) -> RunResult {
        let identity = RunIdentity {
            backend: "memory".into(),
            scenario: "drain".into(),
            mode: LoadMode::Saturation,
            activity: Activity::Drain,
            measured_s: completed.len() as f64,
            ..RunIdentity::default()
        };
        let row = |completed: &u64| TimelineRow { completed: *completed, ..TimelineRow::default() };
        RunResult {
            prefilled: completed.iter().sum(),
            timeline: completed.iter().map(row).collect(),
            ..RunResult::without_figures(identity, RunStatus::Finished, "")
        }
    }

    #[test]
    fn the_rate_of_a_drain_is_shown_against_what_was_left() {
        let result = drained(&[100, 200, 300, 400]);
        assert_eq!(
            rate_by_remaining(&result),
            [(1_000, 800, 150.0), (800, 600, 300.0), (600, 400, 400.0)],
            "no second began with less than 400 jobs left"
        );
        assert!(in_words(&result).contains("jobs left"));
    }
}
