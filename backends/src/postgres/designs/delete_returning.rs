//! `delete_returning`: a row leaves the queue by DELETE … RETURNING; done jobs are in an archive.
//!
//! Three contracts, chosen by the option `commit`. With `claim` the delete is committed at once: whoever vanishes takes the
//! job along (at most once). With `ack` the transaction stays open while the job runs: one job per connection, and the
//! server puts it back when the connection ends (at least once). With `visibility` a claim hides the row until its lease ends,
//! and the ack deletes it (at least once).

mod committed;
mod held;
mod hidden;

use std::sync::Arc;

use qbench_schema::sql;
use sqlx::SqlStr;

use crate::capability::Capabilities;
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::{Error, Result};
use crate::job::WorkerId;
use crate::postgres::admin::Design;
use crate::postgres::announced::AnnouncedStatement;
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::depth;
use crate::postgres::session_options::{self, ClaimCommit, SessionOptions};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::SqlTexts;
use crate::postgres::{MAX_BATCH, WAKES};
use crate::seam::Consumer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "delete_returning",
    engine: crate::postgres::ENGINE,
    summary: "claim = DELETE … RETURNING, done jobs to an archive; at most once, or at least once with commit=ack or visibility",
    colour: Some([230, 159, 0]),
    options: &[
        session_options::CLIENT,
        session_options::PLANS,
        session_options::CLAIM_COMMIT,
        OptionSpec {
            key: "commit",
            default: "claim",
            help: "when the delete is committed: claim (at most once: a job whose worker vanishes is lost), ack (at least \
                   once: the transaction stays open while the job runs, one job per connection) or visibility (at least once: the \
                   claim hides the job until its lease ends, and the ack deletes it, as pgmq does)",
        },
    ],
    variants: &[&[("commit", "ack"), ("pg_client", "sqlx")], &[("commit", "visibility")]],
    contract: &|options| {
        let claim_commit = SessionOptions::of(options)?.claim_commit;
        let commit = Commit::of(options)?;
        if claim_commit == ClaimCommit::Async && commit != Commit::Visibility {
            return Err(Error::config(
                "option claim_commit=async needs claims that are only leases, whose loss delivers a job again: with this backend \
                 take commit=visibility, too",
            ));
        }
        Ok(commit.capabilities())
    },
    opener: &|config| Ok(Arc::new(open(config)?)),
};

/// When the delete is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    Claim,
    Ack,
    Visibility,
}

impl Commit {
    fn of(options: &BackendOptions) -> Result<Self> {
        Ok(match options.choice("commit", &["claim", "ack", "visibility"])? {
            "ack" => Commit::Ack,
            "visibility" => Commit::Visibility,
            _ => Commit::Claim,
        })
    }

    fn capabilities(self) -> Capabilities {
        match self {
            Commit::Claim => Capabilities { sees_in_flight: false, ..Capabilities::taken_out(WAKES, MAX_BATCH) },
            Commit::Ack => Capabilities::held_by_connection(WAKES, MAX_BATCH),
            Commit::Visibility => crate::postgres::CONTRACT,
        }
    }
}

fn open(config: &BackendConfig) -> Result<PgBackend<Deletes>> {
    let commit = Commit::of(&config.options)?;
    let settings = Settings::new(ENTRY.id, config)?;
    let sql = SqlTexts::new(&settings);
    let get = |name: &str| sql.get(sql::DELETE_RETURNING, name);
    let announced = |name: &str| AnnouncedStatement::named(&sql, sql::DELETE_RETURNING, name);
    let (create, tables, waits, in_flight, census) = match commit {
        Commit::Claim => ("create", &["jobs", "jobs_archive", "jobs_done"][..], "true", "in_flight", "census"),
        Commit::Ack => ("create", &["jobs", "jobs_archive", "jobs_done"][..], "true", "in_flight", "census_held"),
        Commit::Visibility => (
            "create_visibility",
            &["jobs", "jobs_archive"][..],
            "visible_from = '-infinity'",
            "in_flight_visibility",
            "census_visibility",
        ),
    };
    let tables: Vec<String> = tables.iter().map(|table| settings.namespace.table(table)).collect();
    let in_flight = sql.text(sql::DELETE_RETURNING, in_flight);
    let design = Design {
        queue_type: ENTRY.id,
        create: sql.text(sql::DELETE_RETURNING, create),
        storage: tables.clone(),
        tables,
        release: (commit == Commit::Ack).then(|| get("release_held")),
        depth: depth::statement(&sql, &["jobs".to_owned()], waits, &in_flight),
        census: get(census),
        binding: None,
    };
    let consumers = match commit {
        Commit::Claim => Deletes::ByClaim(Arc::new(committed::Statements {
            claim: get("claim"),
            ack: get("ack"),
            nack: announced("nack"),
        })),
        Commit::Ack => Deletes::InTransaction(get("claim_held")),
        Commit::Visibility => Deletes::ByAck(Arc::new(hidden::Statements {
            claim: get("claim_visible"),
            reclaim: get("reclaim"),
            ack: get("archive"),
            nack: announced("show"),
        })),
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: sql.get(sql::QUEUE, "enqueue"),
        consumers,
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

/// Consumers, by who deletes.
enum Deletes {
    ByClaim(Arc<committed::Statements>),
    InTransaction(SqlStr),
    ByAck(Arc<hidden::Statements>),
}

impl Consumers for Deletes {
    async fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
        let worker = id.0.cast_signed();
        match self {
            Deletes::ByClaim(statements) => committed::open(settings, statements, worker).await,
            Deletes::InTransaction(claim) => held::open(settings, claim, worker).await,
            Deletes::ByAck(statements) => hidden::open(settings, statements, worker).await,
        }
    }
}
