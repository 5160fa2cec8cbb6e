//! The connection of the monitors, and what all their questions have in common.

use qbench_backends::ServerUrl;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::monitor::server::{CLIENT_NAME, CONNECT_LIMIT};

/// Name under which the sessions of the background load show in `pg_stat_activity`.
pub(crate) const BACKGROUND_NAME: &str = "qbench:pgbench";

/// Limits of the server on our statements. They read table sizes, which waits for whoever holds a table exclusively.
const SERVER_LIMITS: [(&str, &str); 2] = [("statement_timeout", "900ms"), ("lock_timeout", "500ms")];

/// A connection, and the question that is asked over it.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) statement: String,
}

/// Connects to the server at `url`; `statement` makes the question for its version (`server_version_num`).
pub(super) async fn connect(url: &ServerUrl, statement: fn(u32) -> String) -> Result<Session, String> {
    let options: PgConnectOptions = url.expose().parse().map_err(|error: sqlx::Error| error.to_string())?;
    let options = options.application_name(CLIENT_NAME).options(SERVER_LIMITS).disable_statement_logging();
    let connection = tokio::time::timeout(CONNECT_LIMIT, options.connect())
        .await
        .map_err(|_| format!("no answer within {CONNECT_LIMIT:?}"))?
        .map_err(|error| error.to_string())?;
    let version = connection.server_version_num().ok_or("the server did not tell its version")?;
    Ok(Session { connection, statement: statement(version) })
}

/// Where a server of `version` counts the flushes of its WAL.
pub(super) fn wal_syncs(version: u32) -> &'static str {
    match version {
        180_000.. => "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'",
        _ => "SELECT wal_sync FROM pg_stat_wal",
    }
}

/// Where a server of `version` counts its checkpoints.
pub(super) fn checkpoints(version: u32) -> &'static str {
    match version {
        170_000.. => "SELECT num_timed + num_requested FROM pg_stat_checkpointer",
        _ => "SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter",
    }
}

/// Common table expressions that end in `ours`: the tables named in `$1`. A partitioned table holds nothing itself, so it is
/// replaced by its partitions.
pub(super) const TABLES_OF_OURS: &str = "named AS (SELECT to_regclass(name) AS oid FROM unnest($1::text[]) AS name),
         ours AS MATERIALIZED (
             SELECT DISTINCT c.oid
             FROM named
             LEFT JOIN LATERAL pg_partition_tree(named.oid) AS tree ON true
             JOIN pg_class AS c ON c.oid = coalesce(tree.relid, named.oid)
             WHERE c.relkind IN ('r', 'm'))";
