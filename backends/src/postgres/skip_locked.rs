//! `skip_locked`: one table with a status column, claimed with `SELECT … FOR UPDATE SKIP LOCKED`.

use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::result::{Delivery, Durability};
use qbench_schema::sql;
use sqlx::SqlStr;
use tokio::sync::Mutex;

use super::MAX_BATCH;
use super::admin::{Design, PgAdmin};
use super::link::Link;
use super::producer::PgProducer;
use super::rows::{self, Bind};
use super::statements::Statements;
use super::target::{Role, Target};
use super::waiting::{Source, WAKES, WaitingClaimer};
use crate::capability::{Capabilities, Order, Recovery};
use crate::config::BackendConfig;
use crate::error::Result;
use crate::job::{Lease, ProducerId, WorkerId};
use crate::registry::{EngineKind, Entry};
use crate::seam::{AckStatus, Acker, Admin, Backend, Consumer, Producer};

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "skip_locked",
    engine: EngineKind::Postgres,
    summary: "one table with a status column; SELECT … FOR UPDATE SKIP LOCKED; done jobs stay in it",
    options: &[],
    variants: &[],
    open: |config| Ok(Arc::new(SkipLocked::open(config)?)),
};

struct SkipLocked {
    target: Arc<Target>,
    design: Arc<Design>,
    statements: Arc<Hot>,
}

/// The statements of producers and consumers.
struct Hot {
    enqueue: SqlStr,
    claim: SqlStr,
    ack: SqlStr,
    ack_mixed: SqlStr,
    nack: SqlStr,
    reclaim: SqlStr,
}

impl SkipLocked {
    fn open(config: &BackendConfig) -> Result<Self> {
        let target = Target::new(ENTRY.id, config)?;
        let sql = Statements::new(sql::SKIP_LOCKED, &target.namespace);
        let mut create = sql.text("create");
        if target.durability == Durability::D0 {
            create.push('\n');
            create.push_str(&sql.text("unlogged"));
        }
        let tables = vec![target.namespace.table("jobs")];
        let design = Design {
            queue_type: ENTRY.id,
            create,
            storage: tables.clone(),
            tables,
            reset: sql.text("reset"),
            release: None,
            depth: sql.get("depth"),
            census: sql.get("census"),
        };
        let statements = Hot {
            enqueue: sql.get("enqueue"),
            claim: sql.get("claim"),
            ack: sql.get("ack"),
            ack_mixed: sql.get("ack_mixed"),
            nack: sql.get("nack"),
            reclaim: sql.get("reclaim"),
        };
        Ok(SkipLocked { target: Arc::new(target), design: Arc::new(design), statements: Arc::new(statements) })
    }
}

#[async_trait]
impl Backend for SkipLocked {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            delivery: Delivery::AtLeastOnce,
            recovery: Recovery::LeaseExpiry,
            wakes: WAKES,
            max_enqueue_batch: MAX_BATCH,
            max_claim_batch: MAX_BATCH,
            max_ack_batch: MAX_BATCH,
            one_claim_at_a_time: false,
            nack: true,
            detects_stale_ack: true,
            counts_attempts: true,
            sees_in_flight: true,
            order: Order::Fifo,
        }
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(PgAdmin::open(&self.target, &self.design).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(PgProducer::open(&self.target, self.statements.enqueue.clone()).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let link = Arc::new(Mutex::new(Link::open(&self.target, Role::Consumer).await?));
        let table = Table {
            link: Arc::clone(&link),
            statements: Arc::clone(&self.statements),
            worker: id.0.cast_signed(),
            lease_s: self.target.lease.as_secs_f64(),
        };
        let acker =
            TableAcker { link, statements: Arc::clone(&self.statements), ids: Vec::new(), returned: Vec::new() };
        Ok(Consumer { claimer: Box::new(WaitingClaimer::new(table, &self.target)), acker: Box::new(acker) })
    }
}

/// The table as one worker claims from it.
struct Table {
    link: Arc<Mutex<Link>>,
    statements: Arc<Hot>,
    worker: i32,
    lease_s: f64,
}

impl Table {
    async fn fetch(&self, what: &'static str, statement: &SqlStr, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let arguments = Bind::default().value(rows::limit(limit))?.value(self.worker)?.value(self.lease_s)?.done();
        rows::fetch(&mut *self.link.lock().await, what, statement, arguments, 0, out).await
    }
}

impl Source for Table {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch("claim", &self.statements.claim, limit, out).await
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch("reclaim", &self.statements.reclaim, limit, out).await
    }
}

/// The table as one worker settles its leases.
struct TableAcker {
    link: Arc<Mutex<Link>>,
    statements: Arc<Hot>,
    /// Scratch of one ack, kept to spare its allocation.
    ids: Vec<i64>,
    /// Scratch of one ack, kept to spare its allocation.
    returned: Vec<i64>,
}

#[async_trait]
impl Acker for TableAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let (statement, arguments) = match rows::common(leases, rows::attempt) {
            Some(attempt) => {
                // Sorted, so that two batches with jobs in common lock them in the same order.
                rows::sorted_ids(leases, &mut self.ids);
                (&self.statements.ack, Bind::default().value(self.ids.as_slice())?.value(attempt)?.done())
            }
            None => (&self.statements.ack_mixed, rows::ids_and_attempts(leases)?),
        };
        rows::fetch_ids(&mut *self.link.lock().await, "ack", statement, arguments, &mut self.returned).await?;
        rows::statuses(leases, &mut self.returned, out);
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let arguments = rows::ids_and_attempts(leases)?;
        self.link.lock().await.run("nack", &self.statements.nack, arguments, |_| Ok(())).await?;
        Ok(())
    }
}
