//! How one figure grows with another, block by block.

use super::paired::FEWEST_BLOCKS;
use super::student;

/// A straight line through the runs of each block, and what the blocks say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Blocks that have a line.
    pub blocks: usize,
    /// Points that the lines are made of.
    pub points: usize,
    /// Growth per unit: the mean over the blocks.
    pub slope: f64,
    /// Where the lines begin: the mean over the blocks.
    pub at_zero: f64,
    /// Both ends of the interval that holds the slope; `None` below [`FEWEST_BLOCKS`] blocks.
    pub interval: Option<(f64, f64)>,
}

/// The least-squares line of each block's points, and Student's interval at `confidence` over their slopes: the block is the unit
/// (METHODOLOGY S3). A block whose points all lie at one place has no line. `None` where no block has one.
pub fn slope(blocks: &[Vec<(f64, f64)>], confidence: f64) -> Option<Slope> {
    let lines: Vec<(f64, f64, usize)> = blocks.iter().filter_map(|points| line(points)).collect();
    if lines.is_empty() {
        return None;
    }
    let mean = |of: fn(&(f64, f64, usize)) -> f64| lines.iter().map(of).sum::<f64>() / lines.len() as f64;
    let slopes: Vec<f64> = lines.iter().map(|(slope, ..)| *slope).collect();
    let interval = student::interval(&slopes, confidence).filter(|_| lines.len() >= FEWEST_BLOCKS);
    Some(Slope {
        blocks: lines.len(),
        points: lines.iter().map(|(.., points)| points).sum(),
        slope: mean(|(slope, ..)| *slope),
        at_zero: mean(|(_, at_zero, _)| *at_zero),
        interval: interval.map(|(mean, half)| (mean - half, mean + half)),
    })
}

/// Slope, beginning, and number of the points.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64, usize)> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    // Nothing at all without points, or with all of them at one place.
    (spread > 0.0).then(|| (together / spread, mean_y - together / spread * mean_x, points.len()))
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// Anscombe's first quartet (*Graphs in Statistical Analysis*, The American Statistician 27, 1973): y = 3.00 + 0.500 x.
    #[test]
    fn anscombe_s_line_is_found() {
        let x = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
        let y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
        let found = slope(&[x.into_iter().zip(y).collect()], 0.95).unwrap();
        assert!((found.slope - 0.500_1).abs() < 1e-4 && (found.at_zero - 3.000_1).abs() < 1e-4, "{found:?}");
        assert_eq!((found.blocks, found.points, found.interval), (1, 11, None), "one block has no interval");
    }

    #[test]
    fn the_interval_is_that_of_the_blocks_slopes() {
        let block = |slope: f64| vec![(0.0, 10.0), (1.0, 10.0 + slope), (2.0, 10.0 + 2.0 * slope)];
        let found = slope(&[block(2.0), block(3.0), block(4.0), vec![(1.0, 5.0), (1.0, 9.0)]], 0.95).unwrap();
        assert_eq!((found.blocks, found.points), (3, 9), "a block at one place has no line");
        let (low, high) = found.interval.unwrap();
        // Mean 3, standard error 1 / sqrt(3), Student's quantile for 2 degrees 4.302653.
        let half = 4.302_653 / 3.0_f64.sqrt();
        assert!((found.slope - 3.0).abs() < 1e-9 && (found.at_zero - 10.0).abs() < 1e-9, "{found:?}");
        assert!((low - (3.0 - half)).abs() < 1e-5 && (high - (3.0 + half)).abs() < 1e-5, "{low} {high}");
        assert_eq!(slope(&[vec![(1.0, 2.0)], vec![]], 0.95), None);
    }
}
