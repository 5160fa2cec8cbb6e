//! One connection that bounds every round trip and reconnects by itself, whichever client it is of.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, ConnectOptions, Either, Executor, PgConnection, SqlStr};
use tokio::time::timeout;

use super::arguments::Arguments;
use super::columns::Row;
use super::failure;
use super::session_options::Client;
use super::settings::{Role, Settings};
use super::trouble::Trouble;
use super::wire;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

/// A physical connection to the server of a [`Settings`].
///
/// The connection is out of its place while a statement runs. So it is closed, not reused half way through an answer,
/// when the statement fails, takes too long, or its caller is dropped; the next call then connects anew.
pub(super) struct Link {
    settings: Arc<Settings>,
    role: Role,
    connection: Option<Connection>,
    counters: ClientCounters,
}

/// A connection of one client or the other, small enough to be moved in and out of its place.
enum Connection {
    Thin(Box<wire::Connection>),
    Sqlx(PgConnection),
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

    /// Connects for the claims of a worker, and for its acks.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Connect`].
    pub(super) async fn two(settings: &Arc<Settings>) -> Result<(Self, Self)> {
        Ok((Link::open(settings, Role::Claimer).await?, Link::open(settings, Role::Consumer).await?))
    }

    /// The queue that it is for.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
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
        arguments: impl Arguments + Send,
        each: impl FnMut(&Row<'_>) -> Result<(), Trouble> + Send,
    ) -> Result<u64> {
        self.run_within(self.settings.timeout, what, statement, arguments, each).await
    }

    /// [`Link::run`] with a limit of its own.
    pub(super) async fn run_within(
        &mut self,
        limit: Duration,
        what: &'static str,
        statement: &SqlStr,
        arguments: impl Arguments + Send,
        mut each: impl FnMut(&Row<'_>) -> Result<(), Trouble> + Send,
    ) -> Result<u64> {
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, async {
            match &mut connection {
                Connection::Thin(thin) => thin.run(statement, arguments, |row| each(&Row::Wire(row))).await,
                Connection::Sqlx(sqlx) => run_with_sqlx(sqlx, statement, arguments, each).await,
            }
        })
        .await;
        self.settle(limit, what, connection, answer)
    }

    /// Runs unprepared statements as one transaction, unless the text says otherwise, within `limit`.
    pub(super) async fn run_script(&mut self, limit: Duration, what: &'static str, text: String) -> Result<()> {
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, async {
            match &mut connection {
                Connection::Thin(thin) => thin.command(&text).await,
                Connection::Sqlx(sqlx) => command_with_sqlx(sqlx, AssertSqlSafe(text)).await,
            }
        })
        .await;
        self.settle(limit, what, connection, answer)
    }

    /// Runs one short command without parameters, such as COMMIT.
    pub(super) async fn command(&mut self, what: &'static str, text: &'static str) -> Result<()> {
        let limit = self.settings.timeout;
        let mut connection = self.take_or_connect().await?;
        let answer = timeout(limit, async {
            match &mut connection {
                Connection::Thin(thin) => thin.command(text).await,
                Connection::Sqlx(sqlx) => command_with_sqlx(sqlx, text).await,
            }
        })
        .await;
        self.settle(limit, what, connection, answer)
    }

    /// Keeps the connection if it can go on, and judges what came.
    fn settle<T>(
        &mut self,
        limit: Duration,
        what: &'static str,
        connection: Connection,
        answer: Result<Result<T, Trouble>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        match answer {
            Ok(Ok(value)) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Ok(Err(trouble)) => {
                let failure = failure::of_operation(self.context(what), &trouble);
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
    async fn take_or_connect(&mut self) -> Result<Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.counters.add_request();
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection> {
        let session = self.settings.session(self.role);
        let connecting = async {
            Ok::<_, Trouble>(match self.settings.client(self.role) {
                Client::Thin => Connection::Thin(Box::new(wire::Connection::open(&session).await?)),
                Client::Sqlx => Connection::Sqlx(session.connect().await?),
            })
        };
        match timeout(self.settings.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(trouble)) => Err(failure::of_connecting(self.settings.place(), &trouble)),
            Err(_) => Err(failure::of_connecting_timeout(self.settings.place(), self.settings.timeout)),
        }
    }
}

async fn run_with_sqlx(
    connection: &mut PgConnection,
    statement: &SqlStr,
    arguments: impl Arguments + Send,
    mut each: impl FnMut(&Row<'_>) -> Result<(), Trouble> + Send,
) -> Result<u64, Trouble> {
    let arguments = arguments.for_sqlx().map_err(|error| Trouble::Unsendable(error.to_string()))?;
    let mut steps = connection.fetch_many(sqlx::query_with(statement.clone(), arguments));
    let mut affected = 0;
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(done) => affected += done.rows_affected(),
            Either::Right(row) => each(&Row::Sqlx(&row))?,
        }
    }
    Ok(affected)
}

async fn command_with_sqlx(connection: &mut PgConnection, text: impl sqlx::SqlSafeStr) -> Result<(), Trouble> {
    connection.execute(sqlx::raw_sql(text)).await?;
    Ok(())
}
