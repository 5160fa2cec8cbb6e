//! The exact sign-flip test (Fisher's randomisation test for pairs): how rare is a mean at least as far from zero, if every difference
//! might as well have had the other sign?
//!
//! It assumes nothing of the shape of the differences but that they are symmetric about zero when there is no effect.

use super::student;

/// Most differences whose signs are counted out; their number of ways is two to this power, split into two halves.
const MOST_COUNTED: usize = 40;

/// Sums that differ by less than this share of the largest possible one are ties: rounding must not break them.
const TIE: f64 = 1e-12;

/// The smallest two-sided p that so many pairs can have: all differences of one sign.
pub fn smallest_p(pairs: usize) -> f64 {
    2.0 * 0.5_f64.powi(i32::try_from(pairs).unwrap_or(i32::MAX)).min(0.5)
}

/// Two-sided p of `differences`. Above 40 of them it is that of the t test, from which it no longer differs by much. `None` for none.
pub fn sign_flip(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() {
        return None;
    }
    if differences.len() > MOST_COUNTED {
        let (mean, variance) = student::moments(differences)?;
        let count = differences.len() as f64;
        return student::two_sided(count - 1.0, mean / (variance / count).sqrt());
    }
    let magnitudes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let all: f64 = magnitudes.iter().sum();
    let extreme = differences.iter().sum::<f64>().abs() - all * TIE;
    if extreme <= 0.0 {
        return Some(1.0);
    }
    // Each way is a sum of the first half and one of the second: those of the second that reach far enough are counted by their place.
    let (first, second) = magnitudes.split_at(magnitudes.len() / 2);
    let (first, mut second) = (sums(first), sums(second));
    second.sort_by(f64::total_cmp);
    let reaching = |from: &f64| second.len() - second.partition_point(|sum| from + sum < extreme);
    let upper: u64 = first.iter().map(|from| reaching(from) as u64).sum();
    // What is mirrored counts as well.
    Some((2.0 * upper as f64 * 0.5_f64.powi(magnitudes.len() as i32)).min(1.0))
}

/// The sums of `magnitudes` with every choice of signs.
fn sums(magnitudes: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for magnitude in magnitudes {
        sums = sums.iter().flat_map(|sum| [sum + magnitude, sum - magnitude]).collect();
    }
    sums
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// Darwin's maize (heights in eighths of an inch, crossed less self-fertilised), the example on which Fisher introduced the test
    /// (*The Design of Experiments*, 1935, section 21): of 32,768 ways 863 reach the sum of 314 on one side, so p is 1,726 / 32,768.
    #[test]
    fn fisher_s_own_example_comes_out_as_he_counted_it() {
        let eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48].map(f64::from);
        assert_eq!(eighths.iter().sum::<f64>(), 314.0);
        assert!((sign_flip(&eighths).unwrap() - 1_726.0 / 32_768.0).abs() < 1e-12);
    }

    #[test]
    fn differences_of_one_sign_have_the_smallest_p_there_is() {
        for (count, published) in [(5, 0.0625), (6, 0.031_25), (8, 0.007_812_5)] {
            assert_eq!(smallest_p(count), published);
            let differences: Vec<f64> = (0..count).map(|place| 0.1 + place as f64 / 7.0).collect();
            assert_eq!(sign_flip(&differences), Some(published));
        }
    }

    #[test]
    fn nothing_is_certain_of_no_difference_and_many_pairs_agree_with_student() {
        assert_eq!(sign_flip(&[]), None);
        assert_eq!(sign_flip(&[0.0; 8]), Some(1.0));
        assert_eq!(sign_flip(&[1.0, -1.0, 2.0, -2.0]), Some(1.0));
        let mut many: Vec<f64> = (0..40).map(|place| f64::from(place % 9) - 3.2).collect();
        let counted = sign_flip(&many).unwrap();
        many.push(0.8);
        let by_student = sign_flip(&many).unwrap();
        assert!((counted - by_student).abs() < 0.02, "{counted} and {by_student}");
    }
}
