//! The control side of every backend of this engine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qbench_schema::load::Tuning;
use qbench_schema::result::PartitionShare;
use qbench_schema::sql;
use sqlx::SqlStr;

use super::binding::Binding;
use super::connection::Link;
use super::describe;
use super::settings::{Role, Settings};
use crate::error::{ErrorKind, Result};
use crate::seam::{Admin, Census, Depth, Description};

/// Limit on a step that may have to write or scan a lot (checkpoint, census), where the configured timeout is shorter.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(120);
/// How long DDL waits for somebody else's lock. Well below [`MAINTENANCE_LIMIT`], so that it is the server that gives up and
/// says that nothing happened.
const LOCK_LIMIT: &str = "SET LOCAL lock_timeout = '10s';\n";

/// What a design has to say for its control side to work. SqlTexts are filled in.
pub(super) struct Design {
    /// The queue's design within the engine.
    pub(super) queue_type: &'static str,
    /// Makes every table, with the persistence that the durability class needs.
    pub(super) create: String,
    /// The tables that `create` makes, without partitions.
    pub(super) tables: Vec<String>,
    /// The tables that hold rows: of a partitioned table its partitions.
    pub(super) storage: Vec<String>,
    /// Ends sessions that hold jobs in an open transaction; takes the consumers' application name.
    pub(super) release: Option<SqlStr>,
    /// Returns ready and in_flight.
    pub(super) depth: SqlStr,
    /// Returns partition, enqueued, ready, in_flight, done and dead: a row per partition, or one row.
    pub(super) census: SqlStr,
    /// Who serves which partition; `None` where there are none.
    pub(super) binding: Option<Arc<Binding>>,
}

/// The admin of one backend.
pub(super) struct PgAdmin {
    settings: Arc<Settings>,
    design: Arc<Design>,
    link: Link,
}

impl PgAdmin {
    pub(super) async fn open(settings: &Arc<Settings>, design: &Arc<Design>) -> Result<Self> {
        let link = Link::open(settings, Role::Admin).await?;
        Ok(PgAdmin { settings: Arc::clone(settings), design: Arc::clone(design), link })
    }

    fn maintenance_limit(&self) -> Duration {
        self.settings.timeout.max(MAINTENANCE_LIMIT)
    }

    async fn ddl(&mut self, what: &'static str, script: &str) -> Result<()> {
        let limit = self.maintenance_limit();
        self.link.run_script(limit, what, format!("{LOCK_LIMIT}{script}")).await
    }
}

#[async_trait]
impl Admin for PgAdmin {
    async fn describe(&mut self) -> Result<Description> {
        let server = describe::describe(&mut self.link, &self.design.storage, self.settings.durability).await?;
        Ok(Description {
            engine: crate::postgres::ENGINE.id.to_owned(),
            version: server.version,
            queue_type: self.design.queue_type,
            durability: server.durability,
            settings: server.settings,
            objects: self.design.storage.clone(),
            notes: server
                .notes
                .into_iter()
                .chain(self.settings.notes().iter().cloned())
                .chain(self.design.binding.iter().flat_map(|binding| binding.notes()))
                .collect(),
        })
    }

    async fn setup(&mut self) -> Result<()> {
        describe::check(&mut self.link).await?;
        let found = self.settings.namespace.inspect(&mut self.link).await?;
        let mut create = self.design.create.clone();
        if self.settings.tuning == Tuning::Tuned {
            let tuned = |table: &String| format!("\n{}", sql::QUEUE.statement("tuned").replace("{table}", table));
            create.extend(self.design.storage.iter().map(tuned));
        }
        let script = self.settings.namespace.setup_script(&found, &create, &self.design.tables);
        self.ddl("set up the queue", &script).await
    }

    async fn reset(&mut self) -> Result<()> {
        if let Some(release) = &self.design.release {
            let sessions = self.settings.application_name(Role::Consumer);
            self.link.run("release held jobs", release, (sessions.as_str(),), |_| Ok(())).await?;
        }
        // Ids go on from where they were: a lease from before the reset must not name a job from after it.
        let script = format!("TRUNCATE {};", self.design.tables.join(", "));
        self.ddl("reset the queue", &script).await
    }

    async fn settle(&mut self) -> Result<()> {
        let limit = self.maintenance_limit();
        let analyze = |table: &String| sql::QUEUE.statement("analyze").replace("{table}", table);
        let analyze = self.design.storage.iter().map(analyze).collect::<Vec<_>>().join("\n");
        self.link.run_script(limit, "analyze the queue's tables", analyze).await?;
        match self.link.run_script(limit, "checkpoint", "CHECKPOINT".to_owned()).await {
            // A role without pg_checkpoint: the server's next checkpoint may then fall into the window, and db_stats shows it.
            Err(error) if error.count_key() == "42501" => Ok(()),
            outcome => outcome,
        }
    }

    async fn depth(&mut self) -> Result<Depth> {
        let mut depth = Depth::default();
        self.link
            .run("count waiting jobs", &self.design.depth, (), |row| {
                depth = Depth { ready: count(row.get(0)?), in_flight: count(row.get(1)?) };
                Ok(())
            })
            .await?;
        Ok(depth)
    }

    async fn census(&mut self) -> Result<Census> {
        let limit = self.maintenance_limit();
        let mut totals = [0; 4];
        let mut enqueued = Some(0);
        let mut by_partition = Vec::new();
        self.link
            .run_within(limit, "count all jobs", &self.design.census, (), |row| {
                let entered = row.get::<Option<i64>>(1)?.map(count);
                enqueued = enqueued.zip(entered).map(|(before, more)| before + more);
                by_partition.push((row.get::<i32>(0)?.cast_unsigned(), entered.unwrap_or(0)));
                for (column, total) in (2..).zip(&mut totals) {
                    *total += count(row.get(column)?);
                }
                Ok(())
            })
            .await?;
        by_partition.sort_unstable();
        let [ready, in_flight, done, dead] = totals;
        let partitions = self.design.binding.as_ref().map_or_else(Vec::new, |binding| {
            let workers = binding.workers_by_partition();
            let share = |(partition, enqueued): (u32, u64)| PartitionShare {
                partition,
                enqueued,
                workers: workers.get(partition as usize).copied().unwrap_or(0),
            };
            by_partition.into_iter().map(share).collect()
        });
        Ok(Census { enqueued, ready, in_flight, done: Some(done), dead, partitions })
    }

    async fn teardown(&mut self) -> Result<()> {
        let script = match self.settings.namespace.inspect(&mut self.link).await {
            Ok(found) => self.settings.namespace.teardown_script(&found),
            // Not ours, so there is nothing of ours to remove.
            Err(error) if error.kind() == ErrorKind::Foreign => String::new(),
            Err(error) => return Err(error),
        };
        if script.is_empty() { Ok(()) } else { self.ddl("remove the queue", &script).await }
    }
}

/// A `count(*)`, which is never negative.
fn count(counted: i64) -> u64 {
    counted.unsigned_abs()
}
