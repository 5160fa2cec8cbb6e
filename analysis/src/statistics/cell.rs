//! A figure of one cell over its runs.

use super::paired::FEWEST_BLOCKS;
use super::student;

/// What the runs of one cell say of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellInterval {
    /// Runs.
    pub n: usize,
    /// The median of the runs: the cell's figure (METHODOLOGY S6).
    pub median: f64,
    /// The smallest of them.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// Both ends of the interval that holds the figure; `None` below [`FEWEST_BLOCKS`] runs.
    pub interval: Option<(f64, f64)>,
}

/// Median, range and Student-t interval at `confidence` of what the runs of a cell measured. The interval is one of logarithms, as
/// figures like these scatter by factors; where a value is not above zero it is one of the values. `None` without values.
pub fn cell_interval(values: &[f64], confidence: f64) -> Option<CellInterval> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    let interval = || {
        let is_positive = min > 0.0;
        let scaled: Vec<f64> = sorted.iter().map(|value| if is_positive { value.ln() } else { *value }).collect();
        let (mean, half) = student::interval(&scaled, confidence)?;
        let (from, to) = (mean - half, mean + half);
        Some(if is_positive { (from.exp(), to.exp()) } else { (from, to) })
    };
    Some(CellInterval {
        n: sorted.len(),
        median: (low + high) / 2.0,
        min,
        max,
        interval: (sorted.len() >= FEWEST_BLOCKS).then(interval).flatten(),
    })
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_have_a_range_and_three_an_interval() {
        assert_eq!(cell_interval(&[], 0.95), None);
        let two = cell_interval(&[4.0, 2.0], 0.95).unwrap();
        assert_eq!((two.n, two.median, two.min, two.max, two.interval), (2, 3.0, 2.0, 4.0, None));
        let four = cell_interval(&[4.0, 2.0, 8.0, 4.0], 0.95).unwrap();
        let (low, high) = four.interval.unwrap();
        assert_eq!((four.n, four.median), (4, 4.0));
        // Logarithms to the base 2 are 1, 2, 2, 3: mean 2, standard error sqrt(1/6), Student's quantile for 3 degrees 3.182.
        let half = 3.182_446 * (1.0_f64 / 6.0).sqrt();
        assert!((low.log2() - (2.0 - half)).abs() < 1e-5 && (high.log2() - (2.0 + half)).abs() < 1e-5, "{low} {high}");
    }

    #[test]
    fn counts_that_may_be_zero_have_an_interval_of_their_own_values() {
        let (low, high) = cell_interval(&[0.0, 1.0, 2.0], 0.95).unwrap().interval.unwrap();
        assert!(low < 0.0 && high > 2.0 && (low + high - 2.0).abs() < 1e-9);
    }
}
