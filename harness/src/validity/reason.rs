//! Why a result is not valid, and whose doing that is.

use qbench_schema::result::{Blame, Validity};

/// One reason against a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whose doing it is.
    pub blame: Blame,
    /// The sentence: what, the figure, the threshold.
    pub words: String,
}

impl Reason {
    /// A reason that is the doing of `blame`.
    pub fn new(blame: Blame, words: impl Into<String>) -> Self {
        Reason { blame, words: words.into() }
    }
}

/// What follows from `reasons`: a result without any is valid.
pub fn verdict(reasons: Vec<Reason>) -> Validity {
    Validity::of(reasons.into_iter().map(|reason| (reason.blame, reason.words)))
}
