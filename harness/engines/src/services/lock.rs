//! Keeps two runs from working on one server that somebody gave to both: they would measure each other, and each would
//! remove the other's objects. How a product is locked stands in its room.

use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use sysinfo::System;

use super::error::{Error, Result};

/// Longest wait for a server on the way to a lock, or back.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A lock on what qbench makes on one server. Dropping it releases it sooner or later; [`release`] does it at once.
#[async_trait]
pub trait ServerLock: Send + Sync {
    /// Tells the server.
    async fn unlock(self: Box<Self>);
}

/// What came of trying to lock a server.
pub enum Taken {
    /// The product needs no lock.
    NotNeeded,
    /// The lock is ours.
    Ours(Box<dyn ServerLock>),
    /// Somebody else's: who that is.
    Other(String),
}

/// Tries to lock the server at `url`. `None` when it does not answer, or does not let us: the backend's own connection then
/// says what is wrong, or nothing is.
///
/// # Errors
/// [`Error::Busy`] when another run has the lock.
pub async fn take(
    url: &ServerUrl,
    attempt: impl Future<Output = Result<Taken, String>>,
) -> Result<Option<Box<dyn ServerLock>>> {
    let trouble = match tokio::time::timeout(ANSWER_LIMIT, attempt).await {
        Ok(Ok(Taken::NotNeeded)) => return Ok(None),
        Ok(Ok(Taken::Ours(lock))) => return Ok(Some(lock)),
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

/// Releases a lock now. What cannot be done ends by itself.
pub async fn release(lock: Box<dyn ServerLock>) {
    let _ = tokio::time::timeout(ANSWER_LIMIT, lock.unlock()).await;
}

/// How long a lock that has to be renewed outlives a run that was killed.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// How often a living run renews it.
pub(crate) const RENEWAL: Duration = Duration::from_secs(20);

/// [`holder`], told from every other run of this process.
pub(crate) fn new_holder() -> String {
    format!("{}, number {:08x}", holder(), rand::random::<u32>())
}

/// How others see who has the lock.
pub fn holder() -> String {
    format!(
        "process {} on {}",
        std::process::id(),
        System::host_name().unwrap_or_else(|_| "an unknown host".to_owned())
    )
}
