//! The line of a queue in a rate-latency curve.

use qbench_schema::capacity::{CapacityRow, Probe};

/// Rates that are nearer to each other than this ratio share a knot of the line: a search asks some twenty rates around the knee, where a latency is what
/// the moment makes it, and a line through each of them would show nothing but that.
const KNOT_RATIO: f64 = 1.1;

/// The knots of the line: the achieved rate and the figure of the probe that is the median of its knot, by rate.
pub(crate) fn knots(row: &CapacityRow, value: fn(&Probe) -> f64) -> Vec<(f64, f64)> {
    let mut probes: Vec<&Probe> = row.probes.iter().filter(|probe| probe.achieved_jobs_s > 0.0).collect();
    probes.sort_by(|a, b| a.rate_jobs_s.total_cmp(&b.rate_jobs_s));
    let mut knots: Vec<Vec<&Probe>> = Vec::new();
    for probe in probes {
        match knots.last_mut() {
            Some(knot) if probe.rate_jobs_s < KNOT_RATIO * knot[0].rate_jobs_s => knot.push(probe),
            _ => knots.push(vec![probe]),
        }
    }
    let median = |mut knot: Vec<&Probe>| {
        knot.sort_by(|a, b| value(a).total_cmp(&value(b)));
        let probe = knot[knot.len() / 2];
        (probe.achieved_jobs_s, value(probe))
    };
    knots.into_iter().map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_around_the_knee_share_a_knot_and_its_median_is_drawn() {
        let probe = |(rate_jobs_s, p99_ms): (f64, f64)| {
            serde_json::json!({
                "rate_jobs_s": rate_jobs_s, "achieved_jobs_s": rate_jobs_s, "p50_ms": 1, "p99_ms": p99_ms, "p999_ms": 1,
                "passed": true, "valid": true, "because": ""
            })
        };
        let probes = [(100.0, 12.0), (250.0, 500.0), (240.0, 20.0), (236.0, 90.0), (300.0, 800.0)].map(probe);
        let row = serde_json::json!({
            "backend": "any", "scenario": "warm", "durability": "d1", "delivery": "at_least_once", "waiting": "push", "engine": "any",
            "slo": "p99=50ms", "confirmed": true, "unfinished": "", "probe_s": 30.0,
            "probes": probes
        });
        let row: CapacityRow = serde_json::from_value(row).unwrap();
        assert_eq!(knots(&row, |probe| probe.p99_ms), [(100.0, 12.0), (236.0, 90.0), (300.0, 800.0)]);
    }
}
