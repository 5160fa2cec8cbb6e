//! What goes wrong on a connection, in the same words for both clients.

use std::fmt;
use std::io;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What went wrong between us and the server.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A value cannot be written into a message: nothing was sent.
    Unsendable(String),
    /// The server answered with an error.
    Refused(Refusal),
    /// There is no way to the server, or the connection ended.
    Broken(io::Error),
    /// The connection would have to be encrypted.
    Tls(String),
    /// Something came that the protocol does not allow at this point.
    Protocol(String),
    /// The answer is not made of what was asked for.
    Unreadable(String),
}

/// An error in the server's own words.
#[derive(Debug)]
pub(super) struct Refusal {
    /// SQLSTATE.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The server closes the connection after it.
    pub(super) ends_session: bool,
}

impl From<&PgDatabaseError> for Refusal {
    fn from(error: &PgDatabaseError) -> Self {
        Refusal {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            ends_session: matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic),
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refusal) => Trouble::Refused(refusal.downcast_ref::<PgDatabaseError>().into()),
            sqlx::Error::Io(error) => Trouble::Broken(error),
            sqlx::Error::Tls(error) => Trouble::Tls(error.to_string()),
            sqlx::Error::Protocol(words) => Trouble::Protocol(words),
            sqlx::Error::WorkerCrashed => Trouble::Protocol(error.to_string()),
            sqlx::Error::Encode(error) => Trouble::Unsendable(error.to_string()),
            error => Trouble::Unreadable(error.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused(refusal) => f.write_str(&refusal.message),
            Trouble::Broken(error) => write!(f, "{error}"),
            Trouble::Unsendable(words)
            | Trouble::Tls(words)
            | Trouble::Protocol(words)
            | Trouble::Unreadable(words) => f.write_str(words),
        }
    }
}
