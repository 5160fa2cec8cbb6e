//! What several runs allow to be said. No printing here.

mod paired;

pub use paired::{FEWEST_BLOCKS, RatioInterval, paired_ratio};
