//! What an error of the server or of the driver means to the harness.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{Error, ErrorKind};

/// An operation that failed, and whether its connection can go on.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) connection_lost: bool,
}

/// Judges an error of an operation that may have reached the server. `context` says what was attempted and on what.
pub(super) fn of_operation(context: String, error: &sqlx::Error) -> Failure {
    if let sqlx::Error::Database(refusal) = error {
        let refusal = refusal.downcast_ref::<PgDatabaseError>();
        let kind = kind_of_code(refusal.code());
        // After FATAL the server closes the connection. Whether it did the work before is only told by the code.
        let fatal = matches!(refusal.severity(), PgSeverity::Fatal | PgSeverity::Panic);
        return Failure {
            error: Error::new(kind, context, words_of(refusal)).with_code(refusal.code()),
            connection_lost: fatal || kind == ErrorKind::Unknown,
        };
    }
    let (kind, words) = match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Unknown, format!("the connection broke before the answer came: {error}"))
        }
        _ => (ErrorKind::Server, format!("the driver could not make sense of the answer: {error}")),
    };
    // What is left of the answer may still be on its way, so such a connection is never used again.
    Failure { error: Error::new(kind, context, words), connection_lost: true }
}

/// An operation that got no answer in time.
pub(super) fn of_timeout(context: String, limit: Duration) -> Error {
    Error::new(ErrorKind::Unknown, context, format!("no answer within {limit:?}; the connection was given up"))
}

/// Judges an error of connecting.
pub(super) fn of_connecting(place: &str, error: &sqlx::Error) -> Error {
    let context = format!("connect to PostgreSQL at {place}");
    let connect = |words: String| Error::new(ErrorKind::Connect, context.clone(), words);
    match error {
        sqlx::Error::Database(refusal) => {
            let refusal = refusal.downcast_ref::<PgDatabaseError>();
            let advice = match refusal.code() {
                "28P01" | "28000" => {
                    "; check user and password (a password may also stand in PGPASSWORD) and pg_hba.conf"
                }
                "3D000" => "; create that database or name another one in the address",
                "53300" => "; raise max_connections or use fewer workers and producers",
                "57P03" => "; try again in a moment",
                _ => "",
            };
            connect(format!("{}{advice}", words_of(refusal))).with_code(refusal.code())
        }
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            connect(format!("{error}; is a server listening at this address?"))
        }
        sqlx::Error::Io(error) => connect(format!("{error}; check host and port")),
        sqlx::Error::Tls(error) => connect(format!("{error}; this program speaks no TLS: use sslmode=disable")),
        error => connect(error.to_string()),
    }
}

/// Connecting took too long.
pub(super) fn of_connecting_timeout(place: &str, limit: Duration) -> Error {
    Error::new(
        ErrorKind::Connect,
        format!("connect to PostgreSQL at {place}"),
        format!("no answer within {limit:?}; check host, port and firewall"),
    )
}

/// The kind of an operation's error by its SQLSTATE.
fn kind_of_code(code: &str) -> ErrorKind {
    match code {
        // Serialisation failure, deadlock, lock timeout, cancelled: the server took the whole statement back.
        "40001" | "40P01" | "55P03" | "57014" => ErrorKind::Rejected,
        // The server ends the session (shutdown, crash of a neighbour, pg_terminate_backend), perhaps right after the commit.
        "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::Unknown,
        // Connection exceptions, and a statement whose completion the server itself does not know.
        code if code.starts_with("08") || code == "40003" => ErrorKind::Unknown,
        // We drop without CASCADE, so whatever depends on our objects is somebody else's and keeps them.
        "2BP01" => ErrorKind::Foreign,
        _ => ErrorKind::Server,
    }
}

/// The server's words, with its detail and hint where it gave them, and ours where they help more.
fn words_of(refusal: &PgDatabaseError) -> String {
    let mut words = refusal.message().to_owned();
    // The hint on 2BP01 is to drop with CASCADE: not what we would advise about somebody else's objects.
    let hint = refusal.hint().filter(|_| refusal.code() != "2BP01");
    for more in [refusal.detail(), hint].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more.trim_end_matches('.'));
    }
    let advice = match refusal.code() {
        "2BP01" => {
            "; somebody else's objects depend on ours, so nothing was touched: drop them yourself if nobody needs them"
        }
        "42501" => "; grant the role this right or use another role",
        "42P01" | "3F000" => "; the queue does not exist: run setup first",
        "55P03" => "; another session holds the table: does another run use this schema?",
        "53100" => "; the server's disk is full",
        _ => "",
    };
    words.push_str(advice);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_became_of_the_statement() {
        for code in ["40001", "40P01", "55P03", "57014"] {
            assert_eq!(kind_of_code(code), ErrorKind::Rejected, "{code}");
        }
        for code in ["57P01", "08006", "40003"] {
            assert_eq!(kind_of_code(code), ErrorKind::Unknown, "{code}");
        }
        assert_eq!(kind_of_code("2BP01"), ErrorKind::Foreign);
        for code in ["23505", "42P01", "53100"] {
            assert_eq!(kind_of_code(code), ErrorKind::Server, "{code}");
        }
    }

    #[test]
    fn a_broken_connection_leaves_the_outcome_unknown() {
        let broken = sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionReset));
        let failure = of_operation("enqueue into \"q\"".to_owned(), &broken);
        assert_eq!(failure.error.kind(), ErrorKind::Unknown);
        assert!(failure.connection_lost);
    }

    #[test]
    fn a_refused_connection_says_where_and_what_to_try() {
        let refused = sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(
            of_connecting("postgres://ann:***@db/x", &refused).to_string(),
            "connect to PostgreSQL at postgres://ann:***@db/x: connection refused; is a server listening at this address?"
        );
    }
}
