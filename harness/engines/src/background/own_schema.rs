//! The schema that pgbench's tables live in. `pgbench -i` drops tables of its names wherever it finds them, and a user's
//! server may hold some.

use qbench_backends::ServerUrl;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::error::Error;
use super::libpq::SCHEMA;

/// Comment by which a schema of ours is known.
const MARK: &str = "made by qbench for its background load; dropped without asking";

/// Removes the schema with the tables that pgbench makes, and nothing else: what somebody built upon them (a view, a foreign
/// key) makes PostgreSQL refuse, and say what it is.
const REMOVE: &str = "DROP TABLE IF EXISTS qbench_background.pgbench_history, qbench_background.pgbench_accounts,
     qbench_background.pgbench_tellers, qbench_background.pgbench_branches;
 DROP SCHEMA qbench_background;";

/// How the schema stands on a server.
enum Standing {
    Absent,
    Ours,
    Foreign,
}

/// Makes the schema, empty, in place of an earlier one of ours.
pub(super) async fn make(url: &ServerUrl) -> Result<(), Error> {
    with_connection(url, async |connection| {
        let script = match standing(connection).await? {
            Standing::Absent => "",
            Standing::Ours => REMOVE,
            Standing::Foreign => return Ok(Err(Error::Foreign { server: url.redacted() })),
        };
        // One transaction: no schema of ours is ever seen without its mark.
        let script = format!("BEGIN; {script} CREATE SCHEMA {SCHEMA}; COMMENT ON SCHEMA {SCHEMA} IS '{MARK}'; COMMIT;");
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(connection).await?;
        Ok(Ok(()))
    })
    .await
    .map_err(database_error("make the schema of the background load", url))?
}

/// Drops the schema with its tables, if it is ours.
pub(super) async fn remove(url: &ServerUrl) -> Result<(), Error> {
    with_connection(url, async |connection| {
        if let Standing::Ours = standing(connection).await? {
            // Several statements in one message are one transaction.
            sqlx::raw_sql(REMOVE).execute(connection).await?;
        }
        Ok(())
    })
    .await
    .map_err(database_error("drop the schema of the background load", url))
}

async fn standing(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    let found: Option<(Option<String>,)> =
        sqlx::query_as("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1")
            .bind(SCHEMA)
            .fetch_optional(connection)
            .await?;
    Ok(match found {
        None => Standing::Absent,
        Some((Some(comment),)) if comment == MARK => Standing::Ours,
        Some(_) => Standing::Foreign,
    })
}

async fn with_connection<T>(
    url: &ServerUrl,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    let mut connection = options.application_name("qbench:background").disable_statement_logging().connect().await?;
    let result = work(&mut connection).await;
    // Nothing depends on a friendly good-bye.
    let _ = connection.close().await;
    result
}

fn database_error(attempted: &'static str, url: &ServerUrl) -> impl FnOnce(sqlx::Error) -> Error {
    let server = url.redacted();
    move |source| Error::Database { attempted, server, source }
}
