//! What somebody wanted to know before the runs.

use serde::Deserialize;

/// A question, and which ratio answers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Question {
    /// The question.
    pub text: String,
    /// Figures of `summary.csv` that answer it.
    pub figures: Vec<String>,
    /// Backends whose ratios are looked at.
    pub backends: Vec<String>,
    /// Scenarios in which they are.
    pub scenarios: Vec<String>,
    /// Scenario that each backend's own figure is divided by; without it the figure of the reference in the same scenario is.
    pub over: Option<String>,
    /// What the figures can tell of it, and what they cannot.
    pub because: String,
}
