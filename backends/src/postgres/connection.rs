//! One connection that bounds every round trip and reconnects by itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Either, Executor, PgConnection, SqlStr};
use tokio::time::timeout;

use super::failure;
use super::settings::{Role, Settings};
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

/// A physical connection to the server of a [`Settings`].
///
/// The connection is out of its place while a statement runs. So it is closed, not reused half way through an answer,
/// when the statement fails, takes too long, or its caller is dropped; the next call then connects anew.
pub(super) struct Link {
    settings: Arc<Settings>,
    role: Role,
    connection: Option<PgConnection>,
    counters: ClientCounters,
}

impl Link {
    /// Connects now.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Connect`].
    pub(super) async fn open(settings: &Arc<Settings>, role: Role) -> Result<Self> {
        let counters = settings.counters(role);
        let mut link = Link { settings: Arc::clone(settings), role, connection: None, counters };
        link.connection = Some(link.connect().await?);
        Ok(link)
    }

    /// True while there is a connection that, for all we know, works.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Closes the connection; the server rolls back what was open on it.
    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Runs one prepared statement within the configured timeout, hands every row to `each`, and returns how many rows
    /// were returned or changed. `what` names the operation in errors.
    ///
    /// # Errors
    /// As [`failure`] judges them.
    pub(super) async fn run(
        &mut self,
        what: &'static str,
        statement: &SqlStr,
        arguments: PgArguments,
        each: impl FnMut(&PgRow) -> Result<(), sqlx::Error> + Send,
    ) -> Result<u64> {
        self.run_within(self.settings.timeout, what, statement, arguments, each).await
    }

    /// [`Link::run`] with a limit of its own.
    pub(super) async fn run_within(
        &mut self,
        limit: Duration,
        what: &'static str,
        statement: &SqlStr,
        arguments: PgArguments,
        mut each: impl FnMut(&PgRow) -> Result<(), sqlx::Error> + Send,
    ) -> Result<u64> {
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, async {
            let mut steps = connection.fetch_many(sqlx::query_with(statement.clone(), arguments));
            let mut affected = 0;
            while let Some(step) = steps.try_next().await? {
                match step {
                    Either::Left(done) => affected += done.rows_affected(),
                    Either::Right(row) => each(&row)?,
                }
            }
            Ok(affected)
        })
        .await;
        self.settle(limit, what, connection, answer)
    }

    /// Runs unprepared statements as one transaction, unless the text says otherwise, within `limit`.
    pub(super) async fn run_script(&mut self, limit: Duration, what: &'static str, text: String) -> Result<()> {
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, connection.execute(sqlx::raw_sql(AssertSqlSafe(text)))).await;
        self.settle(limit, what, connection, answer).map(|_| ())
    }

    /// Runs one short command without parameters, such as COMMIT.
    pub(super) async fn command(&mut self, what: &'static str, text: &'static str) -> Result<()> {
        let limit = self.settings.timeout;
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, connection.execute(sqlx::raw_sql(text))).await;
        self.settle(limit, what, connection, answer).map(|_| ())
    }

    /// Keeps the connection if it can go on, and judges what came.
    fn settle<T>(
        &mut self,
        limit: Duration,
        what: &'static str,
        connection: PgConnection,
        answer: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        match answer {
            Ok(Ok(value)) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Ok(Err(error)) => {
                let failure = failure::of_operation(self.context(what), &error);
                if !failure.connection_lost {
                    self.connection = Some(connection);
                }
                Err(failure.error)
            }
            Err(_) => Err(failure::of_timeout(self.context(what), limit)),
        }
    }

    /// An error of our own about an operation on this queue.
    pub(super) fn error(&self, kind: crate::error::ErrorKind, what: &str, message: impl Into<String>) -> Error {
        Error::new(kind, self.context(what), message)
    }

    fn context(&self, what: &str) -> String {
        format!("{what} in schema {} at {}", self.settings.namespace.quoted(), self.settings.place())
    }

    /// The connection for one request, which is counted.
    async fn take_or_connect(&mut self) -> Result<PgConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.counters.add_request();
        Ok(connection)
    }

    async fn connect(&self) -> Result<PgConnection> {
        let session = self.settings.session(self.role);
        match timeout(self.settings.timeout, session.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failure::of_connecting(self.settings.place(), &error)),
            Err(_) => Err(failure::of_connecting_timeout(self.settings.place(), self.settings.timeout)),
        }
    }
}
