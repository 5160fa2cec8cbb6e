//! What goes wrong with hosts, in one sentence each.

use std::path::Path;

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something with hosts did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// A host refused, or is not as it must be. Another attempt does not help.
    #[error("{host}: {problem}")]
    Host {
        /// Its name in `hosts.toml`.
        host: String,
        /// What is the matter, and what to do.
        problem: String,
    },
    /// The connection to a host could not be made, or broke. It may work again in a moment.
    #[error("{host}: no connection ({problem})")]
    Lost {
        /// Its name in `hosts.toml`.
        host: String,
        /// What ssh said.
        problem: String,
    },
    /// A file or folder here could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err` on file operations here.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.display().to_string();
        move |source| Error::File { what, path, source }
    }

    /// Whether another request is needed, and not another attempt.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Usage(_))
    }
}
