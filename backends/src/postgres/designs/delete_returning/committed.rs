//! `commit = claim`: the job leaves the queue with its claim, for the archive.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;

use crate::claimer::Look;
use crate::error::Result;
use crate::job::Lease;
use crate::postgres::announced::AnnouncedStatement;
use crate::postgres::arguments::Array;
use crate::postgres::connection::Link;
use crate::postgres::leased::give_back;
use crate::postgres::rows;
use crate::postgres::settings::Settings;
use crate::seam::{AckStatus, Acker, Consumer};

/// The statements of consumers.
pub(super) struct Statements {
    pub(super) claim: SqlStr,
    pub(super) ack: SqlStr,
    pub(super) nack: AnnouncedStatement,
}

/// Both sides of a worker, each on a connection of its own.
pub(super) async fn open(settings: &Arc<Settings>, statements: &Arc<Statements>, worker: i32) -> Result<Consumer> {
    let (claims, acks) = Link::two(settings).await?;
    let queue = Queue { link: claims, statements: Arc::clone(statements), worker };
    let archive = Archive { link: acks, statements: Arc::clone(statements), returned: Vec::new() };
    Ok(Consumer { claimer: settings.claimer(queue), acker: Box::new(archive) })
}

/// The queue table as one worker claims from it.
struct Queue {
    link: Link,
    statements: Arc<Statements>,
    worker: i32,
}

impl Look for Queue {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let arguments = (rows::limit(limit), self.worker);
        rows::fetch(&mut self.link, "claim", &self.statements.claim, arguments, 0, out).await
    }
}

/// The archive as one worker settles its leases.
struct Archive {
    link: Link,
    statements: Arc<Statements>,
    /// Scratch of one ack, kept to spare its allocation.
    returned: Vec<i64>,
}

#[async_trait]
impl Acker for Archive {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let arguments = (Array(leases.iter().map(rows::id)),);
        rows::fetch_ids(&mut self.link, "ack", &self.statements.ack, arguments, &mut self.returned).await?;
        rows::statuses(leases, &mut self.returned, out);
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        give_back(&mut self.link, &self.statements.nack, leases).await
    }
}
