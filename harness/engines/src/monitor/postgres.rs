//! `<run>_db_stats.csv`: PostgreSQL about itself, a row per tick, in one round trip over a connection of its own.
//!
//! The statistics views differ between the versions 15 to 18, so the statement is put together for the server at hand.
//! A busy backend hands its counters to the views once a second, an idle one within ten seconds or when it ends, so the
//! rows lag by as much.

use std::time::Duration;

use qbench_backends::ServerUrl;
use qbench_schema::files::RunFiles;
use qbench_schema::server_stats::DbStatsRow;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::book::RoleBook;
use super::counters::Counters;
use super::depth::DepthProbe;
use super::notes::Notes;
use super::rows::RowFile;
use super::ticks::Ticks;
use crate::background::APPLICATION_NAME as BACKGROUND_NAME;
use qbench_ground::clock::RunClock;

/// Name under which the monitor's connection shows in `pg_stat_activity`.
const APPLICATION_NAME: &str = "qbench:monitor";

/// Limits of the server on our statement. It reads table sizes, which waits for whoever holds a table exclusively.
const SERVER_LIMITS: [(&str, &str); 2] = [("statement_timeout", "900ms"), ("lock_timeout", "500ms")];

/// Longest wait for one sample, for a server that does not answer at all.
pub(super) const SAMPLE_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Samples a PostgreSQL server.
pub(crate) struct PostgresMonitor {
    clock: RunClock,
    url: ServerUrl,
    objects: Vec<String>,
    depth: DepthProbe,
    book: RoleBook,
    notes: Notes,
    file: RowFile,
    session: Option<Session>,
    counters: Counters,
    deadlocks: Option<u64>,
}

/// A connection, and the question that is asked over it.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) statement: String,
}

impl PostgresMonitor {
    /// Creates the file; the first sample connects. `objects` are the qualified names of the tables to watch. The sessions
    /// of the background load are found here and told to `book`.
    pub(crate) fn new(
        clock: RunClock,
        url: ServerUrl,
        objects: Vec<String>,
        depth: DepthProbe,
        book: RoleBook,
        files: &RunFiles,
        notes: &Notes,
    ) -> Self {
        PostgresMonitor {
            clock,
            url,
            objects,
            depth,
            book,
            notes: notes.clone(),
            file: RowFile::create(&files.db_stats(), notes),
            session: None,
            counters: Counters::default(),
            deadlocks: None,
        }
    }

    /// Writes a row now, one per tick, and a last one when the monitors are stopped. Returns the deadlocks that the
    /// server counted meanwhile; `None` when it never answered.
    pub(crate) async fn run(mut self, mut ticks: Ticks) -> Option<u64> {
        self.sample().await;
        while ticks.next().await {
            self.sample().await;
        }
        self.sample().await;
        if let Some(session) = self.session.take() {
            // Says good-bye, so that the server's log has no broken connection; nothing depends on it.
            let _ = tokio::time::timeout(SAMPLE_LIMIT, session.connection.close()).await;
        }
        self.deadlocks
    }

    async fn sample(&mut self) {
        if self.session.is_none() {
            match connect(&self.url, statement).await {
                Ok(session) => self.session = Some(session),
                Err(problem) => {
                    self.notes.add("connect the PostgreSQL monitor", format!("{}: {problem}", self.url));
                    return;
                }
            }
        }
        let Some(session) = &mut self.session else { return };
        let at_us = self.clock.now_us();
        let question = sqlx::query(AssertSqlSafe(session.statement.as_str()))
            .bind(&self.objects)
            .fetch_one(&mut session.connection);
        let (answer, depth) = tokio::join!(tokio::time::timeout(SAMPLE_LIMIT, question), self.depth.ask());
        let row = match answer {
            Ok(Ok(row)) => row,
            Ok(Err(error)) => {
                self.notes.add("sample PostgreSQL's statistics, the row is left out", &error);
                // A server's refusal leaves the connection as it was; anything else does not.
                if error.as_database_error().is_none() {
                    self.session = None;
                }
                return;
            }
            Err(_) => {
                self.notes.add(
                    "sample PostgreSQL's statistics, the row is left out",
                    format!("no answer within {SAMPLE_LIMIT:?}"),
                );
                self.session = None;
                return;
            }
        };
        match row.try_get::<Vec<i32>, _>("background_sessions") {
            // Again with every sample: a session that broke off may have been replaced.
            Ok(sessions) => self.book.lend_to_background(&sessions),
            Err(error) => self.notes.add("find the sessions of the background load", error),
        }
        match self.row(&row) {
            Ok(mut stats) => {
                stats.at_us = at_us;
                stats.backlog_ready = depth.map(|depth| depth.ready);
                stats.backlog_in_flight = depth.map(|depth| depth.in_flight);
                self.deadlocks = Some(stats.deadlocks_total);
                self.file.append(&stats);
            }
            Err(error) => self.notes.add("read PostgreSQL's statistics, the row is left out", error),
        }
    }

    fn row(&mut self, row: &PgRow) -> Result<DbStatsRow, sqlx::Error> {
        let value = |column: &str| row.try_get::<i64, _>(column).map(|value| value.max(0) as u64);
        let mut total = |column: &'static str| Ok::<u64, sqlx::Error>(self.counters.total(column, value(column)?));
        Ok(DbStatsRow {
            at_us: 0,
            backlog_ready: None,
            backlog_in_flight: None,
            live_tuples: value("live_tuples")?,
            dead_tuples: value("dead_tuples")?,
            table_bytes: value("table_bytes")?,
            index_bytes: value("index_bytes")?,
            tup_updated_total: total("tup_updated")?,
            tup_hot_updated_total: total("tup_hot_updated")?,
            autovacuum_total: total("autovacuum")?,
            commits_total: total("commits")?,
            rollbacks_total: total("rollbacks")?,
            deadlocks_total: total("deadlocks")?,
            blocks_read_total: total("blocks_read")?,
            blocks_hit_total: total("blocks_hit")?,
            wal_bytes_total: total("wal_bytes")?,
            wal_syncs_total: Some(total("wal_syncs")?),
            checkpoints_total: total("checkpoints")?,
            active_backends: value("active_backends")?,
            wait_events: row.try_get("wait_events")?,
        })
    }
}

/// Connects to the server at `url`; `statement` makes the question for its version (`server_version_num`).
pub(super) async fn connect(url: &ServerUrl, statement: fn(u32) -> String) -> Result<Session, String> {
    let options: PgConnectOptions = url.expose().parse().map_err(|error: sqlx::Error| error.to_string())?;
    let options = options.application_name(APPLICATION_NAME).options(SERVER_LIMITS).disable_statement_logging();
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

/// Common table expressions that end in `ours`: the tables named in `$1`. A partitioned table holds nothing itself, so it is
/// replaced by its partitions.
pub(super) const TABLES_OF_OURS: &str = "named AS (SELECT to_regclass(name) AS oid FROM unnest($1::text[]) AS name),
         ours AS MATERIALIZED (
             SELECT DISTINCT c.oid
             FROM named
             LEFT JOIN LATERAL pg_partition_tree(named.oid) AS tree ON true
             JOIN pg_class AS c ON c.oid = coalesce(tree.relid, named.oid)
             WHERE c.relkind IN ('r', 'm'))";

/// The one statement of a sample, for a server of `version` (`server_version_num`). `$1` is the list of table names.
fn statement(version: u32) -> String {
    let checkpoints = if version >= 170_000 {
        "SELECT num_timed + num_requested FROM pg_stat_checkpointer"
    } else {
        "SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter"
    };
    let wal_syncs = wal_syncs(version);
    // The functions below the views are called directly: pg_stat_user_tables would join and sort every table.
    format!(
        "WITH {TABLES_OF_OURS},
         tables AS (
             SELECT sum(pg_stat_get_live_tuples(oid)) AS live_tuples,
                    sum(pg_stat_get_dead_tuples(oid)) AS dead_tuples,
                    sum(pg_table_size(oid)) AS table_bytes,
                    sum(pg_indexes_size(oid)) AS index_bytes,
                    sum(pg_stat_get_tuples_updated(oid)) AS tup_updated,
                    sum(pg_stat_get_tuples_hot_updated(oid)) AS tup_hot_updated,
                    sum(pg_stat_get_autovacuum_count(oid)) AS autovacuum
             FROM ours),
         active AS (
             SELECT coalesce(wait_event_type, 'CPU') || ':' || coalesce(wait_event, 'running') AS event, count(*) AS n
             FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND state = 'active'
               AND pid <> pg_backend_pid() AND application_name <> '{APPLICATION_NAME}'
             GROUP BY 1)
         SELECT (SELECT coalesce(array_agg(pid), '{{}}') FROM pg_stat_activity WHERE application_name = '{BACKGROUND_NAME}')
                    AS background_sessions,
                coalesce(tables.live_tuples, 0)::int8 AS live_tuples,
                coalesce(tables.dead_tuples, 0)::int8 AS dead_tuples,
                coalesce(tables.table_bytes, 0)::int8 AS table_bytes,
                coalesce(tables.index_bytes, 0)::int8 AS index_bytes,
                coalesce(tables.tup_updated, 0)::int8 AS tup_updated,
                coalesce(tables.tup_hot_updated, 0)::int8 AS tup_hot_updated,
                coalesce(tables.autovacuum, 0)::int8 AS autovacuum,
                db.xact_commit AS commits, db.xact_rollback AS rollbacks, db.deadlocks,
                db.blks_read AS blocks_read, db.blks_hit AS blocks_hit,
                (pg_current_wal_insert_lsn() - '0/0')::int8 AS wal_bytes,
                coalesce(({wal_syncs}), 0)::int8 AS wal_syncs,
                coalesce(({checkpoints}), 0)::int8 AS checkpoints,
                (SELECT coalesce(sum(n), 0) FROM active)::int8 AS active_backends,
                (SELECT coalesce(string_agg(event || '=' || n, ';' ORDER BY n DESC, event), '') FROM active) AS wait_events
         FROM tables, pg_stat_database AS db
         WHERE db.datname = current_database()"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_asks_each_version_only_for_views_that_it_has() {
        let views = |version| {
            let text = statement(version);
            ["pg_stat_bgwriter", "pg_stat_checkpointer", "pg_stat_wal", "pg_stat_io"].map(|view| text.contains(view))
        };
        assert_eq!(views(150_018), [true, false, true, false]);
        assert_eq!(views(160_000), [true, false, true, false]);
        assert_eq!(views(170_000), [false, true, true, false]);
        assert_eq!(views(180_000), [false, true, false, true]);
    }
}
