//! Errors of backends: what was attempted, on what, what the system said, what to try.

use std::fmt;

use serde::Deserialize;

/// What kind of trouble it is; decides what the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The user asked for something impossible. Never retried.
    Config,
    /// The server cannot be reached or refuses us (address, credentials, version). Never retried during setup.
    Connect,
    /// Somebody else's object stands where ours should be. Nothing was touched.
    Foreign,
    /// The server refused this one statement and nothing happened (deadlock, serialisation, lock timeout). Retried.
    Rejected,
    /// No answer: the connection broke or the time ran out, so the statement may or may not have happened.
    Unknown,
    /// The server answered with something that it should not answer, or failed for good.
    Server,
    /// What we talked to has ended for good, before this was asked of it: nothing happened, and nothing will. Never retried.
    #[serde(skip)]
    Gone,
}

impl ErrorKind {
    /// Whether an operation that failed so certainly did nothing: it was never sent, or the server refused the whole of it. Only
    /// such an operation may be sent again without the danger of doing it twice, and only its jobs are known to be where they were.
    ///
    /// [`ErrorKind::Unknown`] did or did not happen. [`ErrorKind::Server`] stands for every answer that makes no sense, one that
    /// came after the work included.
    pub fn certainly_did_not_happen(self) -> bool {
        match self {
            ErrorKind::Config | ErrorKind::Connect | ErrorKind::Foreign | ErrorKind::Rejected | ErrorKind::Gone => true,
            ErrorKind::Unknown | ErrorKind::Server => false,
        }
    }

    /// The word used in error counts where the server gave no code.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Connect => "connect",
            ErrorKind::Foreign => "foreign",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Unknown => "unknown",
            ErrorKind::Server => "server",
            ErrorKind::Gone => "gone",
        }
    }
}

/// An error of one backend operation.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    /// What was attempted and on what, for instance `claim from "qbench"."jobs"`.
    context: String,
    /// What the system said, and what to try.
    message: String,
    /// SQLSTATE or the server's own error word.
    code: Option<String>,
}

/// Result of a backend operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` in `context` with the system's words.
    pub fn new(kind: ErrorKind, context: impl Into<String>, message: impl Into<String>) -> Self {
        Error { kind, context: context.into(), message: message.into(), code: None }
    }

    /// A configuration error; the message stands alone.
    pub fn config(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Config, "", message)
    }

    /// An operation whose answer did not come, and `why`.
    pub fn unknown(context: impl Into<String>, why: impl fmt::Display) -> Self {
        Error::new(ErrorKind::Unknown, context, format!("{why}, so it may or may not have happened"))
    }

    /// What a method answers while its backend is being written: the conformance suite then says which cases wait for it.
    pub fn not_written(method: &str) -> Self {
        Error::new(ErrorKind::Server, method, "not written yet")
    }

    /// Adds SQLSTATE or the server's own error word.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same trouble in an operation of which a part has happened: what became of the whole is not known.
    #[must_use]
    pub fn into_unknown(mut self) -> Self {
        self.kind = ErrorKind::Unknown;
        self
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Key under which the run counts this error: SQLSTATE where there is one, else the kind.
    pub fn count_key(&self) -> &str {
        self.code.as_deref().unwrap_or(self.kind.name())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.context.is_empty() {
            write!(f, "{}: ", self.context)?;
        }
        f.write_str(&self.message)?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
