//! What somebody wanted to know before the runs.

use serde::{Deserialize, Serialize};

use crate::comparison::ComparisonRow;

/// A question, and which ratio answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What the data say to a question: an entry of `answers.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// Its ratios; empty where none of the runs that it asks for is there.
    pub rows: Vec<ComparisonRow>,
}
