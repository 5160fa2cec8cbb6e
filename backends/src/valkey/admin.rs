//! Control side: ownership, setup, reset, counts, and what the server is.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Pipeline, Value};
use tokio::time::{Instant, sleep};

use super::entry::{array, count, text};
use super::link::Link;
use super::server::{self, INFO_FIELDS, SETTINGS};
use super::{Deletion, GROUP, Keys, Setting};
use crate::error::{Error, ErrorKind, Result};
use crate::seam::{Admin, Census, Depth, Description};

pub(super) struct StreamsAdmin {
    link: Link,
    setting: Setting,
}

/// Whose the keys are.
enum Ownership {
    /// The marker says ours.
    Ours,
    /// There is nothing of that name, or an empty stream.
    Nobody,
}

/// How long [`Admin::settle`] waits for the server's own background work.
const SETTLE_DEADLINE: Duration = Duration::from_secs(60);

impl StreamsAdmin {
    pub(super) async fn open(setting: &Setting) -> Result<Self> {
        Ok(StreamsAdmin { link: setting.connect_admin().await?, setting: setting.clone() })
    }

    /// Looks whose the keys are, touching nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Foreign`] when one of our names is taken by something that is not ours and not empty.
    async fn ownership(&mut self) -> Result<Ownership> {
        const OPERATION: &str = "look for the owner of";
        let Keys { jobs, meta, owner } = self.setting.keys.clone();
        let mut look = Pipeline::new();
        look.cmd("TYPE").arg(&jobs).cmd("TYPE").arg(&meta).cmd("TYPE").arg(&owner);
        let types = self.link.pipeline(OPERATION, &look).await?;
        let [jobs_type, meta_type, owner_type] =
            [0, 1, 2].map(|key| text(&types[key]).unwrap_or("unreadable").to_owned());

        if owner_type == "string" {
            let marker = self.link.call(OPERATION, redis::cmd("GET").arg(&owner), Duration::ZERO).await?;
            if text(&marker) == Some(Keys::OWNER) {
                return Ok(Ownership::Ours);
            }
        }
        let jobs_taken = match jobs_type.as_str() {
            "none" => false,
            "stream" => {
                let length = self.link.call(OPERATION, redis::cmd("XLEN").arg(&jobs), Duration::ZERO).await?;
                count(&length) != Some(0)
            }
            _ => true,
        };
        let taken = [
            (jobs_taken, jobs, jobs_type),
            (meta_type != "none", meta, meta_type),
            (owner_type != "none", owner, owner_type),
        ];
        match taken.into_iter().find(|(is_taken, _, _)| *is_taken) {
            None => Ok(Ownership::Nobody),
            Some((_, key, kind)) => Err(Error::new(
                ErrorKind::Foreign,
                self.link.context("set up"),
                format!(
                    "the key {key} exists ({kind}) and is not ours; nothing was touched. Choose another namespace, or remove it yourself"
                ),
            )),
        }
    }

    /// Replaces whatever stream there is by an empty one, in one step. Ids go on where the old stream's ended, so that no
    /// old lease can name a new entry.
    async fn rebuild(&mut self, operation: &str) -> Result<()> {
        let Keys { jobs, meta, owner } = self.setting.keys.clone();
        let last_id = self.stream_info(operation).await.ok().and_then(|info| info.get("last-generated-id").cloned());
        let mut steps = Pipeline::new();
        steps.cmd("SET").arg(&owner).arg(Keys::OWNER);
        // UNLINK frees the memory on another thread; `settle` waits for it.
        steps.cmd("UNLINK").arg(&jobs).arg(&meta);
        steps.cmd("XGROUP").arg("CREATE").arg(&jobs).arg(GROUP).arg("0").arg("MKSTREAM").arg("ENTRIESREAD").arg(0);
        if let Some(last_id) = last_id {
            steps.cmd("XSETID").arg(&jobs).arg(last_id);
        }
        self.link.transaction(operation, &mut steps).await.map(|_| ())
    }

    /// `XINFO STREAM`, the fields that are plain values.
    async fn stream_info(&mut self, operation: &str) -> Result<BTreeMap<String, String>> {
        let reply = self
            .link
            .call(operation, redis::cmd("XINFO").arg("STREAM").arg(&self.setting.keys.jobs), Duration::ZERO)
            .await?;
        Ok(fields(array(reply).unwrap_or_default()))
    }

    async fn info(&mut self) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "INFO for";
        let reply = self.link.call(OPERATION, &redis::cmd("INFO"), Duration::ZERO).await?;
        match text(&reply) {
            Some(info) => Ok(server::parse_info(info)),
            None => Err(self.link.unexpected(OPERATION, "something else than text")),
        }
    }

    /// Settings, as far as the server lets us read them.
    async fn settings(&mut self) -> Result<BTreeMap<String, String>> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(SETTINGS);
        match self.link.call("CONFIG GET for", &command, Duration::ZERO).await {
            Ok(reply) => Ok(fields(array(reply).unwrap_or_default())),
            // Managed servers forbid CONFIG. `durability` then says that it is unknown.
            Err(err) if matches!(err.kind(), ErrorKind::Server | ErrorKind::Connect) => Ok(BTreeMap::new()),
            Err(err) => Err(err),
        }
    }

    /// Both counts at one instant.
    ///
    /// Where acked entries are deleted, the stream holds just the unfinished ones. Where they stay, the group's `lag` tells
    /// how many entries were not delivered yet.
    async fn count(&mut self, operation: &str) -> Result<Counts> {
        let Keys { jobs, meta, .. } = self.setting.keys.clone();
        let mut questions = Pipeline::new();
        questions.cmd("XPENDING").arg(&jobs).arg(GROUP);
        questions.cmd("XLEN").arg(&jobs);
        questions.cmd("XINFO").arg("STREAM").arg(&jobs);
        questions.cmd("XINFO").arg("GROUPS").arg(&jobs);
        questions.cmd("HMGET").arg(&meta).arg("copies").arg("lost");
        let replies = self.link.transaction(operation, &mut questions).await?;
        let [pending, length, stream, groups, meta] = <[Value; 5]>::try_from(replies)
            .map_err(|replies| self.link.unexpected(operation, &format!("{} replies to 5 questions", replies.len())))?;

        let in_flight = array(pending).and_then(|summary| count(summary.first()?)).unwrap_or(0);
        let length = count(&length).unwrap_or(0);
        let ready = match self.setting.deletion {
            Deletion::Ack => length.saturating_sub(in_flight),
            Deletion::Trim | Deletion::None => {
                let group = array(groups).unwrap_or_default().into_iter().filter_map(array).map(fields);
                group.filter(|group| group.get("name").is_some_and(|name| name == GROUP)).find_map(|group| group.get("lag")?.parse().ok()).ok_or_else(|| {
                    let message = "the server cannot tell how many entries are undelivered (lag): somebody deleted some of them";
                    Error::new(ErrorKind::Server, self.link.context(operation), message)
                })?
            }
        };
        let stream = fields(array(stream).unwrap_or_default());
        let added = stream.get("entries-added").and_then(|added| added.parse().ok()).unwrap_or(length);
        let meta = array(meta).unwrap_or_default();
        let counter = |index: usize| meta.get(index).and_then(count).unwrap_or(0);
        Ok(Counts { added, copies: counter(0), lost: counter(1), ready, in_flight })
    }
}

/// What the server counts.
struct Counts {
    /// Entries ever appended.
    added: u64,
    /// Of these, copies that a nack appended.
    copies: u64,
    /// Entries that were deleted while they were pending.
    lost: u64,
    ready: u64,
    in_flight: u64,
}

#[async_trait]
impl Admin for StreamsAdmin {
    async fn describe(&mut self) -> Result<Description> {
        let info = self.info().await?;
        let product = server::identify(self.link.context("describe the server of"), &info)?;
        let mut settings = self.settings().await?;
        let (durability, why) = server::durability(&settings);
        for field in INFO_FIELDS {
            if let Some(value) = info.get(*field) {
                settings.insert((*field).to_owned(), value.clone());
            }
        }
        settings.insert("durability".to_owned(), why.to_owned());
        Ok(Description {
            engine: product.engine.to_owned(),
            version: product.version,
            queue_type: "streams",
            durability,
            settings,
            objects: vec![self.setting.keys.jobs.clone()],
            notes: Vec::new(),
        })
    }

    async fn setup(&mut self) -> Result<()> {
        let info = self.info().await?;
        server::identify(self.link.context("set up"), &info)?;
        self.ownership().await?;
        self.rebuild("set up").await
    }

    async fn reset(&mut self) -> Result<()> {
        match self.ownership().await? {
            Ownership::Ours => self.rebuild("reset").await,
            Ownership::Nobody => {
                let message = "the queue is not set up, or was removed meanwhile";
                Err(Error::new(ErrorKind::Server, self.link.context("reset"), message))
            }
        }
    }

    /// Waits until the server has freed what was removed and no snapshot or AOF rewrite runs.
    async fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + SETTLE_DEADLINE;
        loop {
            let info = self.info().await?;
            let busy = [
                "lazyfree_pending_objects",
                "rdb_bgsave_in_progress",
                "aof_rewrite_in_progress",
                "aof_rewrite_scheduled",
            ]
            .into_iter()
            .find(|field| info.get(*field).is_some_and(|value| value != "0"));
            match busy {
                None => return Ok(()),
                Some(field) if Instant::now() >= deadline => {
                    let message = format!("the server is still busy after {SETTLE_DEADLINE:?} ({field})");
                    return Err(Error::new(ErrorKind::Server, self.link.context("settle"), message));
                }
                Some(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn depth(&mut self) -> Result<Depth> {
        let counts = self.count("depth of").await?;
        Ok(Depth { ready: counts.ready, in_flight: counts.in_flight })
    }

    /// The server does not count acks; `done` is what entered and is neither waiting, in flight nor lost.
    async fn census(&mut self) -> Result<Census> {
        let Counts { added, copies, lost, ready, in_flight } = self.count("census of").await?;
        let enqueued = added.saturating_sub(copies);
        Ok(Census {
            enqueued: Some(enqueued),
            ready,
            in_flight,
            done: Some(enqueued.saturating_sub(ready + in_flight + lost)),
            dead: lost,
            partitions: Vec::new(),
        })
    }

    async fn teardown(&mut self) -> Result<()> {
        if matches!(self.ownership().await?, Ownership::Nobody) {
            return Ok(());
        }
        let Keys { jobs, meta, owner } = &self.setting.keys;
        self.link
            .call("tear down", redis::cmd("UNLINK").arg(jobs).arg(meta).arg(owner), Duration::ZERO)
            .await
            .map(|_| ())
    }
}

/// A flat list of names and values as a table; values that are neither text nor number are left out.
fn fields(list: Vec<Value>) -> BTreeMap<String, String> {
    list.chunks_exact(2)
        .filter_map(|pair| {
            let value = match &pair[1] {
                Value::Int(number) => number.to_string(),
                other => text(other)?.to_owned(),
            };
            Some((text(&pair[0])?.to_owned(), value))
        })
        .collect()
}
