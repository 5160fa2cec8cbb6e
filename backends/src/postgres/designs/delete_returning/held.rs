//! `commit = ack`: the transaction that deleted the job stays open while the job runs.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;
use tokio::sync::Mutex;

use crate::claimer::Look;
use crate::error::{ErrorKind, Result};
use crate::job::{Lease, LeaseToken};
use crate::postgres::announced::NotifyOne;
use crate::postgres::connection::Link;
use crate::postgres::rows;
use crate::postgres::settings::{Role, Settings};
use crate::seam::{AckStatus, Acker, Consumer};

/// Both sides of a worker, on one connection: the ack ends the transaction of the claim.
pub(super) async fn open(settings: &Arc<Settings>, claim: &SqlStr, worker: i32) -> Result<Consumer> {
    let link = Link::open(settings, Role::Consumer).await?;
    let session = Arc::new(Mutex::new(Session { link, held: None, deliveries: 0 }));
    let queue = Queue { session: Arc::clone(&session), claim: claim.clone(), worker };
    Ok(Consumer { claimer: settings.claimer(queue), acker: Box::new(Settler(session)) })
}

/// The connection and the job that its open transaction holds.
struct Session {
    link: Link,
    /// The delivery whose transaction is open.
    held: Option<LeaseToken>,
    /// Deliveries on this session: makes two deliveries of one row different tokens.
    deliveries: u64,
}

impl Session {
    /// True while `lease` is what the open transaction holds. A connection that is gone took its transaction with it.
    fn holds(&self, lease: &Lease) -> bool {
        self.link.is_connected() && self.held == Some(lease.token)
    }

    /// Takes one job and leaves its transaction open; leaves no transaction when there is none to take.
    async fn take(&mut self, claim: &SqlStr, worker: i32, out: &mut Vec<Lease>) -> Result<()> {
        // Whatever was held went with its connection, or this would not be called.
        self.held = None;
        self.link.command("begin a claim", "BEGIN").await?;
        let before = out.len();
        if let Err(error) = rows::fetch(&mut self.link, "claim", claim, (worker,), 0, out).await {
            // Closing rolls back, without asking a server that just failed for one more answer.
            self.link.disconnect();
            return Err(error);
        }
        match out.get_mut(before) {
            Some(lease) => {
                self.deliveries += 1;
                lease.token.0[1] = self.deliveries;
                self.held = Some(lease.token);
                Ok(())
            }
            // Not left open over the wait: its lock would stand in the way of a reset.
            None => self.end("end a claim that found nothing", "ROLLBACK").await,
        }
    }

    /// Ends the open transaction.
    async fn end(&mut self, what: &'static str, how: &'static str) -> Result<()> {
        self.held = None;
        let ended = self.link.command(what, how).await;
        if ended.is_err() {
            self.link.disconnect();
        }
        ended
    }
}

/// The queue table as one worker claims from it.
struct Queue {
    session: Arc<Mutex<Session>>,
    claim: SqlStr,
    worker: i32,
}

impl Look for Queue {
    async fn take(&mut self, _limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let mut session = self.session.lock().await;
        if session.held.is_some() && session.link.is_connected() {
            let message = "the job of the claim before is not settled, and a transaction can only end as a whole: \
                           ack or nack it first, or use a consumer of its own for every job";
            return Err(session.link.error(ErrorKind::Config, "claim", message));
        }
        session.take(&self.claim, self.worker, out).await
    }
}

/// Ends the transaction one way or the other.
struct Settler(Arc<Mutex<Session>>);

#[async_trait]
impl Acker for Settler {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        let mut session = self.0.lock().await;
        for lease in leases {
            out.push(if session.holds(lease) {
                session.end("ack", "COMMIT").await?;
                AckStatus::Acked
            } else {
                AckStatus::Stale
            });
        }
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        let mut session = self.0.lock().await;
        for lease in leases {
            if session.holds(lease) {
                session.end("nack", "ROLLBACK").await?;
                // A rollback made the job ready.
                NotifyOne::run(&mut session.link).await;
            }
        }
        Ok(())
    }
}
