//! `partitioned`: skip_locked over hash partitions, with workers bound to partitions.

mod binding;

use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::result::{Delivery, Durability};
use qbench_schema::sql;
use sqlx::{Row, SqlStr};
use tokio::sync::Mutex;

use self::binding::{Rotation, own_partitions};
use super::MAX_BATCH;
use super::admin::{Design, PgAdmin};
use super::link::Link;
use super::producer::PgProducer;
use super::rows::{self, Bind};
use super::statements::{Statements, prepared};
use super::target::{Role, Target};
use super::waiting::{Source, WAKES, WaitingClaimer};
use crate::capability::{Capabilities, Order, Recovery};
use crate::config::BackendConfig;
use crate::error::{Error, Result};
use crate::job::{Lease, ProducerId, WorkerId};
use crate::registry::{EngineKind, Entry, OptionSpec};
use crate::seam::{AckStatus, Acker, Admin, Backend, Consumer, Producer};

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "partitioned",
    engine: EngineKind::Postgres,
    summary: "skip_locked over hash partitions; workers bound to partitions, partition tables addressed directly",
    options: &[
        OptionSpec { key: "partitions", default: "16", help: "number of hash partitions, 1 to 256" },
        OptionSpec {
            key: "steal",
            default: "false",
            help: "whether a worker that finds nothing in its own partitions looks into the others: true or false",
        },
    ],
    variants: &[&[("steal", "true")]],
    open: |config| Ok(Arc::new(Partitioned::open(config)?)),
};

const DEFAULT_PARTITIONS: u32 = 16;
const MOST_PARTITIONS: u32 = 256;

/// Place of a lease whose partition is not known; partition `p` is place `p + 1`.
const ANY_PARTITION: u32 = 0;

struct Partitioned {
    target: Arc<Target>,
    design: Arc<Design>,
    statements: Arc<Hot>,
    partitions: u32,
    steal: bool,
}

/// The statements of producers and consumers.
struct Hot {
    enqueue: SqlStr,
    /// By partition.
    claim: Vec<SqlStr>,
    /// By partition.
    ack: Vec<SqlStr>,
    ack_any: SqlStr,
    ack_mixed: SqlStr,
    nack: SqlStr,
    reclaim: SqlStr,
    /// By partition: the branches of which each worker puts together its own probes.
    probe: Vec<String>,
}

impl Hot {
    /// The ack for leases that all come from `place`, or from several.
    fn ack_on(&self, place: Option<u32>) -> &SqlStr {
        match place {
            Some(place) if place != ANY_PARTITION => &self.ack[place as usize - 1],
            _ => &self.ack_any,
        }
    }
}

impl Partitioned {
    fn open(config: &BackendConfig) -> Result<Self> {
        let expected = "a whole number from 1 to 256";
        let partitions = config.options.parse("partitions", DEFAULT_PARTITIONS, expected)?;
        if !(1..=MOST_PARTITIONS).contains(&partitions) {
            return Err(Error::config(format!("option partitions={partitions} is not valid: expected {expected}")));
        }
        let steal = config.options.parse("steal", false, "true or false")?;
        let target = Target::new(ENTRY.id, config)?;
        let sql = Statements::new(sql::PARTITIONED, &target.namespace);
        let on_partition = |name: &str, partition: u32| {
            sql.filled(
                name,
                &[
                    ("{partitions}", &partitions.to_string()),
                    ("{partition}", &partition.to_string()),
                    ("{table}", &format!("jobs_p{partition}")),
                ],
            )
        };
        let on_each = |name: &str| (0..partitions).map(|partition| on_partition(name, partition)).collect::<Vec<_>>();

        let create_partition =
            if target.durability == Durability::D0 { "create_partition_unlogged" } else { "create_partition" };
        let mut create = vec![sql.text("create")];
        create.extend(on_each(create_partition));
        let design = Design {
            queue_type: ENTRY.id,
            create: create.join("\n"),
            tables: vec![target.namespace.table("jobs")],
            storage: (0..partitions).map(|p| target.namespace.table(&format!("jobs_p{p}"))).collect(),
            reset: sql.text("reset"),
            release: None,
            depth: sql.get("depth"),
            census: sql.get("census"),
        };
        let statements = Hot {
            enqueue: sql.get("enqueue"),
            claim: on_each("claim").into_iter().map(prepared).collect(),
            ack: on_each("ack").into_iter().map(prepared).collect(),
            ack_any: prepared(sql.filled("ack", &[("{table}", "jobs")])),
            ack_mixed: sql.get("ack_mixed"),
            nack: sql.get("nack"),
            reclaim: sql.get("reclaim"),
            probe: on_each("probe"),
        };
        Ok(Partitioned {
            target: Arc::new(target),
            design: Arc::new(design),
            statements: Arc::new(statements),
            partitions,
            steal,
        })
    }
}

#[async_trait]
impl Backend for Partitioned {
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
            order: Order::FifoPerPartition,
        }
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(PgAdmin::open(&self.target, &self.design).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(PgProducer::open(&self.target, self.statements.enqueue.clone()).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let own = own_partitions(id, self.target.workers, self.partitions);
        let others = if self.steal { (0..self.partitions).filter(|p| !own.contains(p)).collect() } else { Vec::new() };
        let link = Arc::new(Mutex::new(Link::open(&self.target, Role::Consumer).await?));
        let partitions = BoundPartitions {
            link: Arc::clone(&link),
            statements: Arc::clone(&self.statements),
            worker: id.0.cast_signed(),
            lease_s: self.target.lease.as_secs_f64(),
            own: Group::new(own, &self.statements),
            others: Group::new(others, &self.statements),
        };
        let acker =
            PartitionAcker { link, statements: Arc::clone(&self.statements), ids: Vec::new(), returned: Vec::new() };
        Ok(Consumer { claimer: Box::new(WaitingClaimer::new(partitions, &self.target)), acker: Box::new(acker) })
    }
}

/// Partitions that a worker looks into in turn, and the one statement that asks which of them have work.
struct Group {
    rotation: Rotation,
    probe: SqlStr,
}

impl Group {
    fn new(partitions: Vec<u32>, statements: &Hot) -> Self {
        let branches: Vec<_> = partitions.iter().map(|p| statements.probe[*p as usize].as_str()).collect();
        Group { probe: prepared(branches.join("\nUNION ALL\n")), rotation: Rotation::new(partitions) }
    }
}

/// The partitions as one worker claims from them.
struct BoundPartitions {
    link: Arc<Mutex<Link>>,
    statements: Arc<Hot>,
    worker: i32,
    lease_s: f64,
    own: Group,
    /// Empty unless this worker may steal.
    others: Group,
}

impl BoundPartitions {
    async fn fetch(
        &self,
        what: &'static str,
        statement: &SqlStr,
        place: u32,
        limit: u32,
        out: &mut Vec<Lease>,
    ) -> Result<()> {
        let arguments = Bind::default().value(rows::limit(limit))?.value(self.worker)?.value(self.lease_s)?.done();
        rows::fetch(&mut *self.link.lock().await, what, statement, arguments, place, out).await
    }

    async fn claim_from(&self, partition: u32, limit: u32, out: &mut Vec<Lease>) -> Result<bool> {
        let before = out.len();
        self.fetch("claim", &self.statements.claim[partition as usize], partition + 1, limit, out).await?;
        Ok(out.len() > before)
    }

    /// The partitions of a group that have work now.
    async fn probe(&self, probe: &SqlStr) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let mut link = self.link.lock().await;
        link.run("look for work", probe, Bind::default().done(), |row| {
            found.push(row.try_get::<i32, _>(0)?.cast_unsigned());
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Claims from the first partition of the turn that has work.
    ///
    /// What a probe found is used up before the next one: under a backlog that is one probe per round of partitions, when
    /// idle one probe and nothing else.
    async fn take_own(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<bool> {
        if let Some(only) = self.own.rotation.only() {
            return self.claim_from(only, limit, out).await;
        }
        let mut probed = false;
        loop {
            while let Some(partition) = self.own.rotation.next() {
                if self.claim_from(partition, limit, out).await? {
                    return Ok(true);
                }
            }
            // Whatever a fresh probe found and a claim did not, somebody else has taken meanwhile.
            if probed {
                return Ok(false);
            }
            let found = self.probe(&self.own.probe).await?;
            self.own.rotation.refill(&found);
            probed = true;
        }
    }

    /// Claims from a partition of other workers. Always asks anew: stealing is for the moment only.
    async fn steal(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let found = self.probe(&self.others.probe).await?;
        self.others.rotation.refill(&found);
        while let Some(partition) = self.others.rotation.next() {
            if self.claim_from(partition, limit, out).await? {
                break;
            }
        }
        Ok(())
    }
}

impl Source for BoundPartitions {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        if !self.take_own(limit, out).await? && !self.others.rotation.is_empty() {
            self.steal(limit, out).await?;
        }
        Ok(())
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch("reclaim", &self.statements.reclaim, ANY_PARTITION, limit, out).await
    }
}

/// The partitions as one worker settles its leases.
struct PartitionAcker {
    link: Arc<Mutex<Link>>,
    statements: Arc<Hot>,
    /// Scratch of one ack, kept to spare its allocation.
    ids: Vec<i64>,
    /// Scratch of one ack, kept to spare its allocation.
    returned: Vec<i64>,
}

#[async_trait]
impl Acker for PartitionAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        if leases.is_empty() {
            return Ok(());
        }
        let (statement, arguments) = match rows::common(leases, rows::attempt) {
            Some(attempt) => {
                rows::sorted_ids(leases, &mut self.ids);
                let statement = self.statements.ack_on(rows::common(leases, rows::place));
                (statement, Bind::default().value(self.ids.as_slice())?.value(attempt)?.done())
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
