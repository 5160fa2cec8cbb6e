//! What an error of SQLite means to the harness.

use crate::error::{Error, ErrorKind};

/// The file could not be opened.
pub(super) fn of_opening(place: &str, error: &sqlx::Error) -> Error {
    let context = format!("open the database {place}");
    match result_code(error) {
        Some(code) => {
            let hint = if code == CANTOPEN { "; is the queue set up, and the directory there?" } else { "" };
            Error::new(ErrorKind::Connect, context, format!("{}{hint}", words_of(error))).with_code(name(code))
        }
        None => Error::new(ErrorKind::Connect, context, words_of(error)),
    }
}

/// Judges an error of a statement.
pub(super) fn of_operation(context: String, error: &sqlx::Error) -> Error {
    let Some(code) = result_code(error) else {
        let kind = match error {
            // The driver's thread has gone; the statement may have been carried out before.
            sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => ErrorKind::Unknown,
            _ => ErrorKind::Server,
        };
        return Error::new(kind, context, words_of(error));
    };
    let (kind, hint) = match code {
        BUSY | LOCKED => (ErrorKind::Rejected, "; another program has this file open and writes to it"),
        FULL => (ErrorKind::Rejected, "; QBENCH_TMPDIR names another place for the file"),
        IOERR => (ErrorKind::Unknown, "; the system could not read or write the file"),
        ERROR if error.to_string().contains("no such table") => {
            (ErrorKind::Server, "; the queue is not set up, or was removed meanwhile")
        }
        _ => (ErrorKind::Server, ""),
    };
    Error::new(kind, context, format!("{}{hint}", words_of(error))).with_code(name(code))
}

// Primary result codes, https://www.sqlite.org/rescode.html
const ERROR: u32 = 1;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const IOERR: u32 = 10;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
pub(super) const NOTADB: u32 = 26;

/// SQLite's primary result code, where it is SQLite that complains. The extended one has it in its lowest byte.
pub(super) fn result_code(error: &sqlx::Error) -> Option<u32> {
    Some(error.as_database_error()?.code()?.parse::<u32>().ok()? & 0xff)
}

/// The key under which a result code is counted.
fn name(code: u32) -> String {
    let known = match code {
        ERROR => "ERROR",
        BUSY => "BUSY",
        LOCKED => "LOCKED",
        IOERR => "IOERR",
        FULL => "FULL",
        CANTOPEN => "CANTOPEN",
        NOTADB => "NOTADB",
        other => return format!("SQLITE_{other}"),
    };
    format!("SQLITE_{known}")
}

fn words_of(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(refusal) => format!("SQLite says: {}", refusal.message()),
        None => error.to_string(),
    }
}
