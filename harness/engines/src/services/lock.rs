//! Keeps two runs from working on one server that somebody gave to both: they would measure each other, and each would
//! remove the other's objects.

use std::time::Duration;

use qbench_backends::EngineKind;
use qbench_backends::ServerUrl;
use redis::aio::MultiplexedConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use sysinfo::System;
use tokio::task::JoinHandle;

use super::error::{Error, Result};

/// Longest wait for a server on the way to a lock.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long a lock on a Valkey outlives a run that was killed, and how often a living run renews it.
const VALKEY_LIFETIME: Duration = Duration::from_secs(60);
const VALKEY_RENEWAL: Duration = Duration::from_secs(20);

/// Sets the key to its holder for a while, unless it is somebody else's; returns the holder. So a lock also comes back
/// after a restart of the server.
const VALKEY_TAKE: &str = "local holder = redis.call('GET', KEYS[1]) \
     if not holder or holder == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return ARGV[1] end \
     return holder";
/// Removes the key, when it is ours.
const VALKEY_RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A lock on what qbench makes on one server. Dropping it releases it: on PostgreSQL with the connection, on Valkey within a
/// minute; [`ServerLock::release`] does it at once.
pub(super) enum ServerLock {
    Postgres(PgConnection),
    Valkey { connection: MultiplexedConnection, key: String, holder: String, renewal: Renewal },
}

impl ServerLock {
    /// Locks the objects of `namespace` on the server of `engine` at `url`. `None` when the server does not answer, or does
    /// not let us: the backend's own connection then says what is wrong, or nothing is.
    ///
    /// # Errors
    /// [`Error::Busy`] when another run has the lock.
    pub(super) async fn take(engine: EngineKind, url: &ServerUrl, namespace: &str) -> Result<Option<Self>> {
        let attempt = async {
            match engine {
                EngineKind::Postgres => take_postgres(url, namespace).await.map_err(|error| error.to_string()),
                EngineKind::Valkey => take_valkey(url, namespace).await.map_err(|error| error.to_string()),
                EngineKind::Sqlite | EngineKind::InProcess => Ok(Taken::Ours(None)),
            }
        };
        let trouble = match tokio::time::timeout(ANSWER_LIMIT, attempt).await {
            Ok(Ok(Taken::Ours(lock))) => return Ok(lock),
            Ok(Ok(Taken::Other(holder))) => {
                return Err(Error::Busy(format!(
                    "another run of qbench works on {url} ({holder}), and two would measure each other: wait until it has \
                     ended, or give this one another server"
                )));
            }
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        };
        tracing::info!("{url} is not locked against other runs: {trouble}");
        Ok(None)
    }

    /// Releases it now. What cannot be done ends by itself.
    pub(super) async fn release(self) {
        match self {
            ServerLock::Postgres(connection) => drop(tokio::time::timeout(ANSWER_LIMIT, connection.close()).await),
            ServerLock::Valkey { mut connection, key, holder, renewal } => {
                drop(renewal);
                let release = redis::cmd("EVAL").arg(VALKEY_RELEASE).arg(1).arg(key).arg(holder).to_owned();
                let _ = tokio::time::timeout(ANSWER_LIMIT, release.exec_async(&mut connection)).await;
            }
        }
    }
}

enum Taken {
    Ours(Option<ServerLock>),
    /// Somebody else's: who that is.
    Other(String),
}

/// How others see who has the lock.
fn holder() -> String {
    format!(
        "process {} on {}",
        std::process::id(),
        System::host_name().unwrap_or_else(|_| "an unknown host".to_owned())
    )
}

async fn take_postgres(url: &ServerUrl, namespace: &str) -> Result<Taken, sqlx::Error> {
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
        return Ok(Taken::Ours(Some(ServerLock::Postgres(connection))));
    }
    let holder: Option<String> = sqlx::query_scalar(
        "SELECT replace(activity.application_name, $2, '')
         FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
         WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
           AND ((lock.classid::int8 << 32) | lock.objid::int8) = hashtextextended($1, 0)",
    )
    .bind(namespace)
    .bind(PURPOSE)
    .fetch_optional(&mut connection)
    .await?;
    Ok(Taken::Other(holder.unwrap_or_else(|| "which has just ended".to_owned())))
}

async fn take_valkey(url: &ServerUrl, namespace: &str) -> Result<Taken, redis::RedisError> {
    let mut connection = redis::Client::open(url.expose())?.get_multiplexed_async_connection().await?;
    let key = format!("{namespace}:lock");
    // Two runs of one process would otherwise be one holder.
    let own = format!("{}, number {:08x}", holder(), rand::random::<u32>());
    let take = redis::cmd("EVAL")
        .arg(VALKEY_TAKE)
        .arg(1)
        .arg(&key)
        .arg(&own)
        .arg(VALKEY_LIFETIME.as_millis() as u64)
        .to_owned();
    let found: String = take.query_async(&mut connection).await?;
    if found != own {
        return Ok(Taken::Other(found));
    }
    let mut renewing = connection.clone();
    let renewal = Renewal(tokio::spawn(async move {
        loop {
            tokio::time::sleep(VALKEY_RENEWAL).await;
            // A server that is away for a while is asked again.
            let _: Result<(), redis::RedisError> = take.exec_async(&mut renewing).await;
        }
    }));
    Ok(Taken::Ours(Some(ServerLock::Valkey { connection, key, holder: own, renewal })))
}

/// A task that ends with this value.
pub(super) struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}
