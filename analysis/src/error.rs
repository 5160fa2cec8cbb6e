//! Errors that end an analysis, and problems that only cost it a file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Result of an analysis step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an analysis or a drawing could not be done at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input cannot be read or is not what it should be.
    #[error("cannot read {}: {reason}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What the system said, and what to try.
        reason: String,
    },
    /// Not one run could be read.
    #[error("there is nothing to analyze: {}", explain_nothing(looked_in, problems, hint))]
    NothingToAnalyze {
        /// Folders that were searched.
        looked_in: Vec<PathBuf>,
        /// Files that were found and could not be read.
        problems: Vec<Problem>,
        /// Folders below the searched ones that do hold runs.
        hint: Vec<PathBuf>,
    },
    /// Runs there are, and no job file.
    #[error("no run in {} has a job file (…_metrics.jsonl): they are the largest files, and often not copied with the others", looked_in.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoJobFiles {
        /// Folders that were searched.
        looked_in: Vec<PathBuf>,
    },
    /// What everything is to be compared with is not there.
    #[error("there is no run of {name} to compare with; there are runs of {}", known.join(", "))]
    Reference {
        /// The backend that was named.
        name: String,
        /// Those that have runs.
        known: Vec<String>,
    },
    /// An output cannot be written.
    #[error("cannot write {}: {source}; check that the folder exists, is writable and has space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A table could not be built or written.
    #[error("cannot build a table of the results: {0}")]
    Table(#[from] polars::error::PolarsError),
    /// Rows could not be written as JSON.
    #[error("cannot write the summary as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A chart could not be drawn.
    #[error("cannot draw the chart {chart}: {reason}")]
    Draw {
        /// Name of the chart.
        chart: &'static str,
        /// What the drawing library said.
        reason: String,
    },
}

/// A file that could not be used, or only in part. The analysis goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// One sentence: what is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Problem { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

fn explain_nothing(looked_in: &[PathBuf], problems: &[Problem], hint: &[PathBuf]) -> String {
    let join = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if !problems.is_empty() {
        let list: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        return format!("no run in {} can be read:{}", join(looked_in), list.concat());
    }
    if !hint.is_empty() {
        return format!("no *_result.json in {}; did you mean {}?", join(looked_in), join(hint));
    }
    format!("no *_result.json in {} or in rep-NN folders below; give the folder that a run wrote to", join(looked_in))
}
