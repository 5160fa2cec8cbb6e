//! What a run says on standard error while it runs under a matrix, and a matrix under a host's agent: one JSON object a line.

use serde::{Deserialize, Serialize};

/// Environment variable that asks a run or a matrix for these lines.
pub const PROGRESS_VARIABLE: &str = "QBENCH_PROGRESS";
/// Its value.
pub const PROGRESS_JSON: &str = "json";

/// How far the present phase has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressLine {
    /// `setup`, `warmup`, `measured` or `drain`.
    pub phase: String,
    /// Seconds since the phase began.
    pub done_s: f64,
    /// Seconds that it will take; 0 where that is not known.
    pub total_s: f64,
    /// Anything worth a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How far a matrix has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixLine {
    /// Runs that have ended.
    pub runs_done: usize,
    /// Runs to make.
    pub runs: usize,
    /// Seconds that the rest will take, as far as is known.
    pub left_s: f64,
    /// The present run and its phase; nothing between two.
    pub present: String,
}
