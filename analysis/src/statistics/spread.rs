//! How far runs of one arm scatter within an hour, and from hour to hour (METHODOLOGY S7).

use std::collections::BTreeMap;

use super::student;

/// Two parts of the scatter of one arm, each a standard deviation of logarithms: 0.03 is 3 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Runs.
    pub runs: usize,
    /// Hours that they fell into.
    pub hours: usize,
    /// Between runs of one hour; `None` where no hour has two.
    pub within: Option<f64>,
    /// Between hours, beyond what the scatter within them explains; `None` with runs of a single hour.
    pub between: Option<f64>,
}

/// The spread of runs: for each its hour, of whatever clock, and the logarithm of its figure. `None` below two runs.
///
/// The analysis of variance with one random factor, for hours of unequal size (Searle, Casella, McCulloch, *Variance Components*, 1992,
/// section 3.6). A component that comes out negative is zero.
pub fn spread<K: Ord + Copy>(runs: &[(K, f64)]) -> Option<Spread> {
    if runs.len() < 2 {
        return None;
    }
    let mut hours: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for (hour, logarithm) in runs {
        hours.entry(*hour).or_default().push(*logarithm);
    }
    let count = runs.len() as f64;
    let groups = hours.len() as f64;
    let mean = runs.iter().map(|(_, logarithm)| logarithm).sum::<f64>() / count;
    let of_hour = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let within_squares: f64 =
        hours.values().filter_map(|values| Some(student::moments(values)?.1 * (values.len() as f64 - 1.0))).sum();
    let within = (count > groups).then(|| within_squares / (count - groups));
    let between = within.filter(|_| groups > 1.0).map(|within| {
        let squares: f64 = hours.values().map(|values| values.len() as f64 * (of_hour(values) - mean).powi(2)).sum();
        let usual_size =
            (count - hours.values().map(|values| (values.len() as f64).powi(2)).sum::<f64>() / count) / (groups - 1.0);
        ((squares / (groups - 1.0) - within) / usual_size).max(0.0).sqrt()
    });
    Some(Spread { runs: runs.len(), hours: hours.len(), within: within.map(f64::sqrt), between })
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_agree_have_nothing_between_them_and_hours_apart_have() {
        // Two hours of two runs: 1, 3 and 11, 13. Within: variance 2. Between: (2 * 2 * 5^2 - 2) / 2 = 49.
        let apart = spread(&[(0, 1.0), (0, 3.0), (1, 11.0), (1, 13.0)]).unwrap();
        assert_eq!((apart.runs, apart.hours), (4, 2));
        assert!((apart.within.unwrap() - 2.0_f64.sqrt()).abs() < 1e-12, "{apart:?}");
        assert!((apart.between.unwrap() - 7.0).abs() < 1e-12, "{apart:?}");
        let alike = spread(&[(0, 1.0), (0, 3.0), (1, 1.0), (1, 3.0)]).unwrap();
        assert_eq!(alike.between, Some(0.0));
    }

    #[test]
    fn runs_of_one_hour_say_nothing_of_others_and_one_run_says_nothing() {
        assert_eq!(spread(&[(0, 1.0)]), None);
        assert_eq!(spread(&[(0, 1.0), (0, 3.0)]).unwrap().between, None);
        assert_eq!(spread(&[(0, 1.0), (1, 3.0)]).unwrap(), Spread { runs: 2, hours: 2, within: None, between: None });
    }
}
