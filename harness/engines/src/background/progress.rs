//! pgbench's progress reports, and what they say about a window of the run.

/// One report, for instance `progress: 3.0 s, 1042.0 tps, lat 9.586 ms stddev 4.127, 0 failed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Progress {
    /// Transactions per second since the report before.
    tps: f64,
    /// Mean latency of these transactions; 0 when there were none.
    latency_ms: f64,
}

impl Progress {
    /// Reads a report; `None` for any other line.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("progress: ")?.split(", ");
        parts.next()?.strip_suffix(" s")?.parse::<f64>().ok()?;
        let tps: f64 = parts.next()?.strip_suffix(" tps")?.parse().ok()?;
        let latency = parts.next()?.strip_prefix("lat ")?;
        let latency_ms: f64 = latency.split_whitespace().next()?.parse().ok()?;
        // Without a transaction pgbench divides zero by zero.
        let latency_ms = if latency_ms.is_finite() { latency_ms } else { 0.0 };
        (tps.is_finite() && tps >= 0.0).then_some(Progress { tps, latency_ms })
    }
}

/// Reports in the order in which they were read, each with its instant on the run's clock.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// When pgbench was started: the first report covers what follows.
    started_us: u64,
    reports: Vec<(u64, Progress)>,
}

/// What the reports say about a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) tps: f64,
    pub(super) latency_mean_ms: f64,
    pub(super) covered_s: f64,
}

impl Timeline {
    /// A timeline that begins at `started_us`.
    pub(super) fn from(started_us: u64) -> Self {
        Timeline { started_us, reports: Vec::new() }
    }

    /// Adds a report read at `at_us`, which covers the time since the one before.
    pub(super) fn push(&mut self, at_us: u64, progress: Progress) {
        self.reports.push((at_us, progress));
    }

    /// Whether any transaction was reported.
    pub(super) fn has_transactions(&self) -> bool {
        self.reports.iter().any(|(_, progress)| progress.tps > 0.0)
    }

    /// Sums up what lies between two instants. A report that reaches over an edge counts with the part inside, as if its
    /// transactions were spread evenly. `None` when no report lies inside, even in part.
    pub(super) fn window(&self, from_us: u64, to_us: u64) -> Option<Window> {
        let mut since_us = self.started_us;
        let (mut covered_s, mut transactions, mut latency_sum_ms) = (0.0, 0.0, 0.0);
        for (at_us, progress) in &self.reports {
            let inside_us = (*at_us).min(to_us).saturating_sub(since_us.max(from_us));
            let inside_s = inside_us as f64 / 1e6;
            covered_s += inside_s;
            transactions += progress.tps * inside_s;
            latency_sum_ms += progress.tps * inside_s * progress.latency_ms;
            since_us = *at_us;
        }
        let latency_mean_ms = if transactions > 0.0 { latency_sum_ms / transactions } else { 0.0 };
        (covered_s > 0.0).then(|| Window { tps: transactions / covered_s, latency_mean_ms, covered_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_every_version_are_read_and_nothing_else_is() {
        let read = |line| Progress::parse(line).map(|progress| (progress.tps, progress.latency_ms));
        assert_eq!(read("progress: 1.0 s, 1042.5 tps, lat 9.586 ms stddev 4.127"), Some((1042.5, 9.586)));
        assert_eq!(read("progress: 12.0 s, 20.0 tps, lat 1.5 ms stddev 0.1, 0 failed"), Some((20.0, 1.5)));
        assert_eq!(
            read("progress: 2.0 s, 9.9 tps, lat 3.0 ms stddev 1.0, 0 failed, lag 0.1 ms, 0 skipped"),
            Some((9.9, 3.0))
        );
        assert_eq!(read("progress: 5.0 s, 0.0 tps, lat NaN ms stddev NaN, 0 failed"), Some((0.0, 0.0)));
        assert_eq!(read("pgbench: error: connection to server lost"), None);
        assert_eq!(read("progress: soon"), None);
    }

    #[test]
    fn a_window_weighs_rates_by_time_and_latency_by_transactions() {
        let mut timeline = Timeline::from(0);
        timeline.push(1_000_000, Progress { tps: 7777.0, latency_ms: 7777.0 });
        timeline.push(2_000_000, Progress { tps: 100.0, latency_ms: 10.0 });
        timeline.push(3_000_000, Progress { tps: 300.0, latency_ms: 2.0 });
        timeline.push(4_000_000, Progress { tps: 7777.0, latency_ms: 7777.0 });
        let whole = timeline.window(1_000_000, 3_000_000).unwrap();
        assert_eq!(whole, Window { tps: 200.0, latency_mean_ms: 4.0, covered_s: 2.0 });
        let half = timeline.window(1_500_000, 2_500_000).unwrap();
        assert_eq!(half, Window { tps: 200.0, latency_mean_ms: 4.0, covered_s: 1.0 });
    }

    #[test]
    fn a_second_without_transactions_counts_as_time_but_not_as_latency() {
        let mut timeline = Timeline::from(0);
        timeline.push(1_000_000, Progress { tps: 100.0, latency_ms: 5.0 });
        timeline.push(2_000_000, Progress { tps: 0.0, latency_ms: 0.0 });
        assert_eq!(timeline.window(0, 9_000_000), Some(Window { tps: 50.0, latency_mean_ms: 5.0, covered_s: 2.0 }));
        assert_eq!(timeline.window(3_000_000, 4_000_000), None, "nothing was reported there");
    }
}
