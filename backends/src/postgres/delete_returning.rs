//! `delete_returning`: a claim takes the row out of the queue; done jobs go to an archive.
//!
//! Two contracts, chosen by the option `commit`. With `claim` the delete is committed at once: whoever vanishes takes the
//! job along (at most once). With `ack` the transaction stays open while the job runs: one job per connection, and the
//! server puts it back when the connection ends (at least once).

mod committed;
mod held;

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::result::{Delivery, Durability};
use qbench_schema::sql;
use sqlx::SqlStr;

use super::MAX_BATCH;
use super::admin::{Design, PgAdmin};
use super::link::Link;
use super::producer::PgProducer;
use super::statements::Statements;
use super::target::{Role, Target};
use super::waiting::WAKES;
use crate::capability::{Capabilities, Order, Recovery};
use crate::config::BackendConfig;
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::registry::{EngineKind, Entry, OptionSpec};
use crate::seam::{Admin, Backend, Consumer, Producer};

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "delete_returning",
    engine: EngineKind::Postgres,
    summary: "claim = DELETE … RETURNING, done jobs to an archive; at most once, or at least once with commit=ack",
    options: &[OptionSpec {
        key: "commit",
        default: "claim",
        help: "when the delete is committed: claim (at most once: a job whose worker vanishes is lost) or ack (at least \
               once: the transaction stays open while the job runs, one job per connection)",
    }],
    variants: &[&[("commit", "ack")]],
    open: |config| Ok(Arc::new(DeleteReturning::open(config)?)),
};

/// When the delete is committed.
enum Commit {
    /// By the claim.
    AtClaim(Arc<committed::Hot>),
    /// By the ack.
    AtAck(Arc<held::Hot>),
}

struct DeleteReturning {
    target: Arc<Target>,
    design: Arc<Design>,
    enqueue: SqlStr,
    commit: Commit,
}

impl DeleteReturning {
    fn open(config: &BackendConfig) -> Result<Self> {
        let at_ack = config.options.choice("commit", &["claim", "ack"])? == "ack";
        let target = Target::new(ENTRY.id, config)?;
        let sql = Statements::new(sql::DELETE_RETURNING, &target.namespace);
        let mut create = sql.text("create");
        if target.durability == Durability::D0 {
            create.push('\n');
            create.push_str(&sql.text("unlogged"));
        }
        let tables = vec![target.namespace.table("jobs"), target.namespace.table("jobs_archive")];
        let design = Design {
            queue_type: ENTRY.id,
            create,
            storage: tables.clone(),
            tables,
            reset: sql.text("reset"),
            release: at_ack.then(|| sql.get("release_held")),
            depth: sql.get("depth"),
            census: sql.get(if at_ack { "census_held" } else { "census" }),
        };
        let enqueue = sql.get("enqueue");
        let commit = if at_ack {
            Commit::AtAck(Arc::new(held::Hot { claim: sql.get("claim_held") }))
        } else {
            Commit::AtClaim(Arc::new(committed::Hot {
                claim: sql.get("claim"),
                ack: sql.get("ack"),
                nack: sql.get("nack"),
            }))
        };
        Ok(DeleteReturning { target: Arc::new(target), design: Arc::new(design), enqueue, commit })
    }
}

#[async_trait]
impl Backend for DeleteReturning {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    fn capabilities(&self) -> Capabilities {
        let committed = Capabilities {
            delivery: Delivery::AtMostOnce,
            recovery: Recovery::None,
            wakes: WAKES,
            max_enqueue_batch: MAX_BATCH,
            max_claim_batch: MAX_BATCH,
            max_ack_batch: MAX_BATCH,
            one_claim_at_a_time: false,
            nack: true,
            // A lease cannot pass on: the job is nowhere else.
            detects_stale_ack: false,
            counts_attempts: true,
            sees_in_flight: false,
            order: Order::Fifo,
        };
        match self.commit {
            Commit::AtClaim(_) => committed,
            Commit::AtAck(_) => Capabilities {
                delivery: Delivery::AtLeastOnce,
                recovery: Recovery::ConnectionLoss,
                max_claim_batch: NonZeroU32::MIN,
                max_ack_batch: NonZeroU32::MIN,
                one_claim_at_a_time: true,
                // The transaction that held a lease is known to be gone when its ack comes too late.
                detects_stale_ack: true,
                // A rollback takes back everything, a count included.
                counts_attempts: false,
                ..committed
            },
        }
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(PgAdmin::open(&self.target, &self.design).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(PgProducer::open(&self.target, self.enqueue.clone()).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let link = Link::open(&self.target, Role::Consumer).await?;
        let worker = id.0.cast_signed();
        Ok(match &self.commit {
            Commit::AtClaim(hot) => committed::consumer(&self.target, link, hot, worker),
            Commit::AtAck(hot) => held::consumer(&self.target, link, hot, worker),
        })
    }
}
