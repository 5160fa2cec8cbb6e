//! The ratio of two cells, from the blocks in which both ran (METHODOLOGY S3).
//!
//! Per block the difference of the logarithms is one observation: what the hour did to both cancels out. Their mean has a
//! Student-t interval, which keeps its coverage from three blocks on, also with heavy tails; a bootstrap over so few blocks does
//! not.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewer blocks allow no interval.
pub const FEWEST_BLOCKS: usize = 3;

/// A ratio and the interval that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioInterval {
    /// Blocks that it is made of.
    pub blocks: usize,
    /// Geometric mean of the ratios of the blocks.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl RatioInterval {
    /// Whether the two certainly differ, as far as the interval's level says.
    pub fn excludes_one(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }
}

/// `a` over `b` over the blocks that both have, with the interval that holds it at `confidence` (0.95 for 95 %).
///
/// Keys are blocks, values are figures of their runs. `None` with fewer than [`FEWEST_BLOCKS`] blocks in common, and where a
/// value is not above zero and so has no ratio.
pub fn paired_ratio<K: Ord>(a: &BTreeMap<K, f64>, b: &BTreeMap<K, f64>, confidence: f64) -> Option<RatioInterval> {
    let pairs: Vec<(f64, f64)> = a.iter().filter_map(|(block, a)| Some((*a, *b.get(block)?))).collect();
    if pairs.len() < FEWEST_BLOCKS || pairs.iter().any(|(a, b)| !(*a > 0.0 && *b > 0.0)) {
        return None;
    }
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| (a / b).ln()).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    let half = student.inverse_cdf(0.5 + confidence / 2.0) * (variance / count).sqrt();
    Some(RatioInterval { blocks: pairs.len(), ratio: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
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
        assert_eq!(interval.blocks, 10);
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
}
