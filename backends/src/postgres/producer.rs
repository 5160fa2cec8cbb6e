//! The producer of every backend of this engine.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;

use super::announced::AnnouncedStatement;
use super::arguments::Array;
use super::connection::Link;
use super::rows::job_column;
use super::settings::{Role, Settings};
use crate::error::{ErrorKind, Result};
use crate::job::NewJob;
use crate::seam::Producer;

/// Sends a batch as one statement with two arrays, whatever its size.
pub(super) struct PgProducer {
    link: Link,
    enqueue: AnnouncedStatement,
}

impl PgProducer {
    /// Connects. `enqueue` is one INSERT without RETURNING that takes job numbers and payloads.
    pub(super) async fn open(settings: &Arc<Settings>, enqueue: SqlStr) -> Result<Self> {
        Ok(PgProducer {
            link: Link::open(settings, Role::Producer).await?,
            enqueue: AnnouncedStatement::new(settings, &enqueue),
        })
    }
}

#[async_trait]
impl Producer for PgProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let arguments =
            (Array(jobs.iter().map(|new| job_column(new.job))), Array(jobs.iter().map(|new| &*new.payload)));
        let inserted = self.enqueue.run(&mut self.link, "enqueue", arguments).await?;
        if inserted == jobs.len() as u64 {
            return Ok(());
        }
        let message =
            format!("the server inserted {inserted} rows for {} jobs; is there a trigger on the table?", jobs.len());
        Err(self.link.error(ErrorKind::Server, "enqueue", message))
    }

    async fn ask_for_nothing(&mut self) -> Result<bool> {
        const NOTHING: SqlStr = SqlStr::from_static("SELECT 1");
        self.link.run("do nothing", &NOTHING, (), |_| Ok(())).await?;
        Ok(true)
    }
}
