//! Locks a given PostgreSQL against other runs: an advisory lock of one session, which ends with its connection.

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use crate::services::lock::{ServerLock, Taken, holder};

/// The connection whose session holds the lock.
struct SessionLock(PgConnection);

#[async_trait]
impl ServerLock for SessionLock {
    async fn unlock(self: Box<Self>) {
        // The lock goes with the session, however that ends.
        let _ = self.0.close().await;
    }
}

/// Locks the objects of `namespace` on the server at `url`.
pub(super) async fn take(url: &ServerUrl, namespace: &str) -> Result<Taken, sqlx::Error> {
    /// Part of the application name that says what the connection is for.
    const PURPOSE: &str = "qbench:lock ";
    let options: PgConnectOptions = url.expose().parse()?;
    // PostgreSQL cuts longer names off.
    let name: String = format!("{PURPOSE}{}", holder()).chars().take(63).collect();
    let mut connection = options.application_name(&name).disable_statement_logging().connect().await?;
    let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(namespace)
        .fetch_one(&mut connection)
        .await?;
    if taken {
        return Ok(Taken::Ours(Box::new(SessionLock(connection))));
    }
    let holder = holders(&mut connection, namespace).await?.into_iter().next();
    Ok(Taken::Other(holder.map_or_else(|| "which has just ended".to_owned(), |name| name.replace(PURPOSE, ""))))
}

/// Names of the sessions that hold the lock on `namespace`, alone or together.
pub(super) async fn holders(connection: &mut PgConnection, namespace: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT activity.application_name
         FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
         WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
           AND ((lock.classid::int8 << 32) | lock.objid::int8) = hashtextextended($1, 0)",
    )
    .bind(namespace)
    .fetch_all(connection)
    .await
}
