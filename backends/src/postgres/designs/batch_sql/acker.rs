//! Completions of `batch_sql`: one statement for a batch, whatever the results of its jobs.

use std::sync::Arc;

use async_trait::async_trait;

use super::statements::Statements;
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::postgres::arguments::Array;
use crate::postgres::connection::Link;
use crate::postgres::leased::give_back;
use crate::postgres::rows;
use crate::seam::{AckStatus, Acker, WorkResult};

/// Settles a worker's leases.
pub(super) struct BatchAcker {
    link: Link,
    statements: Arc<Statements>,
    worker: i32,
    /// Scratch of one completion, kept to spare its allocation.
    settled: Vec<(i64, i32, &'static str)>,
    /// Scratch of one completion, kept to spare its allocation.
    returned: Vec<i64>,
}

impl BatchAcker {
    pub(super) fn new(link: Link, statements: Arc<Statements>, id: WorkerId) -> Self {
        BatchAcker { link, statements, worker: id.0.cast_signed(), settled: Vec::new(), returned: Vec::new() }
    }

    /// Completes `leases` with their `results`.
    async fn complete(
        &mut self,
        leases: &[Lease],
        results: impl Iterator<Item = WorkResult> + Send,
        out: &mut Vec<AckStatus>,
    ) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let of = |(lease, result)| (rows::id(lease), rows::attempt(lease), word(result));
        self.settled.clear();
        self.settled.extend(leases.iter().zip(results).map(of));
        // So that two batches with jobs in common lock them in the same order.
        self.settled.sort_unstable();
        let arguments = (
            Array(self.settled.iter().map(|settled| settled.0)),
            Array(self.settled.iter().map(|settled| settled.1)),
            Array(self.settled.iter().map(|settled| settled.2)),
            self.worker,
        );
        rows::fetch_ids(&mut self.link, "ack", &self.statements.complete, arguments, &mut self.returned).await?;
        rows::statuses(leases, &mut self.returned, out);
        Ok(())
    }
}

/// A result in the words of the statistics.
fn word(result: WorkResult) -> &'static str {
    match result {
        WorkResult::Succeeded => "successful",
        WorkResult::Failed => "exception",
    }
}

#[async_trait]
impl Acker for BatchAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        self.complete(leases, std::iter::repeat(WorkResult::Succeeded), out).await
    }

    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        self.complete(leases, results.iter().copied(), out).await
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        give_back(&mut self.link, &self.statements.nack, leases).await
    }
}
