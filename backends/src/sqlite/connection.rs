//! One connection to the file.

use std::sync::Arc;

use qbench_schema::sql;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Encode, SqlSafeStr, SqlStr, Sqlite, SqliteConnection, Type};
use tokio::time::timeout;

use super::failure::{of_opening, of_operation};
use super::settings::{Settings, Turn};
use crate::error::{Error, ErrorKind, Result};

/// A connection, opened anew on the next call after it broke or its caller was dropped.
pub(super) struct Link {
    settings: Arc<Settings>,
    connection: Option<SqliteConnection>,
}

impl Link {
    /// Opens the file now.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when there is none: the queue is not set up.
    pub(super) async fn open(settings: &Arc<Settings>) -> Result<Self> {
        let mut link = Link { settings: Arc::clone(settings), connection: None };
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
        self.settings.counters.add_request();
        let limit = self.settings.timeout;
        let context = || format!("{what} in {}", self.settings.place());
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
            Err(_) => Err(Error::unknown(context(), format!("no answer within {limit:?}"))),
        }
    }

    async fn connect(&self) -> Result<SqliteConnection> {
        self.settings.session().connect().await.map_err(|error| of_opening(&self.settings.place(), &error))
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
