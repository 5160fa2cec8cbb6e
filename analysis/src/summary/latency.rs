//! Distribution of the end-to-end latency of a cell: the merged histograms of its runs, or what stands in for them. It draws curves; the
//! headline percentiles are medians over runs (METHODOLOGY S6).

use qbench_schema::latency::LatencyHistogram;
use qbench_schema::record::Stage;
use qbench_schema::result::Percentiles;
use qbench_schema::summary::RunRow;

use super::QUANTILES;
use crate::error::Problem;
use crate::load::Run;

/// Where the distribution of a cell comes from.
pub(super) enum Latency {
    /// The job records of its runs, merged.
    Records(Box<LatencyHistogram>),
    /// The verdict of one run.
    Verdict(Percentiles),
}

impl Latency {
    /// Each of [`QUANTILES`] that is known, with its latency in milliseconds.
    pub(super) fn quantiles(&self) -> Vec<(f64, f64)> {
        match self {
            Latency::Records(histogram) => QUANTILES.iter().map(|&q| (q, histogram.quantile_ms(q))).collect(),
            Latency::Verdict(p) => vec![(0.5, p.p50), (0.95, p.p95), (0.99, p.p99), (0.999, p.p999), (1.0, p.max)],
        }
    }

    /// Quantiles and milliseconds that draw a curve: twenty to each nine, as far as there are jobs, and the largest.
    pub(super) fn curve(&self) -> Vec<(f64, f64)> {
        const STEPS_PER_NINE: f64 = 20.0;
        match self {
            Latency::Records(histogram) => {
                let nines = (histogram.count() as f64).log10();
                let steps = (0..=(nines * STEPS_PER_NINE) as u32).map(|step| f64::from(step) / STEPS_PER_NINE);
                let quantiles = steps.map(|nines| 1.0 - 10_f64.powf(-nines)).chain([1.0]);
                quantiles.map(|quantile| (quantile, histogram.quantile_ms(quantile))).collect()
            }
            Latency::Verdict(_) => self.quantiles(),
        }
    }
}

/// Distribution of a cell. Runs without job records cannot be merged: they are left out when others have some; when
/// none has, the run with the median p99 stands for all.
pub(super) fn cell_latency(finished: &[(&Run, &RunRow)], problems: &mut Vec<Problem>) -> Option<Latency> {
    let with_jobs: Vec<_> = finished.iter().filter(|(run, _)| run.result.jobs.completed > 0).collect();
    let mut merged = LatencyHistogram::new();
    let mut without = Vec::new();
    for (run, _) in &with_jobs {
        match &run.metrics {
            Some(metrics) => merged.merge(metrics.stage(Stage::EndToEnd)),
            None => without.push(*run),
        }
    }
    if merged.count() > 0 {
        for run in without {
            let message =
                format!("its job records are missing, so the distribution of {} leaves it out", run.files.run());
            problems.push(Problem::new(run.files.result(), message));
        }
        return Some(Latency::Records(Box::new(merged)));
    }
    without.sort_by(|a, b| a.result.end_to_end_ms.p99.total_cmp(&b.result.end_to_end_ms.p99));
    let median = without.get(without.len().saturating_sub(1) / 2)?;
    if without.len() > 1 {
        let message = format!(
            "no run of {} has its job records, so its distribution is that of this run, the one with the median p99",
            median.files.run()
        );
        problems.push(Problem::new(median.files.result(), message));
    }
    Some(Latency::Verdict(median.result.end_to_end_ms))
}
