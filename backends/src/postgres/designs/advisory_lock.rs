//! `advisory_lock`: what batch SQL replaced in pgqueue-go, by its own report: one statement per job, completions behind
//! advisory locks, statistics counted up job by job.
//!
//! The report says that throughput did not grow with the workers, and that there were deadlocks. Both are for runs to
//! show or to refute; the design is here so that they can.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::sql;
use sqlx::SqlStr;

use crate::capability::Capabilities;
use crate::claimer::{ANYWHERE, Look};
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::postgres::admin::Design;
use crate::postgres::announced::AnnouncedStatement;
use crate::postgres::arguments::Arguments;
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::connection::Link;
use crate::postgres::depth;
use crate::postgres::leased::give_back;
use crate::postgres::rows;
use crate::postgres::session_options::{self, SessionOptions};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::SqlTexts;
use crate::seam::{AckStatus, Acker, Consumer};

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "advisory_lock",
    engine: crate::postgres::ENGINE,
    summary: "what batch SQL replaced: a statement per job, completions behind advisory locks, statistics counted up",
    colour: Some([86, 180, 233]),
    options: &[
        session_options::CLIENT,
        session_options::PLANS,
        session_options::CLAIM_COMMIT,
        OptionSpec {
            key: "lock",
            default: "session",
            help: "scope of the advisory locks: session (lock, a transaction for one job, unlock) or transaction (one transaction \
                   per ack, which holds all of its locks to the end)",
        },
        OptionSpec {
            key: "statistics",
            default: "upsert",
            help: "how a completed job is logged: upsert (a counter that all jobs of one kind and moment share) or append (a row \
                   per job)",
        },
        OptionSpec {
            key: "entrypoints",
            default: "2",
            help: "kinds of jobs, each with counters of its own, 1 to 1000; the benchmark that reported it has two",
        },
    ],
    // Transactions that count up shared rows deadlock whenever eight consumers ack at once, each time for the server's
    // deadlock_timeout: nothing that a suite can wait for. Tests of their own look at them.
    variants: &[
        &[("lock", "transaction"), ("statistics", "append")],
        &[("statistics", "append"), ("pg_client", "sqlx")],
    ],
    contract: &|options| {
        SessionOptions::of(options)?;
        Options::of(options).map(|_| Capabilities {
            max_claim_batch: MAX_LOOP,
            max_ack_batch: MAX_LOOP,
            ..crate::postgres::CONTRACT
        })
    },
    opener: &|config| Ok(Arc::new(open(config)?)),
};

/// Most jobs in one claim or ack. A batch is a loop of statements here, so it only holds its locks longer.
const MAX_LOOP: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

const DEFAULT_ENTRYPOINTS: u32 = 2;
const MOST_ENTRYPOINTS: u32 = 1_000;

struct Options {
    by_session: bool,
    append: bool,
    entrypoints: u32,
}

impl Options {
    fn of(options: &BackendOptions) -> Result<Self> {
        Ok(Options {
            by_session: options.choice("lock", &["session", "transaction"])? == "session",
            append: options.choice("statistics", &["upsert", "append"])? == "append",
            entrypoints: options.parse_in("entrypoints", DEFAULT_ENTRYPOINTS, 1..=MOST_ENTRYPOINTS)?,
        })
    }
}

fn open(config: &BackendConfig) -> Result<PgBackend<OneByOne>> {
    let Options { by_session, append, entrypoints } = Options::of(&config.options)?;
    let settings = Settings::new(ENTRY.id, config)?.noting(note(by_session, append));
    let sql = SqlTexts::new(&settings);
    let get = |name: &str| sql.get(sql::ADVISORY_LOCK, name);
    let tables = vec![settings.namespace.table("jobs"), settings.namespace.table("jobs_statistics")];
    let key = if append { String::new() } else { sql.text(sql::ADVISORY_LOCK, "statistics_key") };
    let create = [("{entrypoints}", entrypoints.to_string()), ("{key}", key)];
    let in_flight = sql.text(sql::ADVISORY_LOCK, "in_flight");
    let design = Design {
        queue_type: ENTRY.id,
        create: sql.filled(sql::ADVISORY_LOCK, "create", &create),
        storage: tables.clone(),
        tables,
        release: None,
        depth: depth::statement(&sql, &["jobs".to_owned()], "status = 0", &in_flight),
        census: get("census"),
        binding: None,
    };
    let statements = Statements {
        claim: get("claim"),
        reclaim: get("reclaim"),
        complete: get("complete"),
        count: get(if append { "append" } else { "count" }),
        locks: match by_session {
            true => Locks::OfSession { lock: get("lock_session"), unlock: get("unlock_session") },
            false => Locks::OfTransaction { lock: get("lock") },
        },
        nack: AnnouncedStatement::named(&sql, sql::ADVISORY_LOCK, "nack"),
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: sql.get(sql::QUEUE, "enqueue"),
        consumers: OneByOne(Arc::new(statements)),
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

/// What a reader of its figures must know: the price of the design.
fn note(by_session: bool, append: bool) -> String {
    let ack = match by_session {
        false => "an ack of n is 3n + 2 requests in one transaction (lock, delete and count each job)",
        true => "an ack of n is 6n requests and n transactions (lock, begin, delete, count, commit, unlock)",
    };
    let statistics = match append {
        false => {
            "; all jobs of one kind, second of arrival and time in the queue count up one row, which is locked until the commit, \
             so that workers wait for each other there, and two that meet in another order deadlock"
        }
        true => "",
    };
    format!("a job is a statement of its own: a claim of n is n requests, {ack}{statistics}")
}

/// Scope of the advisory locks.
enum Locks {
    /// Released by the commit.
    OfTransaction { lock: SqlStr },
    /// Released job by job.
    OfSession { lock: SqlStr, unlock: SqlStr },
}

/// The statements of consumers, each for one job.
struct Statements {
    claim: SqlStr,
    reclaim: SqlStr,
    complete: SqlStr,
    count: SqlStr,
    locks: Locks,
    nack: AnnouncedStatement,
}

/// Consumers that handle one job after the other.
struct OneByOne(Arc<Statements>);

impl Consumers for OneByOne {
    async fn open(&self, settings: &Arc<Settings>, _id: WorkerId) -> Result<Consumer> {
        let (claims, acks) = Link::two(settings).await?;
        let queue = Queue { link: claims, statements: Arc::clone(&self.0), lease_s: settings.lease.as_secs_f64() };
        let acker = LockingAcker { link: acks, statements: Arc::clone(&self.0) };
        Ok(Consumer { claimer: settings.claimer(queue), acker: Box::new(acker) })
    }
}

/// The queue table as one worker claims from it.
struct Queue {
    link: Link,
    statements: Arc<Statements>,
    lease_s: f64,
}

impl Queue {
    /// Runs `statement`, which takes one job, until there is none or `limit` are taken. What was taken before an error stays
    /// in `out`: those jobs are ours.
    async fn one_by_one(
        &mut self,
        what: &'static str,
        statement: &SqlStr,
        arguments: impl Arguments + Copy + Send,
        limit: u32,
        out: &mut Vec<Lease>,
    ) -> Result<()> {
        for _ in 0..limit {
            let before = out.len();
            rows::fetch(&mut self.link, what, statement, arguments, ANYWHERE, out).await?;
            if out.len() == before {
                break;
            }
        }
        Ok(())
    }
}

impl Look for Queue {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let statement = self.statements.claim.clone();
        self.one_by_one("claim", &statement, (), limit, out).await
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let statement = self.statements.reclaim.clone();
        self.one_by_one("reclaim", &statement, (self.lease_s,), limit, out).await
    }
}

/// Settles a worker's leases one after the other, in the order in which they come.
struct LockingAcker {
    link: Link,
    statements: Arc<Statements>,
}

#[async_trait]
impl Acker for LockingAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let before = out.len();
        let link = &mut self.link;
        let acked = match &self.statements.locks {
            Locks::OfTransaction { lock } => self.statements.ack_together(link, lock, leases, out).await,
            Locks::OfSession { lock, unlock } => self.statements.ack_apart(link, lock, unlock, leases, out).await,
        };
        if acked.is_err() {
            out.truncate(before);
        }
        acked
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        give_back(&mut self.link, &self.statements.nack, leases).await
    }
}

impl Statements {
    /// All of them in one transaction.
    async fn ack_together(
        &self,
        link: &mut Link,
        lock: &SqlStr,
        leases: &[Lease],
        out: &mut Vec<AckStatus>,
    ) -> Result<()> {
        let looped = async {
            link.command("ack", "BEGIN").await?;
            for lease in leases {
                on_id(link, lock, lease).await?;
                out.push(self.complete(link, lease).await?);
            }
            link.command("ack", "COMMIT").await
        }
        .await;
        if looped.is_err() && (!link.is_connected() || link.command("roll back an ack", "ROLLBACK").await.is_err()) {
            link.disconnect();
        }
        looped
    }

    /// Each of them in a transaction of its own.
    async fn ack_apart(
        &self,
        link: &mut Link,
        lock: &SqlStr,
        unlock: &SqlStr,
        leases: &[Lease],
        out: &mut Vec<AckStatus>,
    ) -> Result<()> {
        let before = out.len();
        for lease in leases {
            let one = async {
                on_id(link, lock, lease).await?;
                link.command("ack", "BEGIN").await?;
                out.push(self.complete(link, lease).await?);
                link.command("ack", "COMMIT").await?;
                on_id(link, unlock, lease).await
            }
            .await;
            if let Err(error) = one {
                // Takes lock and transaction along.
                link.disconnect();
                // Whoever tries again must not take the jobs that are done for somebody else's.
                return Err(if out.len() > before { error.into_unknown() } else { error });
            }
        }
        Ok(())
    }

    /// Takes one job out of the queue and counts it, where its lease holds.
    async fn complete(&self, link: &mut Link, lease: &Lease) -> Result<AckStatus> {
        let arguments = (rows::id(lease), rows::attempt(lease));
        let mut completed: Option<(i32, i64, i64)> = None;
        link.run("ack", &self.complete, arguments, |row| {
            completed = Some((row.get(0)?, row.get(1)?, row.get(2)?));
            Ok(())
        })
        .await?;
        let Some((entrypoint, time_in_queue_s, created_s)) = completed else { return Ok(AckStatus::Stale) };
        link.run("count a job", &self.count, (entrypoint, time_in_queue_s, created_s), |_| Ok(())).await?;
        Ok(AckStatus::Acked)
    }
}

/// Runs a statement about a lease's id whose answer says nothing.
async fn on_id(link: &mut Link, statement: &SqlStr, lease: &Lease) -> Result<()> {
    link.run("lock or unlock a job", statement, (rows::id(lease),), |_| Ok(())).await.map(|_| ())
}
