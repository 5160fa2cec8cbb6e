//! What trouble with the server means to the harness.

use std::io;
use std::time::Duration;

use super::trouble::{Refusal, Trouble};
use crate::error::{Error, ErrorKind};

/// An operation that failed, and whether its connection can go on.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) connection_lost: bool,
}

/// Judges the trouble of an operation that may have reached the server. `context` says what was attempted and on what.
pub(super) fn of_operation(context: String, trouble: &Trouble) -> Failure {
    let (kind, words) = match trouble {
        Trouble::Refused(refusal) => {
            let kind = kind_of_code(&refusal.code);
            return Failure {
                error: Error::new(kind, context, words_of(refusal)).with_code(&refusal.code),
                // Whether the server did the work before it ended the session is only told by the code.
                connection_lost: refusal.ends_session || kind == ErrorKind::Unknown,
            };
        }
        Trouble::Unsendable(words) => {
            let words = format!("{words}; nothing was sent: use smaller batches or payloads");
            return Failure { error: Error::new(ErrorKind::Config, context, words), connection_lost: false };
        }
        Trouble::Broken(_) | Trouble::Tls(_) | Trouble::Protocol(_) => {
            (ErrorKind::Unknown, format!("the connection broke before the answer came: {trouble}"))
        }
        Trouble::Unreadable(_) => {
            (ErrorKind::Server, format!("the answer of the server is not what was asked for: {trouble}"))
        }
    };
    // What is left of the answer may still be on its way, so such a connection is never used again.
    Failure { error: Error::new(kind, context, words), connection_lost: true }
}

/// An operation that got no answer in time.
pub(super) fn of_timeout(context: String, limit: Duration) -> Error {
    Error::new(ErrorKind::Unknown, context, format!("no answer within {limit:?}; the connection was given up"))
}

/// Judges the trouble of connecting.
pub(super) fn of_connecting(place: &str, trouble: &Trouble) -> Error {
    let context = format!("connect to PostgreSQL at {place}");
    let connect = |words: String| Error::new(ErrorKind::Connect, context.clone(), words);
    match trouble {
        Trouble::Refused(refusal) => {
            let advice = match refusal.code.as_str() {
                "28P01" | "28000" => {
                    "; check user and password (a password may also stand in PGPASSWORD) and pg_hba.conf"
                }
                "3D000" => "; create that database or name another one in the address",
                "53300" => "; raise max_connections or use fewer workers and producers",
                "57P03" => "; try again in a moment",
                _ => "",
            };
            connect(format!("{}{advice}", words_of(refusal))).with_code(&refusal.code)
        }
        Trouble::Broken(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            connect(format!("{error}; is a server listening at this address?"))
        }
        Trouble::Broken(error) => connect(format!("{error}; check host and port")),
        Trouble::Tls(words) => connect(format!("{words}; this program speaks no TLS: use sslmode=disable")),
        Trouble::Unsendable(_) | Trouble::Protocol(_) | Trouble::Unreadable(_) => connect(trouble.to_string()),
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
fn words_of(refusal: &Refusal) -> String {
    let mut words = refusal.message.clone();
    // The hint on 2BP01 is to drop with CASCADE: not what we would advise about somebody else's objects.
    let hint = refusal.hint.as_deref().filter(|_| refusal.code != "2BP01");
    for more in [refusal.detail.as_deref(), hint].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more.trim_end_matches('.'));
    }
    let advice = match refusal.code.as_str() {
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
        let broken = Trouble::Broken(io::Error::from(io::ErrorKind::ConnectionReset));
        let failure = of_operation("enqueue into \"q\"".to_owned(), &broken);
        assert_eq!(failure.error.kind(), ErrorKind::Unknown);
        assert!(failure.connection_lost);
    }

    #[test]
    fn a_refused_connection_says_where_and_what_to_try() {
        let refused = Trouble::Broken(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(
            of_connecting("postgres://ann:***@db/x", &refused).to_string(),
            "connect to PostgreSQL at postgres://ann:***@db/x: connection refused; is a server listening at this address?"
        );
    }
}
