//! Claims and acks of one worker.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, SqlStr};
use tokio::sync::Mutex;

use crate::claimer::{Look, WaitingClaimer};
use crate::counters::ClientCounters;
use crate::error::Result;
use crate::job::{JobId, Lease, LeaseToken, WorkerId};
use crate::seam::{AckStatus, Acker, Consumer};
use crate::sqlite::connection::{Link, bind, statement};
use crate::sqlite::failure::of_operation;
use crate::sqlite::settings::{Settings, Turn};

/// Both sides of worker `id`. They share a connection through a lock, which is held for a statement and never while waiting
/// for work: with one writer at a time a second connection would win nothing.
pub(super) async fn open(settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
    let link = Arc::new(Mutex::new(Link::open(settings).await?));
    let look = SqliteLook {
        link: Arc::clone(&link),
        settings: Arc::clone(settings),
        worker: id.0,
        claim: statement("claim", &[]),
        reclaim: statement("reclaim", &[]),
    };
    Ok(Consumer {
        claimer: Box::new(WaitingClaimer::new(look, settings.waiting(), ClientCounters::default())),
        acker: Box::new(SqliteAcker {
            link,
            settings: Arc::clone(settings),
            ack: statement("ack", &[]),
            nack: statement("nack", &[]),
        }),
    })
}

struct SqliteLook {
    link: Arc<Mutex<Link>>,
    settings: Arc<Settings>,
    worker: u32,
    claim: SqlStr,
    reclaim: SqlStr,
}

impl SqliteLook {
    /// Runs a statement that returns claimed rows, and appends their leases in the order of arrival.
    async fn fetch(
        &self,
        link: &mut Link,
        turn: &mut Turn,
        what: &str,
        statement: &SqlStr,
        limit: u32,
        out: &mut Vec<Lease>,
    ) -> Result<()> {
        let mut arguments = SqliteArguments::default();
        bind(&mut arguments, i64::from(limit))?;
        bind(&mut arguments, i64::from(self.worker))?;
        bind(&mut arguments, self.settings.lease.as_secs_f64())?;
        let rows = link.write(turn, what, statement.clone(), arguments).await?;
        let leases: Result<Vec<Lease>, sqlx::Error> = rows.iter().map(lease).collect();
        let mut leases =
            leases.map_err(|error| of_operation(format!("{what} in {}", self.settings.place()), &error))?;
        leases.sort_unstable_by_key(|lease| lease.token.0[0]);
        out.append(&mut leases);
        Ok(())
    }
}

impl Look for SqliteLook {
    /// Appends the leases of ready jobs, and gives the signal for the next consumer when there are others: whoever enqueues
    /// gives one,
    /// however many jobs it brings.
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let before = out.len();
        let mut link = self.link.lock().await;
        let mut turn = self.settings.turn().await;
        self.fetch(&mut link, &mut turn, "claim", &self.claim, limit, out).await?;
        let came = out.len() - before;
        turn.ready = if came == limit as usize { turn.ready.saturating_sub(came as u64) } else { 0 };
        if came > 0 && turn.ready > 0 {
            self.settings.signal.give();
        }
        Ok(())
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let mut link = self.link.lock().await;
        let mut turn = self.settings.turn().await;
        self.fetch(&mut link, &mut turn, "reclaim", &self.reclaim, limit, out).await
    }
}

/// Reads one claimed row (id, attempt, job, payload). The token is row id and attempt.
fn lease(row: &SqliteRow) -> Result<Lease, sqlx::Error> {
    let (id, attempt): (i64, u32) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Lease {
        job: JobId(row.try_get::<i64, _>(2)?.cast_unsigned()),
        attempt,
        payload: Bytes::copy_from_slice(row.try_get(3)?),
        token: LeaseToken([id.cast_unsigned(), u64::from(attempt)]),
    })
}

struct SqliteAcker {
    link: Arc<Mutex<Link>>,
    settings: Arc<Settings>,
    ack: SqlStr,
    nack: SqlStr,
}

/// `[[id, attempt], …]`, as the statements take leases.
fn as_json(leases: &[Lease]) -> String {
    let mut json = String::with_capacity(16 * leases.len() + 2);
    for lease in leases {
        json.push(if json.is_empty() { '[' } else { ',' });
        let [id, attempt] = lease.token.0;
        // Writing to a string cannot fail.
        let _ = write!(json, "[{id},{attempt}]");
    }
    json.push(']');
    json
}

#[async_trait]
impl Acker for SqliteAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let mut arguments = SqliteArguments::default();
        bind(&mut arguments, as_json(leases))?;
        let mut link = self.link.lock().await;
        let rows = link.write(&mut *self.settings.turn().await, "ack", self.ack.clone(), arguments).await?;
        let ended =
            rows.iter().map(|row| Ok([row.try_get::<i64, _>(0)?.cast_unsigned(), row.try_get::<u32, _>(1)?.into()]));
        let ended: Result<HashSet<[u64; 2]>, sqlx::Error> = ended.collect();
        let mut ended = ended.map_err(|error| of_operation(format!("ack in {}", self.settings.place()), &error))?;
        // Removed as they are found: a lease that stands in the batch twice is acked once.
        out.extend(leases.iter().map(|lease| match ended.remove(&lease.token.0) {
            true => AckStatus::Acked,
            false => AckStatus::Stale,
        }));
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let mut arguments = SqliteArguments::default();
        bind(&mut arguments, as_json(leases))?;
        let mut link = self.link.lock().await;
        let mut turn = self.settings.turn().await;
        let given_back = link.write(&mut turn, "nack", self.nack.clone(), arguments).await;
        turn.ready += leases.len() as u64;
        self.settings.signal.give();
        given_back.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_a_list_of_pairs() {
        let lease =
            |id, attempt| Lease { job: JobId(0), attempt: 1, payload: Bytes::new(), token: LeaseToken([id, attempt]) };
        assert_eq!(as_json(&[lease(7, 1)]), "[[7,1]]");
        assert_eq!(as_json(&[lease(7, 1), lease(8, 2)]), "[[7,1],[8,2]]");
    }
}
