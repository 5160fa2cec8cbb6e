//! `<run>_db_stats.csv`: PostgreSQL about itself, a row per tick, in one round trip over a connection of its own.
//!
//! The statistics views differ between the versions 15 to 18, so the statement is put together for the server at hand.
//! A busy backend hands its counters to the views once a second, an idle one within ten seconds or when it ends, so the
//! rows lag by as much.

use async_trait::async_trait;
use qbench_schema::server_stats::DbStatsRow;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::session::{BACKGROUND_NAME, Session, TABLES_OF_OURS, checkpoints, connect, wal_syncs};
use crate::monitor::server::{ANSWER_LIMIT, CLIENT_NAME, Sampler, SamplerContext, ServerFindings};
use crate::monitor::totals::Totals;

/// Samples a PostgreSQL server: the backend's tables, and the sessions of the background load, which are told to the book.
pub(super) struct PostgresSampler {
    context: SamplerContext,
    session: Option<Session>,
    totals: Totals,
    deadlocks: Option<u64>,
}

#[async_trait]
impl Sampler for PostgresSampler {
    async fn sample(&mut self) {
        if self.session.is_none() {
            match connect(&self.context.url, statement).await {
                Ok(session) => self.session = Some(session),
                Err(problem) => {
                    let problem = format!("{}: {problem}", self.context.url);
                    self.context.notes.add("connect the PostgreSQL monitor", problem);
                    return;
                }
            }
        }
        let Some(session) = &mut self.session else { return };
        let at_us = self.context.clock.now_us();
        let question = sqlx::query(AssertSqlSafe(session.statement.as_str()))
            .bind(&self.context.objects)
            .fetch_one(&mut session.connection);
        let (answer, depth) = tokio::join!(tokio::time::timeout(ANSWER_LIMIT, question), self.context.depth.ask());
        const LEFT_OUT: &str = "sample PostgreSQL's statistics, the row is left out";
        let row = match answer {
            Ok(Ok(row)) => row,
            Ok(Err(error)) => {
                self.context.notes.add(LEFT_OUT, &error);
                // A server's refusal leaves the connection as it was; anything else does not.
                if error.as_database_error().is_none() {
                    self.session = None;
                }
                return;
            }
            Err(_) => {
                self.context.notes.add(LEFT_OUT, format!("no answer within {ANSWER_LIMIT:?}"));
                self.session = None;
                return;
            }
        };
        match row.try_get::<Vec<i32>, _>("background_sessions") {
            // Again with every sample: a session that broke off may have been replaced.
            Ok(sessions) => self.context.book.lend_to_background(&sessions),
            Err(error) => self.context.notes.add("find the sessions of the background load", error),
        }
        match self.row(&row) {
            Ok(mut stats) => {
                stats.at_us = at_us;
                stats.backlog_ready = depth.map(|depth| depth.ready);
                stats.backlog_in_flight = depth.map(|depth| depth.in_flight);
                self.deadlocks = Some(stats.deadlocks_total);
                self.context.file.append(&stats);
            }
            Err(error) => self.context.notes.add("read PostgreSQL's statistics, the row is left out", error),
        }
    }

    async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            // Says good-bye, so that the server's log has no broken connection; nothing depends on it.
            let _ = tokio::time::timeout(ANSWER_LIMIT, session.connection.close()).await;
        }
    }

    fn findings(&mut self) -> ServerFindings {
        ServerFindings { deadlocks: self.deadlocks, log: Vec::new() }
    }
}

impl PostgresSampler {
    /// The first sample connects.
    pub(super) fn new(context: SamplerContext) -> Self {
        PostgresSampler { context, session: None, totals: Totals::default(), deadlocks: None }
    }

    fn row(&mut self, row: &PgRow) -> Result<DbStatsRow, sqlx::Error> {
        let value = |column: &str| row.try_get::<i64, _>(column).map(|value| value.max(0) as u64);
        let mut total = |column: &'static str| Ok::<u64, sqlx::Error>(self.totals.total(column, value(column)?));
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

/// The one statement of a sample, for a server of `version` (`server_version_num`). `$1` is the list of table names.
fn statement(version: u32) -> String {
    let (checkpoints, wal_syncs) = (checkpoints(version), wal_syncs(version));
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
               AND pid <> pg_backend_pid() AND application_name <> '{CLIENT_NAME}'
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
