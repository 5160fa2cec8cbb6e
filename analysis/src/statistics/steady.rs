//! Whether one run was in a steady state: neither trend nor shift in its seconds (METHODOLOGY S4).
//!
//! Seconds that follow each other are alike, so fewer of them count than there are: both tests are held against the effective number.
//! What is not steady is shown, and nothing is cut away.

use super::student;

/// A trend or a shift below this share of the usual value is none that matters.
const MATTERS: f64 = 0.10;

/// How rare a trend or a shift has to be in steady seconds.
const LEVEL: f64 = 0.01;

/// Fewer seconds tell nothing.
const FEWEST_SECONDS: usize = 8;

/// A series of seconds, judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steadiness {
    /// Neither trend nor shift.
    pub steady: bool,
    /// Theil-Sen slope over the whole series, as a share of its usual value: 0.2 is a rise by a fifth.
    pub drift: f64,
    /// The second from which on the level is another one, where Pettitt's test finds any; counted from 0.
    pub change_at: usize,
    /// By how much the median after it differs from the one before, as a share of the usual value.
    pub shift: f64,
    /// Whether a step at that second fits better than a slope over all.
    pub is_step: bool,
    /// Correlation of each second with the next, beside trend and shift.
    pub autocorrelation: f64,
    /// How many independent seconds the series is worth.
    pub effective_n: f64,
}

/// Judges `values`, one per second. `scale` is what a change is held against where the median is less than that: a backlog of two that
/// becomes four has not doubled in any sense that matters. `None` for too short a series.
pub fn steadiness(values: &[f64], scale: f64) -> Option<Steadiness> {
    if values.len() < FEWEST_SECONDS || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let count = values.len() as f64;
    let usual = median(values.to_vec()).abs().max(scale);
    let (_, variance) = student::moments(values)?;
    if variance == 0.0 {
        return Some(Steadiness {
            steady: true,
            drift: 0.0,
            change_at: 0,
            shift: 0.0,
            is_step: false,
            autocorrelation: 0.0,
            effective_n: count,
        });
    }
    let slope = theil_sen(values);
    let drift = slope * (count - 1.0) / usual;
    let (change_at, largest) = pettitt(values);
    let (before, after) = values.split_at(change_at);
    let (before, after) = (median(before.to_vec()), median(after.to_vec()));
    let shift = (after - before) / usual;
    // What seconds have in common beside the change itself: a step would look like a long memory.
    let level = |place: usize| if place < change_at { before } else { after };
    let without_trend = autocorrelation(values.iter().enumerate().map(|(place, value)| value - slope * place as f64));
    let without_shift = autocorrelation(values.iter().enumerate().map(|(place, value)| value - level(place)));
    let inflation = |autocorrelation: f64| (1.0 + autocorrelation.max(0.0)) / (1.0 - autocorrelation.max(0.0));
    let autocorrelation = without_trend.min(without_shift);
    let effective_n = (count / inflation(autocorrelation)).max(2.0);
    let change_p = 2.0 * (-6.0 * largest.powi(2) / inflation(without_shift) / (count.powi(3) + count.powi(2))).exp();
    let has_trend = drift.abs() > MATTERS && mann_kendall(values, inflation(without_trend)) < LEVEL;
    let has_shift = shift.abs() > MATTERS && change_p < LEVEL;
    let flat = median(values.iter().enumerate().map(|(place, value)| value - slope * place as f64).collect());
    let misfit = |of: &dyn Fn(usize) -> f64| -> f64 {
        values.iter().enumerate().map(|(place, value)| (value - of(place)).abs()).sum()
    };
    let is_step = misfit(&level) < misfit(&|place| flat + slope * place as f64);
    let steady = !has_trend && !has_shift;
    Some(Steadiness { steady, drift, change_at, shift, is_step, autocorrelation, effective_n })
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// The median of the slopes of all pairs, per place. Source: Sen, *Estimates of the regression coefficient based on Kendall's tau*
/// (JASA 63, 1968). Long series are thinned: a day of seconds has four billion pairs.
fn theil_sen(values: &[f64]) -> f64 {
    const MOST: usize = 1_000;
    let step = values.len().div_ceil(MOST);
    let thinned: Vec<(usize, f64)> = values.iter().copied().enumerate().step_by(step).collect();
    let slopes = thinned.iter().enumerate().flat_map(|(place, (from, low))| {
        thinned[place + 1..].iter().map(move |(to, high)| (high - low) / (to - from) as f64)
    });
    median(slopes.collect())
}

/// Two-sided p of Mann and Kendall's test for a trend, its variance inflated for what seconds have in common.
fn mann_kendall(values: &[f64], inflation: f64) -> f64 {
    let count = values.len() as f64;
    let signs: f64 = values
        .iter()
        .enumerate()
        .map(|(place, low)| values[place + 1..].iter().map(|high| sign(high - low)).sum::<f64>())
        .sum();
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0 * inflation;
    // Student's t with many degrees is the normal distribution that this test uses.
    student::two_sided(1e6, signs / variance.sqrt()).unwrap_or(1.0)
}

/// The place from which on the level is another one, and how far the ranks before it are from what they would be without: Pettitt, *A
/// non-parametric approach to the change-point problem* (Applied Statistics 28, 1979).
fn pettitt(values: &[f64]) -> (usize, f64) {
    let count = values.len() as f64;
    let mut ranked: Vec<usize> = (0..values.len()).collect();
    ranked.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut place = 0;
    while place < ranked.len() {
        let ties = ranked[place..].iter().take_while(|index| values[**index] == values[ranked[place]]).count();
        for index in &ranked[place..place + ties] {
            ranks[*index] = place as f64 + (ties as f64 + 1.0) / 2.0;
        }
        place += ties;
    }
    let (mut sum, mut largest, mut at) = (0.0, 0.0_f64, 0);
    for (place, rank) in ranks.iter().enumerate().take(values.len() - 1) {
        sum += rank;
        let statistic = (2.0 * sum - (place as f64 + 1.0) * (count + 1.0)).abs();
        if statistic > largest {
            (largest, at) = (statistic, place + 1);
        }
    }
    (at, largest)
}

/// Correlation of each of `values` with the next one, below 1; zero where they do not scatter.
fn autocorrelation(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let Some((mean, variance)) = student::moments(&values).filter(|(_, variance)| *variance > 0.0) else { return 0.0 };
    let products: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    (products / (variance * (values.len() as f64 - 1.0))).min(0.99)
}

fn sign(difference: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference.signum() }
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// Flow of the Nile at Aswan, 1871 to 1970, in 10^8 cubic metres (`Nile` in R). Its level changed in 1898, after 28 years (Cobb,
    /// *The problem of the Nile*, Biometrika 65, 1978).
    const NILE: [u16; 100] = [
        1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
        1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
        831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781,
        865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838,
        1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
    ];

    #[test]
    fn the_nile_changed_in_1898() {
        let flow = NILE.map(f64::from);
        assert_eq!(pettitt(&flow).0, 28);
        let judged = steadiness(&flow, 0.0).unwrap();
        assert!(!judged.steady && judged.shift < -0.2, "{judged:?}");
        assert!((autocorrelation(flow.into_iter()) - 0.498).abs() < 0.001, "as R's acf(Nile) has it");
    }

    /// Example of Sprent, *Applied Nonparametric Statistical Methods* (1993): the 21 slopes of seven points have the median 10.
    #[test]
    fn the_slope_is_the_median_of_all_slopes() {
        assert_eq!(theil_sen(&[9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0]), 10.0);
    }

    /// A fixed series of noise that is alike in all its parts.
    fn noise(count: usize) -> Vec<f64> {
        (0..count).map(|place| f64::from((place as u32 * 7_919 + 31) % 101) / 101.0).collect()
    }

    #[test]
    fn noise_is_steady_and_a_rise_or_a_step_of_a_fifth_is_not() {
        let around = |value: f64| move |noise: &f64| value + 0.3 * noise;
        let flat: Vec<f64> = noise(60).iter().map(around(10.0)).collect();
        assert!(steadiness(&flat, 0.0).unwrap().steady);
        let rise: Vec<f64> = flat.iter().enumerate().map(|(place, value)| value + place as f64 / 30.0).collect();
        let judged = steadiness(&rise, 0.0).unwrap();
        assert!(!judged.steady && (0.15..0.25).contains(&judged.drift), "{judged:?}");
        let step: Vec<f64> =
            flat.iter().enumerate().map(|(place, value)| value + if place < 40 { 0.0 } else { 2.0 }).collect();
        let judged = steadiness(&step, 0.0).unwrap();
        assert!(!judged.steady && judged.change_at == 40, "{judged:?}");
    }

    #[test]
    fn a_backlog_of_a_few_jobs_may_double_and_too_few_seconds_tell_nothing() {
        let few: Vec<f64> = (0..30).map(|place| if place < 15 { 1.0 } else { 2.0 }).collect();
        assert!(!steadiness(&few, 0.0).unwrap().steady);
        assert!(steadiness(&few, 50.0).unwrap().steady);
        assert_eq!(steadiness(&[1.0; 5], 0.0), None);
        assert!(steadiness(&[3.0; 9], 0.0).unwrap().steady);
    }
}
