//! How far two samples are shifted against each other, by ranks: a few values far out, as a busy neighbour of a machine makes them, move
//! nothing.
//!
//! Source: Hollander, Wolfe, *Nonparametric Statistical Methods* (1973), chapter 4; R's `wilcox.test(conf.int = TRUE)` does the same.

use statrs::distribution::{ContinuousCDF, Normal};

use super::paired::{FEWEST_BLOCKS, RatioInterval};

/// Most values of both samples for which all ways to deal ranks out are counted: their numbers are exact in a float. Above, the normal
/// distribution stands for them.
const MOST_COUNTED: usize = 50;

/// Ratio of two samples of logarithms, which is Hodges' and Lehmann's estimate of their shift, with the interval at `confidence` that belongs to
/// the test of Wilcoxon, Mann and Whitney. `None` with fewer than [`FEWEST_BLOCKS`] values on either side.
pub fn shift_ratio(a: &[f64], b: &[f64], confidence: f64) -> Option<RatioInterval> {
    if a.len().min(b.len()) < FEWEST_BLOCKS {
        return None;
    }
    let mut differences: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| a - b)).collect();
    differences.sort_by(f64::total_cmp);
    let count = differences.len();
    let rank = lowest_rank(a.len(), b.len(), (1.0 - confidence) / 2.0)?;
    let middle = (differences[(count - 1) / 2] + differences[count / 2]) / 2.0;
    Some(RatioInterval {
        n: a.len().min(b.len()),
        ratio: middle.exp(),
        low: differences[rank - 1].exp(),
        high: differences[count - rank].exp(),
    })
}

/// The rank, counted from 1, of the difference at the lower end: below it lies the shift with a probability of at most `share`.
fn lowest_rank(a: usize, b: usize, share: f64) -> Option<usize> {
    let rank = if a + b <= MOST_COUNTED {
        let ways = ways(a, b);
        let all: f64 = ways.iter().sum();
        let mut up_to = 0.0;
        let reaches = |ways: &f64| {
            up_to += ways;
            up_to / all >= share
        };
        ways.iter().position(reaches)?
    } else {
        let (a, b) = (a as f64, b as f64);
        let deviation = (a * b * (a + b + 1.0) / 12.0).sqrt();
        (a * b / 2.0 + Normal::standard().inverse_cdf(share) * deviation).floor().max(0.0) as usize
    };
    Some(rank.max(1))
}

/// For each value of Mann's and Whitney's U, from 0 on, the ways to deal ranks out to samples of these sizes that have it: the coefficients of
/// the Gaussian binomial.
fn ways(a: usize, b: usize) -> Vec<f64> {
    let mut ways = vec![0.0; a * b + 1];
    ways[0] = 1.0;
    for factor in 1..=a {
        // Times 1 - q^(b + factor), over 1 - q^factor.
        for u in (b + factor..ways.len()).rev() {
            ways[u] -= ways[u - b - factor];
        }
        for u in factor..ways.len() {
            ways[u] += ways[u - factor];
        }
    }
    ways
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// R's `?wilcox.test`, from Hollander and Wolfe: W = 35 of samples of 10 and 5 has a one-sided p of 0.1272.
    #[test]
    fn the_ways_to_deal_ranks_out_are_those_of_the_published_example() {
        let ways = ways(10, 5);
        let extreme: f64 = ways[35..].iter().sum();
        assert!((extreme / ways.iter().sum::<f64>() - 0.1272).abs() < 5e-5, "{extreme}");
    }

    /// Critical values of U at 5 %, two-sided, as tables of the test have them; the rank is the next one.
    #[test]
    fn ranks_are_those_of_the_tables() {
        for (size, critical) in [(5, 2), (8, 13), (10, 23), (20, 127)] {
            assert_eq!(lowest_rank(size, size, 0.025), Some(critical + 1), "{size}");
        }
        // Where nothing is counted any more it is at most one off, to the careful side: the table has 317.
        assert!((317..=318).contains(&lowest_rank(30, 30, 0.025).unwrap()));
    }

    #[test]
    fn one_value_far_out_moves_nothing_and_the_ratio_turned_round_has_the_interval_turned_round() {
        let a: Vec<f64> = (0..25).map(|place| 1.0 + 0.001 * f64::from(place % 7)).collect();
        let mut b: Vec<f64> = a.iter().map(|value| value + 0.1).collect();
        b[3] = 3.0;
        let interval = shift_ratio(&b, &a, 0.9).unwrap();
        assert!((interval.ratio.ln() - 0.1).abs() < 0.001 && interval.high.ln() < 0.103, "{interval:?}");
        let round = shift_ratio(&a, &b, 0.9).unwrap();
        assert!((round.low * interval.high - 1.0).abs() < 1e-9 && (round.ratio * interval.ratio - 1.0).abs() < 1e-9);
        assert_eq!(shift_ratio(&[1.0, 2.0], &a, 0.9), None);
    }
}
