//! What somebody wanted to know before the runs.

/// A question that was asked before the runs, and which ratios answer it.
#[derive(Debug, Clone)]
pub struct Question {
    /// The question.
    pub text: String,
    /// Figures of `comparison.csv`.
    pub figures: Vec<String>,
    /// Backends whose ratios to the reference are looked at.
    pub backends: Vec<String>,
    /// Scenarios in which they are.
    pub scenarios: Vec<String>,
    /// What the figures can tell of it, and what they cannot.
    pub because: String,
}
