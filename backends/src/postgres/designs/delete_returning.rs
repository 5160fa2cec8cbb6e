//! `delete_returning`: a claim takes the row out of the queue; done jobs go to an archive.
//!
//! Two contracts, chosen by the option `commit`. With `claim` the delete is committed at once: whoever vanishes takes the
//! job along (at most once). With `ack` the transaction stays open while the job runs: one job per connection, and the
//! server puts it back when the connection ends (at least once).

mod committed;
mod held;

use std::sync::Arc;

use qbench_schema::sql;

use crate::capability::Capabilities;
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::WorkerId;
use crate::postgres::admin::Design;
use crate::postgres::announced::{AnnouncedStatement, NotifyOne};
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::client::{self, Client};
use crate::postgres::depth;
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, prepared};
use crate::postgres::{MAX_BATCH, WAKES};
use crate::seam::Consumer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "delete_returning",
    engine: crate::postgres::ENGINE,
    summary: "claim = DELETE … RETURNING, done jobs to an archive; at most once, or at least once with commit=ack",
    colour: Some([230, 159, 0]),
    options: &[
        client::OPTION,
        OptionSpec {
            key: "commit",
            default: "claim",
            help: "when the delete is committed: claim (at most once: a job whose worker vanishes is lost) or ack (at least \
                   once: the transaction stays open while the job runs, one job per connection)",
        },
    ],
    variants: &[client::GENERAL, &[("commit", "ack")]],
    contract: &|options| {
        Client::of(options)?;
        is_at_ack(options).map(capabilities)
    },
    opener: &|config| Ok(Arc::new(open(config)?)),
};

/// When the delete is committed.
enum Commit {
    /// By the claim.
    AtClaim(Arc<committed::Statements>),
    /// By the ack.
    AtAck(Arc<held::Statements>),
}

fn open(config: &BackendConfig) -> Result<PgBackend<Commit>> {
    let at_ack = is_at_ack(&config.options)?;
    let settings = Settings::new(ENTRY.id, config)?;
    let sql = SqlTexts::new(&settings);
    let get = |name: &str| sql.get(sql::DELETE_RETURNING, name);
    let tables = vec![settings.namespace.table("jobs"), settings.namespace.table("jobs_archive")];
    let enqueued = if at_ack { "ready + done" } else { "NULL" };
    let in_flight = sql.text(sql::DELETE_RETURNING, "in_flight");
    let design = Design {
        queue_type: ENTRY.id,
        create: sql.text(sql::DELETE_RETURNING, "create"),
        storage: tables.clone(),
        tables,
        release: at_ack.then(|| get("release_held")),
        // Whatever is in the queue table waits.
        depth: depth::statement(&sql, &["jobs".to_owned()], "true", &in_flight),
        census: prepared(sql.filled(sql::DELETE_RETURNING, "census", &[("{enqueued}", enqueued)])),
        binding: None,
    };
    let commit = if at_ack {
        Commit::AtAck(Arc::new(held::Statements { claim: get("claim_held"), notify_one: NotifyOne::new(&settings) }))
    } else {
        let nack = AnnouncedStatement::named(&sql, sql::DELETE_RETURNING, "nack");
        Commit::AtClaim(Arc::new(committed::Statements { claim: get("claim"), ack: get("ack"), nack }))
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: sql.get(sql::QUEUE, "enqueue"),
        consumers: commit,
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

fn is_at_ack(options: &BackendOptions) -> Result<bool> {
    Ok(options.choice("commit", &["claim", "ack"])? == "ack")
}

fn capabilities(at_ack: bool) -> Capabilities {
    match at_ack {
        false => Capabilities { sees_in_flight: false, ..Capabilities::taken_out(WAKES, MAX_BATCH) },
        true => Capabilities::held_by_connection(WAKES, MAX_BATCH),
    }
}

impl Consumers for Commit {
    async fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
        let worker = id.0.cast_signed();
        match self {
            Commit::AtClaim(statements) => committed::open(settings, statements, worker).await,
            Commit::AtAck(statements) => held::open(settings, statements, worker).await,
        }
    }
}
