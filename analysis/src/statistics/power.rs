//! What so few blocks can show at all (METHODOLOGY S7).

use super::paired::FEWEST_BLOCKS;
use super::student;

/// The chance with which a difference of the named size is found.
const POWER: f64 = 0.8;

/// The smallest true ratio above 1 that as many blocks as were observed would find in four of five studies, at a two-sided `level`, if
/// they scatter as `log_ratios` do. `None` below [`FEWEST_BLOCKS`].
///
/// The usual approximation: the quantiles of Student's t for level and power, added (Cohen, *Statistical Power Analysis*, 1988).
pub fn detectable_effect(log_ratios: &[f64], level: f64) -> Option<f64> {
    if log_ratios.len() < FEWEST_BLOCKS {
        return None;
    }
    let (_, variance) = student::moments(log_ratios)?;
    let degrees = log_ratios.len() as f64 - 1.0;
    let reach = student::quantile(degrees, 1.0 - level / 2.0)? + student::quantile(degrees, POWER)?;
    Some((reach * (variance / log_ratios.len() as f64).sqrt()).exp())
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// R: `power.t.test(n = 10, sd = 1, power = 0.8, type = "paired")` finds delta 0.996; the approximation is a little above.
    #[test]
    fn ten_blocks_find_one_standard_deviation() {
        let alternating: Vec<f64> = (0..10).map(|place| if place % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // Standard deviation of these: sqrt(10 / 9).
        let delta = detectable_effect(&alternating, 0.05).unwrap().ln() / (10.0_f64 / 9.0).sqrt();
        assert!((0.98..1.02).contains(&delta), "{delta}");
        assert_eq!(detectable_effect(&[0.1, 0.2], 0.05), None);
    }
}
