//! A look past the backend: what is really on its server or in its directory, and objects of somebody else.

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::files::Files;
use super::stage::{Checked, Failure};
use crate::url::ServerUrl;
use crate::entry::EngineKind;

/// Raw access to the server, by its own driver.
#[async_trait]
pub(super) trait ServerProbe: Send {
    /// Names of everything in `namespace`, whoever made it.
    async fn objects(&mut self, namespace: &str) -> Checked<Vec<String>>;

    /// Makes an object of somebody else, not empty, where the backend would put `object`.
    async fn plant(&mut self, namespace: &str, object: &str) -> Checked;

    /// Whether the planted object is as it was made.
    async fn is_intact(&mut self, namespace: &str, object: &str) -> Checked<bool>;

    /// Removes the planted object.
    async fn uproot(&mut self, namespace: &str, object: &str) -> Checked;

    /// Ends every connection of backends that were opened in `namespace`, whatever they are doing, and returns how many
    /// there were. By the names that backends give their connections, so that nobody else's is ended.
    async fn cut_connections(&mut self, namespace: &str) -> Checked<usize>;

    /// The same for those connections alone on which notifications arrive; none where the engine has no such thing.
    async fn cut_listeners(&mut self, _namespace: &str) -> Checked<usize> {
        Ok(0)
    }
}

/// Connects to the server of `engine`.
pub(super) async fn connect(engine: EngineKind, url: &ServerUrl) -> Checked<Box<dyn ServerProbe>> {
    match engine {
        EngineKind::Postgres => Ok(Box::new(Postgres(PgConnection::connect(url.expose()).await?))),
        EngineKind::Valkey => {
            let client = redis::Client::open(url.expose())?;
            Ok(Box::new(Valkey(client.get_multiplexed_async_connection().await?)))
        }
        EngineKind::Sqlite => Ok(Box::new(Files::of(url)?)),
        EngineKind::InProcess => Err(Failure("there is no server to look at".to_owned())),
    }
}

/// An address of the right kind where nothing listens (port 1), with a password.
pub(super) fn dead_address(engine: EngineKind) -> ServerUrl {
    ServerUrl::new(match engine {
        EngineKind::Postgres => "postgres://ann:s3cret@127.0.0.1:1/queue",
        EngineKind::Valkey | EngineKind::Sqlite | EngineKind::InProcess => "redis://ann:s3cret@127.0.0.1:1",
    })
}

/// What is in an object of somebody else.
pub(super) const NOTE: &str = "not yours";

struct Postgres(PgConnection);

/// Last part of a qualified name, without quotes.
fn table(object: &str) -> &str {
    object.rsplit('.').next().unwrap_or(object).trim_matches('"')
}

#[async_trait]
impl ServerProbe for Postgres {
    async fn objects(&mut self, namespace: &str) -> Checked<Vec<String>> {
        let names = sqlx::query_scalar(
            "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = $1 \
             UNION ALL SELECT 'relation ' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1 \
             UNION ALL SELECT 'function ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = $1",
        )
        .bind(namespace)
        .fetch_all(&mut self.0)
        .await?;
        Ok(names)
    }

    // Names come from our own namespace and the backend's own description, so they may stand in the statement's text.
    async fn plant(&mut self, namespace: &str, object: &str) -> Checked {
        let name = table(object);
        let statements = format!(
            "CREATE SCHEMA \"{namespace}\"; CREATE TABLE \"{namespace}\".\"{name}\" (note text); \
             INSERT INTO \"{namespace}\".\"{name}\" VALUES ('{NOTE}')"
        );
        self.0.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await?;
        Ok(())
    }

    async fn is_intact(&mut self, namespace: &str, object: &str) -> Checked<bool> {
        let question = format!("SELECT note FROM \"{namespace}\".\"{}\"", table(object));
        let notes: Vec<String> = sqlx::query_scalar(AssertSqlSafe(question)).fetch_all(&mut self.0).await?;
        Ok(notes == [NOTE])
    }

    async fn uproot(&mut self, namespace: &str, _object: &str) -> Checked {
        // `plant` created this schema, or it would have failed.
        self.0.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS \"{namespace}\" CASCADE")))).await?;
        Ok(())
    }

    async fn cut_connections(&mut self, namespace: &str) -> Checked<usize> {
        self.terminate(&format!(":{namespace}")).await
    }

    async fn cut_listeners(&mut self, namespace: &str) -> Checked<usize> {
        self.terminate(&format!(":listener:{namespace}")).await
    }
}

impl Postgres {
    /// Ends our sessions whose names end so. Waits for the end of each (5 s at most), so that what it held is free.
    async fn terminate(&mut self, end_of_name: &str) -> Checked<usize> {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND starts_with(application_name, 'qbench:') \
               AND right(application_name, length($1)) = $1",
        )
        .bind(end_of_name)
        .fetch_all(&mut self.0)
        .await?;
        Ok(ended.len())
    }
}

struct Valkey(MultiplexedConnection);

#[async_trait]
impl ServerProbe for Valkey {
    async fn objects(&mut self, namespace: &str) -> Checked<Vec<String>> {
        let mut keys = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{namespace}:*")).arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<String>) = scan.query_async(&mut self.0).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    async fn plant(&mut self, _namespace: &str, object: &str) -> Checked {
        redis::cmd("SET").arg(object).arg(NOTE).exec_async(&mut self.0).await?;
        Ok(())
    }

    async fn is_intact(&mut self, _namespace: &str, object: &str) -> Checked<bool> {
        let note: Option<String> = redis::cmd("GET").arg(object).query_async(&mut self.0).await?;
        Ok(note.as_deref() == Some(NOTE))
    }

    async fn uproot(&mut self, _namespace: &str, object: &str) -> Checked {
        redis::cmd("DEL").arg(object).exec_async(&mut self.0).await?;
        Ok(())
    }

    async fn cut_connections(&mut self, namespace: &str) -> Checked<usize> {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut self.0).await?;
        let mut cut = 0;
        for client in clients.lines() {
            let field = |key: &str| client.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
            let ours = field("name").is_some_and(|name| {
                name.starts_with("qbench:") && name.rsplit(':').next().is_some_and(|last| last == namespace)
            });
            if let (true, Some(id)) = (ours, field("id")) {
                let killed: u64 = redis::cmd("CLIENT").arg(&["KILL", "ID", id]).query_async(&mut self.0).await?;
                cut += killed as usize;
            }
        }
        Ok(cut)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure(format!("the probe failed: {error}"))
    }
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Self {
        Failure(format!("the probe failed: {error}"))
    }
}
