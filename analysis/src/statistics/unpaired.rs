//! Two cells whose runs do not pair: other blocks, another day, another machine. What differed between the two occasions is in the
//! ratio, and a reader is told so.

use super::paired::{FEWEST_BLOCKS, RatioInterval};
use super::student;

/// Most ways of dealing the runs out that are counted; above, the t test stands for them.
const MOST_COUNTED: f64 = 200_000.0;

/// Sums that differ by less than this are ties.
const TIE: f64 = 1e-9;

/// Welch's comparison of two samples: the difference of their means, its standard error, and the degrees of freedom. `None` with fewer than
/// [`FEWEST_BLOCKS`] on either side.
fn welch(a: &[f64], b: &[f64]) -> Option<(f64, f64, f64)> {
    if a.len().min(b.len()) < FEWEST_BLOCKS {
        return None;
    }
    let ((mean_a, variance_a), (mean_b, variance_b)) = (student::moments(a)?, student::moments(b)?);
    let (of_a, of_b) = (variance_a / a.len() as f64, variance_b / b.len() as f64);
    // Welch and Satterthwaite.
    let degrees =
        (of_a + of_b).powi(2) / (of_a.powi(2) / (a.len() as f64 - 1.0) + of_b.powi(2) / (b.len() as f64 - 1.0));
    Some((mean_a - mean_b, (of_a + of_b).sqrt(), degrees))
}

/// Interval of the ratio of two samples of logarithms at `confidence`. `None` with fewer than [`FEWEST_BLOCKS`] runs on either side.
pub fn unpaired_ratio(a: &[f64], b: &[f64], confidence: f64) -> Option<RatioInterval> {
    let (difference, error, degrees) = welch(a, b)?;
    let half = if error == 0.0 { 0.0 } else { student::quantile(degrees, 0.5 + confidence / 2.0)? * error };
    Some(RatioInterval::around(a.len().min(b.len()), difference, half))
}

/// The exact two-sided p of the permutation of runs; where there are too many ways to deal them out, that of Welch's t test. `None` with
/// fewer than [`FEWEST_BLOCKS`] runs on either side.
pub fn permutation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (difference, error, degrees) = welch(a, b)?;
    if error == 0.0 {
        return Some(if difference == 0.0 { 1.0 } else { smallest_p_unpaired(a.len(), b.len()) });
    }
    match ways(a.len(), b.len()) <= MOST_COUNTED {
        true => Some(permuted(a, b, difference)),
        false => student::two_sided(degrees, difference / error),
    }
}

/// The smallest two-sided p that runs of such numbers can have.
pub fn smallest_p_unpaired(a: usize, b: usize) -> f64 {
    // Only where both are of one size are two ways equally extreme.
    let extreme = if a == b { 2.0 } else { 1.0 };
    (extreme / ways(a, b)).min(1.0)
}

/// Ways to choose `a` of `a + b`.
fn ways(a: usize, b: usize) -> f64 {
    (1..=a).map(|place| (b + place) as f64 / place as f64).product()
}

/// Share of all ways to deal the runs out to two cells of these sizes whose means differ at least as much.
fn permuted(a: &[f64], b: &[f64], difference: f64) -> f64 {
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let total: f64 = all.iter().sum();
    let mut counted = (0_u64, 0_u64);
    deal(&all, a.len(), 0.0, &mut |sum| {
        let other = sum / a.len() as f64 - (total - sum) / b.len() as f64;
        counted.0 += u64::from(other.abs() >= difference.abs() - TIE);
        counted.1 += 1;
    });
    counted.0 as f64 / counted.1.max(1) as f64
}

/// Calls `each` with the sum of every choice of `count` of `values`, added to `sum`.
fn deal(values: &[f64], count: usize, sum: f64, each: &mut impl FnMut(f64)) {
    if count == 0 {
        return each(sum);
    }
    for place in 0..=values.len() - count {
        deal(&values[place + 1..], count - 1, sum + values[place], each);
    }
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// R's `t.test(extra ~ group, data = sleep)`: 95 % interval of the difference -3.3654832 to 0.2054832.
    #[test]
    fn welch_s_interval_comes_out_as_in_r() {
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let interval = unpaired_ratio(&first, &second, 0.95).unwrap();
        let p = permutation(&first, &second).unwrap();
        assert!((interval.low.ln() + 3.365_483_2).abs() < 1e-6, "{}", interval.low.ln());
        assert!((interval.high.ln() - 0.205_483_2).abs() < 1e-6, "{}", interval.high.ln());
        // Student's p there is 0.079; all 184,756 ways of dealing the patients out say nearly the same.
        assert!((0.07..0.09).contains(&p), "{p}");
    }

    #[test]
    fn cells_far_apart_have_the_smallest_p_and_two_runs_none() {
        let p = permutation(&[1.0, 1.1, 1.2, 1.3], &[2.0, 2.1, 2.2, 2.3]).unwrap();
        assert!((p - smallest_p_unpaired(4, 4)).abs() < 1e-12 && (p - 2.0 / 70.0).abs() < 1e-12, "{p}");
        assert_eq!(unpaired_ratio(&[1.0, 2.0], &[1.0, 2.0, 3.0], 0.95), None);
        assert_eq!(permutation(&[1.0, 2.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(permutation(&[1.0; 3], &[1.0; 3]).unwrap(), 1.0);
    }
}
