//! What can go wrong with private servers and guarded children.

use std::io;

/// An error of this module: what was attempted, on what, what the system said, what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server program is missing or too old. One sentence: found, needed, and how to get it.
    #[error("{0}")]
    Programs(String),
    /// The user asked for a setting or place that cannot be used.
    #[error("{0}")]
    Config(String),
    /// A given server is in use by another run.
    #[error("{0}")]
    Busy(String),
    /// The system refused something.
    #[error("cannot {attempted}: {source}")]
    System {
        /// What was attempted and on what, fit to follow "cannot".
        attempted: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server or its preparation ended, or never answered.
    #[error("{what}; the last lines of its log:\n{log}")]
    Server {
        /// What happened to which program.
        what: String,
        /// The end of its own log, several lines.
        log: String,
    },
    /// A server answered with an error of its own.
    #[error("cannot {attempted}: {message}")]
    Refused {
        /// What was attempted and on what, fit to follow "cannot".
        attempted: String,
        /// What the server said.
        message: String,
    },
}

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: a refusal of the system while `attempted`.
    pub(crate) fn system(attempted: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let attempted = attempted.into();
        move |source| Error::System { attempted, source }
    }
}
