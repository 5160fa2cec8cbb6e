//! `analysis/comparison.csv`: a row per figure and pair of cells, and what `qbench compare --json` prints.

use serde::{Deserialize, Serialize};

/// The word for a comparison. "Faster" and "slower" also stand for cheaper and dearer: better and worse in the figure's own direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Certainly better than the reference.
    Faster,
    /// Certainly worse.
    Slower,
    /// Within what counts as no difference.
    Same,
    /// These runs do not tell.
    Undecided,
    /// Must not be compared, or too few runs for any word.
    Refused,
}

/// One figure of one cell against the same of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// Name of the figure as in `summary.csv`.
    pub figure: String,
    /// The cell's backend.
    pub backend: String,
    /// Its scenario.
    pub scenario: String,
    /// What tells it from other cells of its backend and scenario; empty where nothing must.
    pub variant: String,
    /// What it is compared with: the reference's backend, or the other result set's name.
    pub reference: String,
    /// Blocks that both have; of unpaired sets, runs of the smaller one.
    pub n: usize,
    /// Whether blocks paired.
    pub paired: bool,
    /// The cell over its reference, geometric mean; empty where there is none.
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval; empty below three blocks.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Two-sided p of the exact sign-flip test; of unpaired sets, of the exact permutation of runs.
    pub p: Option<f64>,
    /// The smallest p that so many blocks can have.
    pub p_smallest: Option<f64>,
    /// The word.
    pub verdict: Verdict,
    /// Why it is refused or undecided.
    pub reason: String,
    /// `p` for the family of all comparisons of this figure in this scenario, after Holm.
    pub p_adjusted: Option<f64>,
    /// The smallest true ratio above 1 that blocks that scatter like these would find in four of five studies.
    pub detectable_ratio: Option<f64>,
    /// The cell's figure as in `summary.csv`.
    pub value: Option<f64>,
    /// The reference's.
    pub reference_value: Option<f64>,
    /// What counts as no difference: a share to either side, 0.05 for ratios from 1/1.05 to 1.05.
    #[serde(default = "default_same_within")]
    pub same_within: f64,
}

/// What counts as no difference where nobody says otherwise: 5 % to either side.
pub const SAME_WITHIN: f64 = 0.05;

fn default_same_within() -> f64 {
    SAME_WITHIN
}

/// `5 %`, for a share like [`ComparisonRow::same_within`].
pub fn percent(share: f64) -> String {
    format!("{} %", (share * 1e5).round() / 1e3)
}
