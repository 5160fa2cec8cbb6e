//! PostgreSQL's counters at one end of the measured window.

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_schema::result::Maintenance;
use sqlx::{AssertSqlSafe, Row};

use super::session::{Session, TABLES_OF_OURS, checkpoints, connect, wal_syncs};
use crate::monitor::server::{ANSWER_LIMIT, LogSize, ServerCounters, WindowReader};
use crate::services::given::said;

/// Asks for them.
pub(super) struct PostgresCounters {
    url: ServerUrl,
    objects: Vec<String>,
    session: Option<Session>,
}

impl PostgresCounters {
    /// `objects` are the qualified names of the backend's tables.
    pub(super) fn new(url: ServerUrl, objects: Vec<String>) -> Self {
        PostgresCounters { url, objects, session: None }
    }
}

#[async_trait]
impl WindowReader for PostgresCounters {
    async fn connect(&mut self) -> Result<(), String> {
        if self.session.is_none() {
            self.session = Some(connect(&self.url, statement).await?);
        }
        Ok(())
    }

    async fn read(&mut self, at_us: u64) -> Result<ServerCounters, String> {
        let Some(mut session) = self.session.take() else { return Err("not connected".to_owned()) };
        let question = sqlx::query(AssertSqlSafe(session.statement.as_str()))
            .bind(&self.objects)
            .fetch_one(&mut session.connection);
        // After an error or in doubt the connection is given up.
        let answer = tokio::time::timeout(ANSWER_LIMIT, question).await;
        let row = answer.map_err(|_| format!("no answer within {ANSWER_LIMIT:?}"))?.map_err(said)?;
        self.session = Some(session);
        let count = |column: &str| {
            let value: Option<i64> = row.try_get(column).map_err(said)?;
            Ok::<_, String>(value.and_then(|value| u64::try_from(value).ok()))
        };
        Ok(ServerCounters {
            log: count("wal_bytes")?.map(|bytes| LogSize { at_us, bytes, rewritten_bytes: 0 }),
            fsyncs: count("fsyncs")?,
            dead_tuples: count("dead_tuples")?,
            maintenance: Maintenance {
                checkpoints: count("checkpoints")?,
                autovacuums: count("autovacuums")?,
                ..Maintenance::default()
            },
            ..ServerCounters::default()
        })
    }
}

/// The one question, for a server of `version` (`server_version_num`). `$1` is the list of table names.
fn statement(version: u32) -> String {
    let (checkpoints, wal_syncs) = (checkpoints(version), wal_syncs(version));
    // Where the flush is part of the write (O_SYNC), PostgreSQL counts no flush.
    format!(
        "WITH {TABLES_OF_OURS}
         SELECT (pg_current_wal_insert_lsn() - '0/0')::int8 AS wal_bytes,
                CASE WHEN current_setting('wal_sync_method') IN ('open_sync', 'open_datasync') THEN NULL
                     ELSE ({wal_syncs})::int8 END AS fsyncs,
                ({checkpoints})::int8 AS checkpoints,
                (SELECT sum(pg_stat_get_autovacuum_count(oid)) FROM ours)::int8 AS autovacuums,
                (SELECT sum(pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid)) FROM ours)::int8
                    AS dead_tuples"
    )
}
