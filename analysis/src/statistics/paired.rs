//! The ratio of two cells, from the blocks in which both ran (METHODOLOGY S3).
//!
//! Per block the difference of the logarithms is one observation: what the hour did to both cancels out. Their mean has a
//! Student-t interval, which keeps its coverage from three blocks on, also with heavy tails; a bootstrap over so few blocks does
//! not.

use std::collections::BTreeMap;

use super::student;

/// Fewer blocks allow no interval.
pub const FEWEST_BLOCKS: usize = 3;

/// A ratio and the interval that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioInterval {
    /// Observations that it is made of: blocks, or of two unpaired cells the runs of the smaller one.
    pub n: usize,
    /// Geometric mean of the ratios of the blocks.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl RatioInterval {
    /// Around the logarithm `center`, `half` of its width to either side.
    pub(super) fn around(n: usize, center: f64, half: f64) -> Self {
        RatioInterval { n, ratio: center.exp(), low: (center - half).exp(), high: (center + half).exp() }
    }

    /// Whether the two certainly differ, as far as the interval's level says.
    pub fn excludes_one(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }

    /// Whether all of it lies within `share` of 1 to either side (0.05: from 1/1.05 to 1.05).
    pub fn is_within(&self, share: f64) -> bool {
        self.low > 1.0 / (1.0 + share) && self.high < 1.0 + share
    }
}

/// The logarithms of `a` over `b`, one for each block that both have, in the order of the blocks. `None` where a value is not above zero
/// and so has no ratio.
pub fn log_ratios<K: Ord>(a: &BTreeMap<K, f64>, b: &BTreeMap<K, f64>) -> Option<Vec<f64>> {
    let pairs = a.iter().filter_map(|(block, a)| Some((*a, *b.get(block)?)));
    pairs.map(|(a, b)| (a > 0.0 && b > 0.0).then(|| (a / b).ln())).collect()
}

/// The interval that holds the ratio whose logarithms were observed, at `confidence` (0.95 for 95 %). `None` with fewer than
/// [`FEWEST_BLOCKS`] of them.
pub fn ratio_interval(log_ratios: &[f64], confidence: f64) -> Option<RatioInterval> {
    if log_ratios.len() < FEWEST_BLOCKS {
        return None;
    }
    let (mean, half) = student::interval(log_ratios, confidence)?;
    Some(RatioInterval::around(log_ratios.len(), mean, half))
}

/// `a` over `b` over the blocks that both have, with the interval that holds it at `confidence` (0.95 for 95 %).
///
/// Keys are blocks, values are figures of their runs. `None` with fewer than [`FEWEST_BLOCKS`] blocks in common, and where a
/// value is not above zero and so has no ratio.
pub fn paired_ratio<K: Ord>(a: &BTreeMap<K, f64>, b: &BTreeMap<K, f64>, confidence: f64) -> Option<RatioInterval> {
    ratio_interval(&log_ratios(a, b)?, confidence)
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(values: &[f64]) -> BTreeMap<usize, f64> {
        values.iter().copied().enumerate().collect()
    }

    /// Student's own sleep data (Biometrika 6, 1908; `sleep` in R): hours of sleep gained with two drugs by ten patients. R's
    /// `t.test(extra ~ group, paired)` prints the 95 % interval 0.7001142 to 2.4598858 for the difference of the means, 1.58.
    #[test]
    fn a_published_example_comes_out_as_published() {
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4_f64];
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0_f64];
        let exp = |hours: [f64; 10]| blocks(&hours.map(f64::exp));
        let interval = paired_ratio(&exp(second), &exp(first), 0.95).unwrap();
        assert_eq!(interval.n, 10);
        for (found, published) in [(interval.ratio, 1.58), (interval.low, 0.700_114_2), (interval.high, 2.459_885_8)] {
            assert!((found.ln() - published).abs() < 1e-6, "{} is not {published}", found.ln());
        }
        assert!(interval.excludes_one());
    }

    #[test]
    fn two_blocks_and_what_has_no_ratio_have_no_interval() {
        assert_eq!(paired_ratio(&blocks(&[1.0, 2.0]), &blocks(&[1.0, 2.0, 3.0]), 0.95), None);
        assert_eq!(paired_ratio(&blocks(&[1.0, 2.0, 0.0]), &blocks(&[1.0, 2.0, 3.0]), 0.95), None);
        let apart: BTreeMap<usize, f64> = [(7, 1.0), (8, 1.0), (9, 1.0)].into();
        assert_eq!(paired_ratio(&apart, &blocks(&[1.0, 2.0, 3.0]), 0.95), None, "blocks of others are no pairs");
    }

    #[test]
    fn what_a_block_does_to_both_cancels_out() {
        let (slow_and_fast, half) = ([10.0, 40.0, 20.0, 80.0], [5.0, 20.0, 10.0, 40.0]);
        let interval = paired_ratio(&blocks(&slow_and_fast), &blocks(&half), 0.95).unwrap();
        assert!((interval.low - 2.0).abs() < 1e-9 && (interval.high - 2.0).abs() < 1e-9, "{interval:?}");
    }

    #[test]
    fn the_bounds_of_equivalence_are_alike_in_both_directions() {
        let interval = |low: f64, high: f64| RatioInterval { n: 8, ratio: 1.0, low, high };
        assert!(interval(0.953, 1.049).is_within(0.05) && !interval(0.952, 1.0).is_within(0.05));
        assert!(!interval(1.0, 1.0501).is_within(0.05));
    }
}
