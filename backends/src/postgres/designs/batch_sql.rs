//! `batch_sql`: the design of PgQueuer and pgqueue-go. Batches by priority, retries in the same statement, and completions
//! that leave a count and no row.

mod acker;
mod front;
mod statements;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use qbench_schema::sql;
use tokio::time::Instant;

use self::acker::BatchAcker;
use self::front::{Front, Place};
use self::statements::Statements;
use crate::capability::{AckBuffer, Capabilities, Order};
use crate::claimer::Look;
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::postgres::admin::Design;
use crate::postgres::announced::AnnouncedStatement;
use crate::postgres::arguments::Array;
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::connection::Link;
use crate::postgres::depth::{self, Share};
use crate::postgres::leased;
use crate::postgres::ownership;
use crate::postgres::rows;
use crate::postgres::session_options::{self, SessionOptions};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, prepared};
use crate::seam::Consumer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "batch_sql",
    engine: crate::postgres::ENGINE,
    summary: "PgQueuer's design: batches by priority with retry of stale jobs, completion by one statement, statistics",
    colour: Some([204, 121, 167]),
    options: &[
        session_options::CLIENT,
        session_options::PLANS,
        session_options::CLAIM_COMMIT,
        OptionSpec {
            key: "priorities",
            default: "1",
            help: "levels of priority that the jobs are spread over, 1 to 100; the highest is claimed first",
        },
        OptionSpec {
            key: "entrypoints",
            default: "1",
            help: "entrypoints that the jobs are spread over, 1 to 100; every worker serves all of them",
        },
    ],
    variants: &[&[("priorities", "4"), ("entrypoints", "3"), ("pg_client", "sqlx")]],
    contract: &|options| {
        SessionOptions::of(options)?;
        Options::of(options).map(Options::capabilities)
    },
    opener: &|config| Ok(Arc::new(open(config)?)),
};

/// Most priorities and entrypoints. Each is a branch of the depth or an element of every claim's argument.
const MOST_KINDS: u32 = 100;

/// The buffer of PgQueuer; that of pgqueue-go is as large and waits for 100 ms.
const BUFFER: AckBuffer = AckBuffer { jobs: NonZeroU32::new(10).expect("not zero"), linger: Duration::from_millis(10) };

/// Longest pause between two claims of one worker that look for stale jobs: a vanished worker's jobs wait that much longer.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

struct Options {
    priorities: u32,
    entrypoints: u32,
}

impl Options {
    fn of(options: &BackendOptions) -> Result<Self> {
        Ok(Options {
            priorities: options.parse_in("priorities", 1, 1..=MOST_KINDS)?,
            entrypoints: options.parse_in("entrypoints", 1, 1..=MOST_KINDS)?,
        })
    }

    fn capabilities(self) -> Capabilities {
        Capabilities {
            ack_buffer: BUFFER,
            // Arrival decides only within a priority.
            order: if self.priorities == 1 { Order::Fifo } else { Order::None },
            ..leased::CONTRACT
        }
    }
}

fn open(config: &BackendConfig) -> Result<PgBackend<Batches>> {
    let Options { priorities, entrypoints } = Options::of(&config.options)?;
    let settings = Settings::new(ENTRY.id, config)?;
    let sql = SqlTexts::new(&settings);
    let get = |name: &str| sql.get(sql::BATCH_SQL, name);
    let spread = [("{priorities}", priorities.to_string()), ("{entrypoints}", entrypoints.to_string())];
    // Jobs are spread evenly over priorities, and within one of them claims take the smallest ids first.
    let shares: Vec<Share> = (0..priorities)
        .map(|priority| Share {
            table: "jobs".to_owned(),
            // As the index has it.
            waits: format!("status = 'queued' AND -priority = -{priority}"),
        })
        .collect();
    let tables = vec![settings.namespace.table("jobs"), settings.namespace.table("statistics")];
    let design = Design {
        queue_type: ENTRY.id,
        create: sql.filled(sql::BATCH_SQL, "create", &[("{mark}", ownership::OBJECT)]),
        storage: tables.clone(),
        tables,
        release: None,
        depth: depth::over(&sql, &shares, &sql.text(sql::BATCH_SQL, "in_flight")),
        census: get("census"),
        binding: None,
    };
    let statements = Statements {
        claim: get("claim"),
        reclaim: get("reclaim"),
        complete: get("complete"),
        nack: AnnouncedStatement::named(&sql, sql::BATCH_SQL, "nack"),
        priorities,
        entrypoints: (0..entrypoints).map(|entrypoint| format!("entrypoint_{entrypoint}")).collect(),
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: prepared(sql.filled(sql::BATCH_SQL, "enqueue", &spread)),
        consumers: Batches(Arc::new(statements)),
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

/// Consumers that claim by priority and complete in batches.
struct Batches(Arc<Statements>);

impl Consumers for Batches {
    async fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
        let (claims, acks) = Link::two(settings).await?;
        let queue = Queue {
            link: claims,
            statements: Arc::clone(&self.0),
            lease: settings.lease,
            retry_at: Instant::now(),
            front: Front::new(self.0.priorities),
        };
        let acker = BatchAcker::new(acks, Arc::clone(&self.0), id);
        Ok(Consumer { claimer: settings.claimer(queue), acker: Box::new(acker) })
    }
}

/// The queue as one worker claims from it.
struct Queue {
    link: Link,
    statements: Arc<Statements>,
    /// The retry timer.
    lease: Duration,
    /// When a claim looks for stale jobs again.
    retry_at: Instant,
    front: Front,
}

impl Queue {
    /// The retry timer for a claim at `now`, where it is time to look for stale jobs again.
    ///
    /// Not every claim does: whatever was completed since the last vacuum still has its entry in that index, and looking
    /// past all of them ten times a lease finds the same jobs as looking a thousand times a second.
    fn retry_s(&mut self, now: Instant) -> Option<f64> {
        if now < self.retry_at {
            return None;
        }
        self.retry_at = now + (self.lease / 10).min(RETRY_PAUSE_MAX);
        Some(self.lease.as_secs_f64())
    }

    /// Claims behind `begin`; returns the place of the last job, in the order of claims.
    async fn claim(
        &mut self,
        limit: u32,
        retry_s: Option<f64>,
        begin: Place,
        out: &mut Vec<Lease>,
    ) -> Result<Option<Place>> {
        let entrypoints = Array(self.statements.entrypoints.iter().map(String::as_str));
        let arguments = (rows::limit(limit), entrypoints, retry_s, begin.rank, begin.id);
        let before = out.len();
        let mut last = None;
        let claimed = self.link.run("claim", &self.statements.claim, arguments, |row| {
            out.push(rows::lease(row, 0)?);
            last = last.max(Some(Place { rank: row.get(4)?, id: row.get(0)? }));
            Ok(())
        });
        if let Err(error) = claimed.await {
            out.truncate(before);
            return Err(error);
        }
        Ok(last)
    }
}

impl Look for Queue {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let now = Instant::now();
        let retry_s = self.retry_s(now);
        let begin = self.front.begin(now);
        let mut last = self.claim(limit, retry_s, begin, out).await?;
        if last.is_none() && begin != Place::FIRST {
            last = self.claim(limit, None, Place::FIRST, out).await?;
        }
        // Stale jobs may stand anywhere, and say nothing about where the queued ones begin.
        self.front.found(if retry_s.is_some() { None } else { last });
        Ok(())
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let entrypoints = Array(self.statements.entrypoints.iter().map(String::as_str));
        let arguments = (rows::limit(limit), entrypoints, self.lease.as_secs_f64());
        rows::fetch(&mut self.link, "reclaim", &self.statements.reclaim, arguments, 0, out).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn declared(pairs: &[(&str, &str)]) -> Result<Capabilities> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ENTRY.capabilities(&BackendOptions::new(pairs))
    }

    #[test]
    fn an_impossible_number_of_kinds_is_refused_with_the_range() {
        for (key, value) in [("priorities", "0"), ("priorities", "101"), ("entrypoints", "0"), ("entrypoints", "many")]
        {
            let error = declared(&[(key, value)]).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(
                error.to_string(),
                format!("option {key}={value} is not valid: expected a whole number from 1 to 100")
            );
        }
    }

    #[test]
    fn order_is_declared_only_where_priorities_do_not_change_it() {
        assert_eq!(declared(&[]).expect("valid").order, Order::Fifo);
        assert_eq!(declared(&[("entrypoints", "3")]).expect("valid").order, Order::Fifo);
        assert_eq!(declared(&[("priorities", "2")]).expect("valid").order, Order::None);
    }
}
