//! `commit = visibility`: a claim hides the job until its lease ends, and the ack moves it to the archive.

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
    pub(super) reclaim: SqlStr,
    pub(super) ack: SqlStr,
    pub(super) nack: AnnouncedStatement,
}

/// Both sides of a worker, each on a connection of its own.
pub(super) async fn open(settings: &Arc<Settings>, statements: &Arc<Statements>, worker: i32) -> Result<Consumer> {
    let (claims, acks) = Link::two(settings).await?;
    let lease_s = settings.lease.as_secs_f64();
    let queue = Queue { link: claims, statements: Arc::clone(statements), lease_s };
    let archive = Archive { link: acks, statements: Arc::clone(statements), worker, returned: Vec::new() };
    Ok(Consumer { claimer: settings.claimer(queue), acker: Box::new(archive) })
}

/// The queue table as one worker claims from it.
struct Queue {
    link: Link,
    statements: Arc<Statements>,
    lease_s: f64,
}

impl Queue {
    async fn fetch(
        &mut self,
        what: &'static str,
        statement: fn(&Statements) -> &SqlStr,
        limit: u32,
        out: &mut Vec<Lease>,
    ) -> Result<()> {
        let arguments = (rows::limit(limit), self.lease_s);
        rows::fetch(&mut self.link, what, statement(&self.statements), arguments, 0, out).await
    }
}

impl Look for Queue {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch("claim", |statements| &statements.claim, limit, out).await
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch("reclaim", |statements| &statements.reclaim, limit, out).await
    }
}

/// The archive as one worker settles its leases.
struct Archive {
    link: Link,
    statements: Arc<Statements>,
    worker: i32,
    /// Scratch of one ack, kept to spare its allocation.
    returned: Vec<i64>,
}

#[async_trait]
impl Acker for Archive {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let held = rows::ids_and_attempts(leases);
        let arguments = (Array(held.iter().map(|held| held.0)), Array(held.iter().map(|held| held.1)), self.worker);
        rows::fetch_ids(&mut self.link, "ack", &self.statements.ack, arguments, &mut self.returned).await?;
        rows::statuses(leases, &mut self.returned, out);
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        give_back(&mut self.link, &self.statements.nack, leases).await
    }
}
