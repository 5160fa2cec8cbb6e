//! One connection to the file, and what its errors mean.

use std::sync::Arc;

use qbench_schema::sql;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Encode, SqlSafeStr, SqlStr, Sqlite, SqliteConnection, Type};
use tokio::time::timeout;

use super::store::{Store, Turn};
use crate::error::{Error, ErrorKind, Result};

/// A connection, opened anew on the next call after it broke or its caller was dropped.
pub(super) struct Link {
    store: Arc<Store>,
    connection: Option<SqliteConnection>,
}

impl Link {
    /// Opens the file now.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when there is none: the queue is not set up.
    pub(super) async fn open(store: &Arc<Store>) -> Result<Self> {
        let mut link = Link { store: Arc::clone(store), connection: None };
        link.connection = Some(link.connect().await?);
        Ok(link)
    }

    /// Runs one statement that writes, and returns its rows. `what` names the operation in errors.
    ///
    /// # Errors
    /// As [`of_operation`] judges them; [`ErrorKind::Unknown`] after the configured timeout.
    pub(super) async fn write(
        &mut self,
        _turn: &mut Turn,
        what: &str,
        statement: SqlStr,
        arguments: SqliteArguments,
    ) -> Result<Vec<SqliteRow>> {
        self.run(what, statement, arguments).await
    }

    /// Runs one statement that only reads, beside whoever writes.
    ///
    /// # Errors
    /// As [`Link::write`].
    pub(super) async fn read(&mut self, what: &str, statement: SqlStr) -> Result<Vec<SqliteRow>> {
        self.run(what, statement, SqliteArguments::default()).await
    }

    async fn run(&mut self, what: &str, statement: SqlStr, arguments: SqliteArguments) -> Result<Vec<SqliteRow>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.store.counters.add_request();
        let limit = self.store.timeout;
        let context = || format!("{what} in {}", self.store.place());
        match timeout(limit, sqlx::query_with(statement, arguments).fetch_all(&mut connection)).await {
            Ok(Ok(rows)) => {
                self.connection = Some(connection);
                Ok(rows)
            }
            Ok(Err(error)) => {
                let error = of_operation(context(), &error);
                if error.kind() != ErrorKind::Unknown {
                    self.connection = Some(connection);
                }
                Err(error)
            }
            Err(_) => {
                let message = format!("no answer within {limit:?}, so it may or may not have happened");
                Err(Error::new(ErrorKind::Unknown, context(), message))
            }
        }
    }

    async fn connect(&self) -> Result<SqliteConnection> {
        self.store.session().connect().await.map_err(|error| of_opening(&self.store.place(), &error))
    }
}

/// Statement `name` of the SQL file with its braces filled in. Nothing dynamic is in these texts but numbers and `(?, ?)`.
pub(super) fn statement(name: &str, braces: &[(&str, &str)]) -> SqlStr {
    let text = braces.iter().fold(sql::SQLITE.statement(name), |text, (brace, value)| text.replace(brace, value));
    // Shared, so that no call copies it.
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// Adds one value to the arguments of a statement.
///
/// # Errors
/// [`ErrorKind::Config`] when the driver cannot encode it.
pub(super) fn bind<'v>(arguments: &mut SqliteArguments, value: impl Encode<'v, Sqlite> + Type<Sqlite>) -> Result<()> {
    arguments
        .add(value)
        .map_err(|error| Error::new(ErrorKind::Config, "bind the arguments of a statement", error.to_string()))
}

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
