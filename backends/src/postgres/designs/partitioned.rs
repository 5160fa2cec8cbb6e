//! `partitioned`: skip_locked over hash partitions, with workers bound to partitions.

mod rotation;

use std::sync::Arc;

use qbench_schema::sql;
use sqlx::SqlStr;

use self::rotation::Rotation;
use crate::capability::{Capabilities, Order, Wake};
use crate::claimer::{Look, Places};
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::{Lease, WorkerId};
use crate::postgres::admin::Design;
use crate::postgres::backend::{Consumers, PgBackend};
use crate::postgres::binding::{Binding, Serving};
use crate::postgres::depth;
use crate::postgres::leased::{self, Session, Statements};
use crate::postgres::rows;
use crate::postgres::session_options::{self, SessionOptions};
use crate::postgres::settings::Settings;
use crate::postgres::sql_texts::{SqlTexts, UNION, prepared};
use crate::seam::Consumer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "partitioned",
    engine: crate::postgres::ENGINE,
    summary: "skip_locked over hash partitions; workers bound to partitions, partition tables addressed directly",
    colour: Some([0, 158, 115]),
    options: &[
        session_options::CLIENT,
        session_options::PLANS,
        session_options::CLAIM_COMMIT,
        OptionSpec { key: "partitions", default: "16", help: "number of hash partitions, 1 to 256" },
        OptionSpec {
            key: "steal",
            default: "false",
            help: "whether a worker that finds nothing in its own partitions looks into the others: true or false",
        },
    ],
    variants: &[&[("partitions", "32"), ("pg_client", "sqlx")], &[("steal", "true")]],
    contract: &|options| {
        SessionOptions::of(options)?;
        Options::of(options).map(|_| Capabilities {
            order: Order::FifoPerPartition,
            // Polling, a worker looks into each of its partitions in turn: a notification names the one.
            wakes: &[Wake::Notify, Wake::Poll],
            ..leased::CONTRACT
        })
    },
    opener: &|config| Ok(Arc::new(open(config)?)),
};

const DEFAULT_PARTITIONS: u32 = 16;
const MOST_PARTITIONS: u32 = 256;

struct Options {
    partitions: u32,
    steal: bool,
}

impl Options {
    fn of(options: &BackendOptions) -> Result<Self> {
        Ok(Options {
            partitions: options.parse_in("partitions", DEFAULT_PARTITIONS, 1..=MOST_PARTITIONS)?,
            steal: options.parse("steal", false, "true or false")?,
        })
    }
}

fn open(config: &BackendConfig) -> Result<PgBackend<Partitions>> {
    let Options { partitions, steal } = Options::of(&config.options)?;
    let settings = Settings::new(ENTRY.id, config)?;
    let sql = SqlTexts::new(&settings);
    let tables: Vec<String> = (0..partitions).map(|partition| format!("jobs_p{partition}")).collect();
    let count = partitions.to_string();
    let on_each = |file: sql::SqlFile, name: &str| -> Vec<String> {
        let on = |(partition, table): (usize, &String)| {
            let partition = partition.to_string();
            sql.filled(file, name, &[("{partitions}", &count), ("{partition}", &partition), ("{table}", table)])
        };
        tables.iter().enumerate().map(on).collect()
    };

    let binding = Arc::new(Binding::new(settings.workers, partitions, steal));
    let mut create = vec![sql.text(sql::PARTITIONED, "create")];
    create.extend(on_each(sql::PARTITIONED, "create_partition"));
    let design = Design {
        queue_type: ENTRY.id,
        create: create.join("\n"),
        tables: vec![settings.namespace.table("jobs")],
        storage: tables.iter().map(|table| settings.namespace.table(table)).collect(),
        release: None,
        depth: depth::statement(&sql, &tables, "status = 0", &sql.text(sql::LEASED, "in_flight")),
        census: prepared(on_each(sql::LEASED, "census").join(UNION)),
        binding: Some(Arc::clone(&binding)),
    };
    Ok(PgBackend {
        id: ENTRY.id,
        enqueue: sql.get(sql::QUEUE, "enqueue"),
        consumers: Partitions {
            statements: Arc::new(Statements::new(&sql, &tables)),
            probe: on_each(sql::PARTITIONED, "probe"),
            binding,
        },
        design: Arc::new(design),
        settings: Arc::new(settings),
    })
}

/// Consumers that look into partitions.
struct Partitions {
    statements: Arc<Statements>,
    /// By partition: the branches of which each worker puts together its own probes.
    probe: Vec<String>,
    binding: Arc<Binding>,
}

impl Consumers for Partitions {
    async fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> Result<Consumer> {
        let (session, acker) = Session::open(settings, &self.statements, id).await?;
        let served: Vec<u32> = [self.binding.own(id), self.binding.others(id)].concat();
        let partitions = BoundPartitions {
            session,
            places: Places::Only(served.into_iter().map(place_of).collect()),
            own: Group::new(self.binding.own(id), &self.probe),
            others: Group::new(self.binding.others(id), &self.probe),
            _serving: self.binding.serve(id),
        };
        Ok(Consumer { claimer: settings.claimer(partitions), acker: Box::new(acker) })
    }
}

/// A partition as a place of leases and notifications.
fn place_of(partition: u32) -> u32 {
    partition + 1
}

/// Partitions that a worker looks into in turn, and the one statement that asks which of them have work.
struct Group {
    rotation: Rotation,
    probe: SqlStr,
}

impl Group {
    fn new(partitions: Vec<u32>, probe: &[String]) -> Self {
        let branches: Vec<_> = partitions.iter().map(|p| probe[*p as usize].as_str()).collect();
        Group { probe: prepared(branches.join(UNION)), rotation: Rotation::new(partitions) }
    }
}

/// The partitions as one worker claims from them.
struct BoundPartitions {
    session: Session,
    own: Group,
    /// Empty unless this worker may steal.
    others: Group,
    /// All of these partitions.
    places: Places,
    /// Says that this worker is there.
    _serving: Serving,
}

impl BoundPartitions {
    async fn claim_from(&mut self, partition: u32, limit: u32, out: &mut Vec<Lease>) -> Result<bool> {
        let before = out.len();
        self.session.claim(place_of(partition), limit, out).await?;
        Ok(out.len() > before)
    }

    /// The partitions of a group that have work now.
    async fn probe(&mut self, probe: &SqlStr) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let look = self.session.link().run("look for work", probe, (), |row| {
            found.push(row.get::<i32>(0)?.cast_unsigned());
            Ok(())
        });
        look.await?;
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
            let found = self.probe(&self.own.probe.clone()).await?;
            self.own.rotation.refill(&found);
            probed = true;
        }
    }

    /// Claims from a partition of other workers. Always asks anew: stealing is for the moment only.
    async fn steal(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let found = self.probe(&self.others.probe.clone()).await?;
        self.others.rotation.refill(&found);
        while let Some(partition) = self.others.rotation.next() {
            if self.claim_from(partition, limit, out).await? {
                break;
            }
        }
        Ok(())
    }
}

impl Look for BoundPartitions {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        if !self.take_own(limit, out).await? && !self.others.rotation.is_empty() {
            self.steal(limit, out).await?;
        }
        Ok(())
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.session.reclaim(limit, out).await
    }

    fn places(&self) -> Places {
        self.places.clone()
    }

    fn place_of(&self, lease: &Lease) -> u32 {
        rows::place(lease)
    }
}
