//! `commit = claim`: the job leaves the server with its claim.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;
use tokio::sync::Mutex;

use crate::claimer::Look;
use crate::error::Result;
use crate::job::Lease;
use crate::postgres::announced::AnnouncedStatement;
use crate::postgres::arguments::Array;
use crate::postgres::connection::Link;
use crate::postgres::rows;
use crate::postgres::settings::Settings;
use crate::seam::{AckStatus, Acker, Consumer};

/// The statements of consumers.
pub(super) struct Statements {
    pub(super) claim: SqlStr,
    pub(super) ack: SqlStr,
    pub(super) nack: AnnouncedStatement,
}

/// Both sides of a worker on `link`.
pub(super) fn consumer(link: Link, settings: &Settings, statements: &Arc<Statements>, worker: i32) -> Consumer {
    let link = Arc::new(Mutex::new(link));
    let queue = Queue { link: Arc::clone(&link), statements: Arc::clone(statements) };
    let archive = Archive { link, statements: Arc::clone(statements), worker, returned: Vec::new() };
    Consumer { claimer: settings.claimer(queue), acker: Box::new(archive) }
}

/// The queue table as one worker claims from it.
struct Queue {
    link: Arc<Mutex<Link>>,
    statements: Arc<Statements>,
}

impl Look for Queue {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let arguments = (rows::limit(limit),);
        rows::fetch(&mut *self.link.lock().await, "claim", &self.statements.claim, arguments, 0, out).await
    }
}

/// The archive as one worker settles its leases.
struct Archive {
    link: Arc<Mutex<Link>>,
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
        let arguments = (
            Array(leases.iter().map(rows::id)),
            Array(leases.iter().map(|lease| rows::job_column(lease.job))),
            Array(leases.iter().map(rows::attempt)),
            Array(leases.iter().map(|lease| &*lease.payload)),
            self.worker,
        );
        rows::fetch_ids(&mut *self.link.lock().await, "ack", &self.statements.ack, arguments, &mut self.returned)
            .await?;
        rows::statuses(leases, &mut self.returned, out);
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let arguments = (
            Array(leases.iter().map(rows::id)),
            Array(leases.iter().map(|lease| rows::job_column(lease.job))),
            Array(leases.iter().map(rows::attempt)),
            Array(leases.iter().map(|lease| &*lease.payload)),
        );
        self.statements.nack.run(&mut *self.link.lock().await, "nack", arguments).await?;
        Ok(())
    }
}
