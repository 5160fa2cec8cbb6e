//! What keeps a matrix from starting or going on. A run that fails is not among it: that is a row of the result.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the matrix as a whole did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to run.
    #[error("no runs: give at least one backend and one scenario")]
    Empty,
    /// Two cells would write the same files.
    #[error("two runs would write the files {run}_*: name every backend and scenario once")]
    Twice {
        /// Common start of their file names.
        run: String,
    },
    /// The folder holds results and nobody said what to do with them.
    #[error(
        "{} already holds files of {run}, and recordings are never overwritten: use --resume to run only what is missing, \
         or choose another --out",
        dir.display()
    )]
    Occupied {
        /// The folder of the run.
        dir: PathBuf,
        /// The run.
        run: String,
    },
    /// The folder holds results, and not what they were made with.
    #[error(
        "cannot resume in {}: it holds results and no matrix.json, so nobody knows whether they were made with the same \
         configuration: choose another --out",
        dir.display()
    )]
    Unknown {
        /// The output folder.
        dir: PathBuf,
    },
    /// The folder's results were made with something else.
    #[error(
        "{} holds a matrix that was started with another configuration ({}), and results of both could not be told apart: give \
         the same settings, or choose another --out",
        dir.display(),
        differences.join("; ")
    )]
    Changed {
        /// The output folder.
        dir: PathBuf,
        /// Each setting that differs, with both values.
        differences: Vec<String>,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run broke, and what became of it could not be written down.
    #[error("{reason}; and {} cannot be written: {source}", path.display())]
    Unsettled {
        /// Why the run broke.
        reason: String,
        /// Its result file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `matrix.json` is not what this program writes.
    #[error("{} is damaged ({source}): remove it and choose another --out for new results", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The program that carries out a run could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals could not be watched.
    #[error("cannot watch for Ctrl-C: {0}")]
    Signals(std::io::Error),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { what, path, source }
    }
}

impl Error {
    /// Whether the user asked for something that cannot be: another request is needed, not another attempt.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Error::Empty | Error::Twice { .. } | Error::Occupied { .. } | Error::Unknown { .. } | Error::Changed { .. }
        )
    }
}
