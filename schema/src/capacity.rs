//! `capacity.json`: what `qbench capacity` found, and what its `--json` prints.

use serde::{Deserialize, Serialize};

use crate::result::{Delivery, Durability, Waiting};

/// The capacity of one queue in one scenario: a bracket, never one number (METHODOLOGY S10), and all probes that led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityRow {
    /// Backend id.
    pub backend: String,
    /// Scenario id.
    pub scenario: String,
    /// Durability class.
    pub durability: Durability,
    /// Delivery contract.
    pub delivery: Delivery,
    /// How idle workers waited.
    pub waiting: Waiting,
    /// Server product.
    pub engine: String,
    /// The limit that a rate has to keep, as it was given: `p99=50ms`.
    pub slo: String,
    /// The highest rate that passed; empty where none did.
    pub passed_jobs_s: Option<f64>,
    /// The lowest rate that failed; empty where none did, as in a search that was interrupted.
    pub failed_jobs_s: Option<f64>,
    /// What failed there, in words.
    pub failed_because: Option<String>,
    /// Whether both ends were tried again and stood, and lie within 5 % of each other.
    pub confirmed: bool,
    /// Why the search ended before that; empty where it did not.
    pub unfinished: String,
    /// Server CPU time per job at the rate that passed, median of its probes.
    pub cpu_server_us_per_job: Option<f64>,
    /// Length of the shortest probe's measured phase.
    pub probe_s: f64,
    /// Every probe, in the order in which they were made.
    pub probes: Vec<Probe>,
}

impl CapacityRow {
    /// The percentile's name, and its limit in milliseconds.
    pub fn limit(&self) -> Option<(&str, f64)> {
        let (percentile, limit) = self.slo.split_once('=')?;
        Some((percentile, limit.strip_suffix("ms")?.parse().ok()?))
    }

    /// The rates between which probes did not agree: the lowest at which one failed, and the highest at which one passed, where that is not
    /// lower. A machine that is not equally quiet all the time makes it wide; `None` on one that is.
    pub fn contested_jobs_s(&self) -> Option<(f64, f64)> {
        let rates = |passed: bool| {
            self.probes.iter().filter(move |probe| probe.passed == passed).map(|probe| probe.rate_jobs_s)
        };
        let lowest_failed = rates(false).min_by(f64::total_cmp)?;
        let highest_passed = rates(true).max_by(f64::total_cmp)?;
        (lowest_failed <= highest_passed).then_some((lowest_failed, highest_passed))
    }
}

/// One run at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Rate that was offered.
    pub rate_jobs_s: f64,
    /// Jobs per second that were completed.
    pub achieved_jobs_s: f64,
    /// End-to-end latency, median.
    pub p50_ms: f64,
    /// The same, 99th percentile.
    pub p99_ms: f64,
    /// The same, 99.9th percentile.
    pub p999_ms: f64,
    /// Upper end of the 95 % interval of the backlog's growth.
    pub backlog_slope_high_jobs_s: Option<f64>,
    /// Server CPU time per completed job.
    pub cpu_server_us_per_job: Option<f64>,
    /// Whether it kept the limit, with a backlog that does not grow and no gate tripped.
    pub passed: bool,
    /// Whether its figures may be trusted: no gate tripped and the audit is `ok`.
    pub valid: bool,
    /// What failed, in words; empty where it passed.
    pub because: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_contested_between_the_lowest_failure_and_the_highest_pass() {
        let contested = |probes: &[(f64, bool)]| {
            let probe = |(rate_jobs_s, passed): &(f64, bool)| {
                serde_json::json!({
                    "rate_jobs_s": rate_jobs_s, "achieved_jobs_s": rate_jobs_s, "p50_ms": 1, "p99_ms": 1, "p999_ms": 1,
                    "passed": passed, "valid": true, "because": ""
                })
            };
            let row = serde_json::json!({
                "backend": "any", "scenario": "warm", "durability": "d1", "delivery": "at_least_once", "waiting": "push", "engine": "any",
                "slo": "p99=50ms", "confirmed": true, "unfinished": "", "probe_s": 30.0,
                "probes": probes.iter().map(probe).collect::<Vec<_>>()
            });
            serde_json::from_value::<CapacityRow>(row).unwrap().contested_jobs_s()
        };
        assert_eq!(contested(&[(100.0, true), (150.0, true), (225.0, false)]), None);
        assert_eq!(contested(&[(100.0, true)]), None);
        assert_eq!(contested(&[(100.0, true), (225.0, true), (150.0, false), (225.0, false)]), Some((150.0, 225.0)));
        assert_eq!(contested(&[(100.0, true), (100.0, false)]), Some((100.0, 100.0)));
    }
}
