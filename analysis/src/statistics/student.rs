//! Student's t.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The value that a Student variable with so many `degrees` of freedom stays below with probability `share`. `None` without a degree.
pub(super) fn quantile(degrees: f64, share: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, degrees).ok()?.inverse_cdf(share))
}

/// Mean of `values`, and half the width of Student's interval about it at `confidence`. `None` below two values.
pub(super) fn interval(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let (mean, variance) = moments(values)?;
    let count = values.len() as f64;
    Some((mean, quantile(count - 1.0, 0.5 + confidence / 2.0)? * (variance / count).sqrt()))
}

/// Two-sided p of a t statistic.
pub(super) fn two_sided(degrees: f64, statistic: f64) -> Option<f64> {
    Some(2.0 * StudentsT::new(0.0, 1.0, degrees).ok()?.sf(statistic.abs()))
}

/// Mean and variance of what is there; the variance is that of the sample, over `n - 1`. `None` below two values.
pub(super) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some((mean, variance))
}
