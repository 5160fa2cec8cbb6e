//! A look past the backends of this room.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::error::Result;
use crate::probe::{NOTE, Probe, ServerProbe, failed};
use crate::url::ServerUrl;

/// How a PostgreSQL is looked at.
pub(super) struct PostgresProbe;

#[async_trait]
impl Probe for PostgresProbe {
    async fn connect(&self, url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        Ok(Box::new(Postgres(PgConnection::connect(url.expose()).await.map_err(failed)?)))
    }

    fn dead_address(&self) -> Option<ServerUrl> {
        Some(ServerUrl::new("postgres://ann:s3cret@127.0.0.1:1/queue"))
    }
}

struct Postgres(PgConnection);

/// Last part of a qualified name, without quotes.
fn table(object: &str) -> &str {
    object.rsplit('.').next().unwrap_or(object).trim_matches('"')
}

#[async_trait]
impl ServerProbe for Postgres {
    async fn objects(&mut self, namespace: &str) -> Result<Vec<String>> {
        let names = sqlx::query_scalar(
            "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = $1 \
             UNION ALL SELECT 'relation ' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1 \
             UNION ALL SELECT 'function ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = $1",
        )
        .bind(namespace)
        .fetch_all(&mut self.0)
        .await.map_err(failed)?;
        Ok(names)
    }

    // Names come from our own namespace and the backend's own description, so they may stand in the statement's text.
    async fn plant(&mut self, namespace: &str, object: &str) -> Result<()> {
        let name = table(object);
        let statements = format!(
            "CREATE SCHEMA \"{namespace}\"; CREATE TABLE \"{namespace}\".\"{name}\" (note text); \
             INSERT INTO \"{namespace}\".\"{name}\" VALUES ('{NOTE}')"
        );
        self.0.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.map_err(failed)?;
        Ok(())
    }

    async fn is_intact(&mut self, namespace: &str, object: &str) -> Result<bool> {
        let question = format!("SELECT note FROM \"{namespace}\".\"{}\"", table(object));
        let notes: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(question)).fetch_all(&mut self.0).await.map_err(failed)?;
        Ok(notes == [NOTE])
    }

    async fn uproot(&mut self, namespace: &str, _object: &str) -> Result<()> {
        // `plant` created this schema, or it would have failed.
        self.0
            .execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS \"{namespace}\" CASCADE"))))
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn cut_connections(&mut self, namespace: &str) -> Result<usize> {
        self.terminate(&format!(":{namespace}")).await
    }

    async fn cut_listeners(&mut self, namespace: &str) -> Result<usize> {
        self.terminate(&format!(":listener:{namespace}")).await
    }
}

impl Postgres {
    /// Ends our sessions whose names end so. Waits for the end of each (5 s at most), so that what it held is free.
    async fn terminate(&mut self, end_of_name: &str) -> Result<usize> {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND starts_with(application_name, 'qbench:') \
               AND right(application_name, length($1)) = $1",
        )
        .bind(end_of_name)
        .fetch_all(&mut self.0)
        .await
        .map_err(failed)?;
        Ok(ended.len())
    }
}
