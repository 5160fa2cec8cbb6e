//! One HdrHistogram per latency stage.

use hdrhistogram::Histogram;
use qbench_schema::record::{JobRecord, Stage};
use qbench_schema::result::Percentiles;

/// Largest latency kept, in microseconds: a day, beyond any drain deadline.
const MAX_LATENCY_US: u64 = 24 * 3600 * 1_000_000;

/// Three significant digits: an error of at most 0.1 %.
const DIGITS: u8 = 3;

/// Latencies of all seven stages, in microseconds.
pub struct StageHistograms {
    stages: [Histogram<u64>; Stage::ALL.len()],
    /// Values beyond [`MAX_LATENCY_US`], which no histogram could take.
    overflows: u64,
}

impl Default for StageHistograms {
    fn default() -> Self {
        Self::new()
    }
}

impl StageHistograms {
    /// Empty histograms.
    pub fn new() -> Self {
        let empty = Histogram::new_with_bounds(1, MAX_LATENCY_US, DIGITS).expect("the bounds are constants that fit");
        StageHistograms { stages: std::array::from_fn(|_| empty.clone()), overflows: 0 }
    }

    /// Adds every stage of `record`.
    pub fn add(&mut self, record: &JobRecord) {
        for (histogram, stage) in self.stages.iter_mut().zip(Stage::ALL) {
            if histogram.record(record.stage_us(stage)).is_err() {
                self.overflows += 1;
            }
        }
    }

    /// Adds everything in `other`; exact, because all have the same buckets.
    pub fn merge(&mut self, other: &StageHistograms) {
        for (histogram, other) in self.stages.iter_mut().zip(&other.stages) {
            histogram.add(other).expect("all of them have the same bounds");
        }
        self.overflows += other.overflows;
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.stages.iter_mut().for_each(Histogram::reset);
        self.overflows = 0;
    }

    /// Values that were too large to be kept.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The histogram of one stage.
    pub fn stage(&self, stage: Stage) -> &Histogram<u64> {
        let index = Stage::ALL.iter().position(|other| *other == stage).unwrap_or_default();
        &self.stages[index]
    }

    /// Percentiles of one stage in milliseconds; zeros while it is empty.
    pub fn percentiles_ms(&self, stage: Stage) -> Percentiles {
        let histogram = self.stage(stage);
        if histogram.is_empty() {
            return Percentiles::default();
        }
        let ms = |us: u64| us as f64 / 1e3;
        Percentiles {
            p50: ms(histogram.value_at_quantile(0.50)),
            p95: ms(histogram.value_at_quantile(0.95)),
            p99: ms(histogram.value_at_quantile(0.99)),
            p999: ms(histogram.value_at_quantile(0.999)),
            max: ms(histogram.max()),
            mean: histogram.mean() / 1e3,
        }
    }
}
