//! Jobs that stay in their table and are held by a lease: what `skip_locked` and `partitioned` run. They differ in where a
//! claim looks.

use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::sql;
use sqlx::SqlStr;

use super::announced::AnnouncedStatement;
use super::arguments::{Arguments, Array};
use super::connection::Link;
use super::rows;
use super::settings::Settings;
use super::sql_texts::{SqlTexts, prepared};
use crate::capability::Capabilities;
use crate::claimer::ANYWHERE;
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::seam::{AckStatus, Acker, WorkResult};

/// Status of a job that is done, as the tables keep it.
const DONE: i16 = 2;
/// Status of a job whose work failed.
const DEAD: i16 = 3;

/// The contract of these designs.
pub(super) const CONTRACT: Capabilities = Capabilities { records_failures: true, ..super::CONTRACT };

/// The statements that look into one place.
struct AtPlace {
    claim: SqlStr,
    ack: SqlStr,
}

/// The statements of consumers.
pub(super) struct Statements {
    /// By place.
    places: Vec<AtPlace>,
    ack_mixed: SqlStr,
    nack: AnnouncedStatement,
    reclaim: SqlStr,
}

impl Statements {
    /// For a table `jobs` with these partitions; none where it is not partitioned.
    pub(super) fn new(statements: &SqlTexts<'_>, partitions: &[String]) -> Self {
        let at = |table: &str| {
            let get = |name: &str| prepared(statements.filled(sql::LEASED, name, &[("{table}", table)]));
            AtPlace { claim: get("claim"), ack: get("ack") }
        };
        Statements {
            places: std::iter::once("jobs").chain(partitions.iter().map(String::as_str)).map(at).collect(),
            ack_mixed: statements.get(sql::LEASED, "ack_mixed"),
            nack: AnnouncedStatement::named(statements, sql::LEASED, "nack"),
            reclaim: statements.get(sql::LEASED, "reclaim"),
        }
    }
}

/// What one worker claims with.
pub(super) struct Session {
    link: Link,
    statements: Arc<Statements>,
    worker: i32,
    lease_s: f64,
}

impl Session {
    /// Connects both sides of worker `id`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Connect`].
    pub(super) async fn open(
        settings: &Arc<Settings>,
        statements: &Arc<Statements>,
        id: WorkerId,
    ) -> Result<(Self, LeaseAcker)> {
        let (claims, acks) = Link::two(settings).await?;
        let acker =
            LeaseAcker { link: acks, statements: Arc::clone(statements), ids: Vec::new(), returned: Vec::new() };
        let session = Session {
            link: claims,
            statements: Arc::clone(statements),
            worker: id.0.cast_signed(),
            lease_s: settings.lease.as_secs_f64(),
        };
        Ok((session, acker))
    }

    /// The connection of its claims.
    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Appends up to `limit` leases of ready jobs at `place`.
    pub(super) async fn claim(&mut self, place: u32, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let statement = self.statements.places[place as usize].claim.clone();
        self.fetch("claim", &statement, place, limit, out).await
    }

    /// Appends up to `limit` leases of jobs anywhere whose former holders let theirs expire.
    pub(super) async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let statement = self.statements.reclaim.clone();
        self.fetch("reclaim", &statement, ANYWHERE, limit, out).await
    }

    async fn fetch(
        &mut self,
        what: &'static str,
        statement: &SqlStr,
        place: u32,
        limit: u32,
        out: &mut Vec<Lease>,
    ) -> Result<()> {
        let arguments = (rows::limit(limit), self.worker, self.lease_s);
        rows::fetch(&mut self.link, what, statement, arguments, place, out).await
    }
}

/// Settles a worker's leases.
pub(super) struct LeaseAcker {
    link: Link,
    statements: Arc<Statements>,
    /// Scratch of one ack, kept to spare its allocation.
    ids: Vec<i64>,
    /// Scratch of one ack, kept to spare its allocation.
    returned: Vec<i64>,
}

impl LeaseAcker {
    /// Settles leases that all have the same attempt and succeeded.
    async fn ack_alike(&mut self, leases: &[Lease], attempt: i32, out: &mut Vec<AckStatus>) -> Result<()> {
        let place = rows::common(leases, rows::place).unwrap_or(ANYWHERE);
        let ack = &self.statements.places[place as usize].ack;
        // Sorted, so that two batches with jobs in common lock them in the same order.
        rows::sorted_ids(leases, &mut self.ids);
        let arguments = (Array(self.ids.iter().copied()), attempt);
        settle(&mut self.link, ack, arguments, leases, &mut self.returned, out).await
    }

    /// Settles leases of any kind, each with its own result.
    async fn ack_mixed(
        &mut self,
        leases: &[Lease],
        results: impl Iterator<Item = WorkResult> + Send,
        out: &mut Vec<AckStatus>,
    ) -> Result<()> {
        let held = mixed(leases, results);
        let arguments = (
            Array(held.iter().map(|held| held.0)),
            Array(held.iter().map(|held| held.1)),
            Array(held.iter().map(|held| held.2)),
        );
        settle(&mut self.link, &self.statements.ack_mixed, arguments, leases, &mut self.returned, out).await
    }
}

/// Runs a `statement` that returns the ids that it settled, and tells of each lease whether it was among them.
async fn settle(
    link: &mut Link,
    statement: &SqlStr,
    arguments: impl Arguments + Send,
    leases: &[Lease],
    returned: &mut Vec<i64>,
    out: &mut Vec<AckStatus>,
) -> Result<()> {
    rows::fetch_ids(link, "ack", statement, arguments, returned).await?;
    rows::statuses(leases, returned, out);
    Ok(())
}

#[async_trait]
impl Acker for LeaseAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        match rows::common(leases, rows::attempt) {
            Some(attempt) => self.ack_alike(leases, attempt, out).await,
            None => self.ack_mixed(leases, leases.iter().map(|_| WorkResult::Succeeded), out).await,
        }
    }

    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        if !results.contains(&WorkResult::Failed) {
            return self.ack(leases, out).await;
        }
        self.ack_mixed(leases, results.iter().copied(), out).await
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        give_back(&mut self.link, &self.statements.nack, leases).await
    }
}

/// Puts `leases` back by `nack`, which takes ids and attempts: those that hold no more are left alone.
pub(super) async fn give_back(link: &mut Link, nack: &AnnouncedStatement, leases: &[Lease]) -> Result<()> {
    if !leases.is_empty() {
        let held = rows::ids_and_attempts(leases);
        let arguments = (Array(held.iter().map(|held| held.0)), Array(held.iter().map(|held| held.1)));
        nack.run(link, "nack", arguments).await?;
    }
    Ok(())
}

/// Ids, ascending, attempts and the status that each job gets.
fn mixed(leases: &[Lease], results: impl Iterator<Item = WorkResult>) -> Vec<(i64, i32, i16)> {
    let status = |result| match result {
        WorkResult::Succeeded => DONE,
        WorkResult::Failed => DEAD,
    };
    let mut held: Vec<(i64, i32, i16)> = (leases.iter().zip(results))
        .map(|(lease, result)| (rows::id(lease), rows::attempt(lease), status(result)))
        .collect();
    held.sort_unstable();
    held
}
