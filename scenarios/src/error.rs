//! Refusals: where the value stood, what is wrong with it, what to do.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why data did not become a plan. Every one of them is the user's to fix before anything runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A scenario file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not TOML, or its shape is not that of a scenario, profile or settings file.
    #[error("{path}{}: {problem}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Shape {
        /// The file.
        path: String,
        /// Line of the trouble, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, with the nearest known name where a name is unknown.
        problem: String,
    },
    /// A key that nobody knows.
    #[error("{place}: unknown setting `{key}`{hint}")]
    UnknownKey {
        /// File, `environment` or `command line`.
        place: String,
        /// The key as it was written.
        key: String,
        /// The nearest known name, as the end of the sentence.
        hint: String,
    },
    /// A value that cannot be.
    #[error("{place}: {problem}")]
    Value {
        /// The key and its value as they were written.
        place: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A scenario or profile that does not exist.
    #[error("unknown {what} `{name}`{hint}")]
    UnknownName {
        /// `scenario` or `profile`.
        what: &'static str,
        /// The name as it was written.
        name: String,
        /// The nearest known name and all that exist, as the end of the sentence.
        hint: String,
    },
    /// Values that are possible one by one and not together.
    #[error("{0}")]
    Together(String),
    /// More load than the workers can carry (METHODOLOGY L5), and no permission for it.
    #[error("{0}")]
    Overload(String),
}

impl Error {
    /// [`Error::Value`].
    pub(crate) fn value(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Value { place: place.into(), problem: problem.into() }
    }
}
