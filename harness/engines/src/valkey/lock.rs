//! Locks a given Valkey against other runs: a key that a living run renews, and that outlives a dead one by a minute.

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;

use crate::services::lock::{LIFETIME, RENEWAL, ServerLock, Taken, new_holder};

/// Sets the key to its holder for a while, unless it is somebody else's; returns the holder. So a lock also comes back
/// after a restart of the server.
const TAKE: &str = "local holder = redis.call('GET', KEYS[1]) \
     if not holder or holder == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return ARGV[1] end \
     return holder";
/// Removes the key, when it is ours.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// The key, and the task that renews it and ends with this value.
struct KeyLock {
    connection: MultiplexedConnection,
    key: String,
    holder: String,
    renewal: JoinSet<()>,
}

#[async_trait]
impl ServerLock for KeyLock {
    async fn unlock(self: Box<Self>) {
        let KeyLock { mut connection, key, holder, renewal } = *self;
        drop(renewal);
        let release = redis::cmd("EVAL").arg(RELEASE).arg(1).arg(key).arg(holder).to_owned();
        // A key that cannot be removed expires.
        let _ = release.exec_async(&mut connection).await;
    }
}

/// Locks the objects of `namespace` on the server at `url`.
pub(super) async fn take(url: &ServerUrl, namespace: &str) -> Result<Taken, redis::RedisError> {
    let mut connection = redis::Client::open(url.expose())?.get_multiplexed_async_connection().await?;
    let key = format!("{namespace}:lock");
    let own = new_holder();
    let take = redis::cmd("EVAL").arg(TAKE).arg(1).arg(&key).arg(&own).arg(LIFETIME.as_millis() as u64).to_owned();
    let found: String = take.query_async(&mut connection).await?;
    if found != own {
        return Ok(Taken::Other(found));
    }
    let mut renewing = connection.clone();
    let mut renewal = JoinSet::new();
    renewal.spawn(async move {
        loop {
            tokio::time::sleep(RENEWAL).await;
            // A server that is away for a while is asked again.
            let _: Result<(), redis::RedisError> = take.exec_async(&mut renewing).await;
        }
    });
    Ok(Taken::Ours(Box::new(KeyLock { connection, key, holder: own, renewal })))
}
