//! Axes: from values to positions, with round ticks.

use super::canvas::Rect;

/// Above this ratio of the largest to the smallest value an axis is logarithmic.
const LOG_ABOVE_RATIO: f64 = 20.0;

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<f64>,
}

impl Scale {
    /// From zero to a round value at or above every value.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().filter(|value| value.is_finite()).fold(0.0_f64, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = round_step(largest / 5.0);
        let count = (largest / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|index| f64::from(index) * step).collect();
        Scale { low: 0.0, high: count * step, log: false, ticks }
    }

    /// Logarithmic where the values span more than a ratio of 20, else from zero.
    pub fn automatic(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite() && *value > 0.0).collect();
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(0.0, f64::max);
        if values.is_empty() || largest / smallest <= LOG_ABOVE_RATIO {
            return Scale::linear(values);
        }
        Scale::logarithmic(values)
    }

    /// Logarithmic, with room below the smallest value; of values above zero, else linear.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite() && *value > 0.0).collect();
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = values.iter().copied().fold(0.0, f64::max);
        if values.is_empty() {
            return Scale::linear(values);
        }
        // Bars begin at the lower end, so the smallest value must not lie there.
        let low = round_steps_around(smallest * 0.6).0;
        let high = round_steps_around(largest).1;
        let fine = high / low <= 300.0;
        let ticks = (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| (digit, digit * 10_f64.powi(decade))))
            .filter(|(digit, tick)| (fine || *digit == 1.0) && *tick >= low * 0.999_999 && *tick <= high * 1.000_001)
            .map(|(_, tick)| tick)
            .collect();
        Scale { low, high, log: true, ticks }
    }

    /// Round values along the axis.
    pub fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// Place of a value, 0 to 1; values beyond the ends stand at the ends.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// Place of a value in a plot with this axis along x.
    pub fn x(&self, plot: Rect, value: f64) -> f64 {
        plot.x0 + plot.width() * self.share(value)
    }

    /// Place of a value in a plot with this axis along y.
    pub fn y(&self, plot: Rect, value: f64) -> f64 {
        plot.y1 - plot.height() * self.share(value)
    }

    /// `unit`, and that the axis is logarithmic where it is.
    pub fn title(&self, unit: &str) -> String {
        if self.log { format!("{unit}, log scale") } else { unit.to_owned() }
    }
}

/// A tick as text.
pub fn tick_label(value: f64) -> String {
    let trimmed = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value {
        value if value >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        value if value >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        value => trimmed(value),
    }
}

/// The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 2.5, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// The nearest of 1, 2 and 5 times powers of ten at or below, and at or above, `value`.
fn round_steps_around(value: f64) -> (f64, f64) {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let below = steps.iter().copied().filter(|step| *step <= value * 1.000_001).fold(power, f64::max);
    let above = steps.into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(10.0 * power);
    (below, above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_range_is_linear_from_zero_with_round_ticks() {
        let scale = Scale::automatic([480.0, 500.0]);
        assert!(!scale.log);
        assert_eq!(scale.ticks(), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!((scale.share(0.0), scale.share(500.0)), (0.0, 1.0));
    }

    #[test]
    fn a_wide_range_is_logarithmic_and_holds_every_value() {
        let scale = Scale::automatic([0.7, 3_100.0]);
        assert!(scale.log);
        assert!(scale.share(0.7) > 0.0 && scale.share(3_100.0) < 1.0);
        assert!((scale.share(10.0) - scale.share(1.0) - (scale.share(100.0) - scale.share(10.0))).abs() < 1e-9);
    }

    #[test]
    fn nothing_zero_and_not_a_number_still_make_an_axis() {
        for values in [vec![], vec![0.0], vec![f64::NAN], vec![f64::INFINITY]] {
            let scale = Scale::automatic(values);
            assert!(scale.ticks().len() >= 2);
            assert!(scale.share(0.5).is_finite());
        }
        assert!(Scale::automatic([1.0, 1e6]).share(0.0).is_finite());
    }

    #[test]
    fn ticks_read_short() {
        assert_eq!([0.05, 2.5, 1000.0, 25_000.0, 1.5e6].map(tick_label), ["0.05", "2.5", "1000", "25k", "1.5M"]);
    }
}
