//! Latencies as histograms: the same bounds, precision and percentiles for who records them and who reads them again.
//!
//! HdrHistograms with three significant digits (METHODOLOGY M2), an error of at most 0.1 %. They can be merged exactly, over
//! intervals and over runs.

use std::fmt;

use hdrhistogram::{AdditionError, Histogram};

use crate::record::{JobRecord, Stage};
use crate::result::Percentiles;

/// Shortest latency that is told apart from zero.
const LOWEST_US: u64 = 1;
/// Longest latency that can be: a day, beyond the longest run with its drain.
const HIGHEST_US: u64 = 24 * 60 * 60 * 1_000_000;
/// Significant decimal digits kept of each latency.
const DIGITS: u8 = 3;

/// Latencies of one stage, in microseconds.
#[derive(Clone)]
pub struct LatencyHistogram(Histogram<u64>);

/// Without the tens of thousands of counters.
impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LatencyHistogram({} jobs, p99 {} ms)", self.count(), self.quantile_ms(0.99))
    }
}

impl LatencyHistogram {
    /// An empty one. All have the same bounds, so any two can be merged.
    pub fn new() -> Self {
        #[allow(clippy::expect_used)] // The bounds are constants; a test builds one.
        LatencyHistogram(Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, DIGITS).expect("constant bounds are valid"))
    }

    /// Counts one latency; false when it is longer than a day, which no run can show.
    #[must_use]
    #[inline]
    pub fn record_us(&mut self, latency_us: u64) -> bool {
        // The histogram itself would take somewhat more: its last bucket ends at a power of two.
        latency_us <= HIGHEST_US && self.0.record(latency_us).is_ok()
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        #[allow(clippy::expect_used)] // Adding fails only between different bounds, and there is one set of bounds.
        self.0.add(&other.0).expect("all latency histograms have the same bounds");
    }

    /// Adds latencies that were read from a file.
    ///
    /// # Errors
    /// When they do not fit: some are longer than a day.
    pub fn add_foreign(&mut self, latencies: &Histogram<u64>) -> Result<(), AdditionError> {
        self.0.add(latencies)
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Latency that the share `quantile` (0 to 1) of jobs does not exceed, in milliseconds; 0 when empty.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// The figures that a verdict holds per stage; zeros when empty.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.quantile_ms(0.50),
            p95: self.quantile_ms(0.95),
            p99: self.quantile_ms(0.99),
            p999: self.quantile_ms(0.999),
            max: self.0.max() as f64 / 1_000.0,
            mean: self.0.mean() / 1_000.0,
        }
    }

    /// The counters themselves, for a file.
    pub fn counters(&self) -> &Histogram<u64> {
        &self.0
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

/// Latencies of all stages.
#[derive(Debug, Clone)]
pub struct StageHistograms([LatencyHistogram; Stage::ALL.len()]);

impl Default for StageHistograms {
    fn default() -> Self {
        Self::new()
    }
}

impl StageHistograms {
    /// Of no job.
    pub fn new() -> Self {
        let empty = LatencyHistogram::new();
        StageHistograms(std::array::from_fn(|_| empty.clone()))
    }

    /// Counts every stage of `record`; returns those that are longer than a day and were left out.
    #[inline]
    pub fn add(&mut self, record: &JobRecord) -> impl Iterator<Item = Stage> + use<> {
        let fits = Stage::ALL.map(|stage| self.stage_mut(stage).record_us(record.stage_us(stage)));
        Stage::ALL.into_iter().zip(fits).filter(|(_, fits)| !fits).map(|(stage, _)| stage)
    }

    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &StageHistograms) {
        self.0.iter_mut().zip(&other.0).for_each(|(histogram, other)| histogram.merge(other));
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(LatencyHistogram::clear);
    }

    /// Latencies of one stage.
    pub fn stage(&self, stage: Stage) -> &LatencyHistogram {
        &self.0[stage as usize]
    }

    /// The same, to be added to.
    pub fn stage_mut(&mut self, stage: Stage) -> &mut LatencyHistogram {
        &mut self.0[stage as usize]
    }

    /// Percentiles of one stage in milliseconds; zeros while it is empty.
    pub fn percentiles_ms(&self, stage: Stage) -> Percentiles {
        self.stage(stage).percentiles()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place, "the array of stages is indexed by discriminant");
        }
    }

    #[test]
    fn an_empty_one_has_zeros_for_figures() {
        assert_eq!(LatencyHistogram::new().percentiles(), Percentiles::default());
    }

    #[test]
    fn merging_keeps_every_job_and_is_not_an_average() {
        let (mut fast, mut slow) = (LatencyHistogram::new(), LatencyHistogram::new());
        for _ in 0..98 {
            assert!(fast.record_us(1_000) && slow.record_us(1_000));
        }
        assert!(fast.record_us(1_000) && fast.record_us(1_000));
        assert!(slow.record_us(900_000) && slow.record_us(900_000));
        // The p99 of one is 1 ms, of the other 900 ms; of the 200 jobs together 198 took 1 ms.
        fast.merge(&slow);
        assert_eq!(fast.count(), 200);
        assert!((fast.quantile_ms(0.99) - 1.0).abs() < 0.01);
        assert!((fast.quantile_ms(1.0) - 900.0).abs() < 1.0);
    }
}
