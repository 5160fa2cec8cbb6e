//! What several runs allow to be said (METHODOLOGY S1 to S10). No printing here.
//!
//! Reading order: [`paired`](paired_ratio) (a ratio and its interval), [`sign_flip()`] (the test), [`holm()`] (several tests at once),
//! [`power`](detectable_effect) (what so few blocks can show at all), [`verdict`](judge) (the words), [`steadiness`] (one run in itself).

mod cell;
mod holm;
mod paired;
mod power;
mod sign_flip;
#[cfg(test)]
mod simulation;
mod slope;
mod spread;
mod steady;
mod student;
mod unpaired;
mod verdict;

pub use cell::{CellInterval, cell_interval};
pub use holm::{Step, holm};
pub use paired::{FEWEST_BLOCKS, RatioInterval, log_ratios, paired_ratio, ratio_interval};
pub use power::detectable_effect;
pub use sign_flip::{sign_flip, smallest_p};
pub use slope::{Slope, slope};
pub use spread::{Spread, spread};
pub use steady::{Steadiness, steadiness};
pub use unpaired::{permutation, smallest_p_unpaired, unpaired_ratio};
pub use verdict::{CONFIDENCE, Direction, Judged, LEVEL, Observed, judge};
