//! Control side: setup, reset and counts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Pipeline, Value};

use super::{Deletion, GROUP};
use crate::error::{Error, ErrorKind, Result};
use crate::seam::{Admin, Census, Depth, Description};
use crate::valkey::control::Control;
use crate::valkey::ownership::Ownership;
use crate::valkey::reply::{array, count, fields};
use crate::valkey::settings::{Keys, Settings};

pub(super) struct StreamsAdmin {
    control: Control,
    deletion: Deletion,
}

impl StreamsAdmin {
    pub(super) async fn open(settings: &Settings, deletion: Deletion) -> Result<Self> {
        Ok(StreamsAdmin { control: Control::open(settings).await?, deletion })
    }

    /// Every key of the queue but the owner's.
    fn keys(&self) -> [String; 2] {
        let Keys { jobs, meta, .. } = &self.control.settings.keys;
        [jobs.clone(), meta.clone()]
    }

    /// Replaces whatever stream there is by an empty one, in one step. Ids go on where the old stream's ended, so that no
    /// old lease can name a new entry.
    async fn rebuild(&mut self, operation: &str) -> Result<()> {
        let Keys { jobs, meta, owner, .. } = self.control.settings.keys.clone();
        let last_id = self.stream_info(operation).await.ok().and_then(|info| info.get("last-generated-id").cloned());
        let mut steps = Pipeline::new();
        steps.cmd("SET").arg(&owner).arg(Keys::OWNER);
        // UNLINK frees the memory on another thread; `settle` waits for it.
        steps.cmd("UNLINK").arg(&jobs).arg(&meta);
        steps.cmd("XGROUP").arg("CREATE").arg(&jobs).arg(GROUP).arg("0").arg("MKSTREAM").arg("ENTRIESREAD").arg(0);
        if let Some(last_id) = last_id {
            steps.cmd("XSETID").arg(&jobs).arg(last_id);
        }
        self.control.link.transaction(operation, &mut steps).await.map(|_| ())
    }

    /// `XINFO STREAM`, the fields that are plain values.
    async fn stream_info(&mut self, operation: &str) -> Result<BTreeMap<String, String>> {
        let Control { link, settings } = &mut self.control;
        let reply =
            link.call(operation, redis::cmd("XINFO").arg("STREAM").arg(&settings.keys.jobs), Duration::ZERO).await?;
        Ok(fields(array(reply).unwrap_or_default()))
    }

    /// Both counts at one instant.
    ///
    /// Where acked entries are deleted, the stream holds just the unfinished ones. Where they stay, the group's `lag` tells
    /// how many entries were not delivered yet.
    async fn count(&mut self, operation: &str) -> Result<Counts> {
        let Keys { jobs, meta, .. } = self.control.settings.keys.clone();
        let mut questions = Pipeline::new();
        questions.cmd("XPENDING").arg(&jobs).arg(GROUP);
        questions.cmd("XLEN").arg(&jobs);
        questions.cmd("XINFO").arg("STREAM").arg(&jobs);
        questions.cmd("XINFO").arg("GROUPS").arg(&jobs);
        questions.cmd("HMGET").arg(&meta).arg("copies").arg("lost");
        let replies = self.control.link.transaction(operation, &mut questions).await?;
        let [pending, length, stream, groups, meta] = <[Value; 5]>::try_from(replies).map_err(|replies| {
            self.control.link.unexpected(operation, &format!("{} replies to 5 questions", replies.len()))
        })?;

        let in_flight = array(pending).and_then(|summary| count(summary.first()?)).unwrap_or(0);
        let length = count(&length).unwrap_or(0);
        let ready = match self.deletion {
            Deletion::Ack => length.saturating_sub(in_flight),
            Deletion::Trim | Deletion::None => {
                let group = array(groups).unwrap_or_default().into_iter().filter_map(array).map(fields);
                group.filter(|group| group.get("name").is_some_and(|name| name == GROUP)).find_map(|group| group.get("lag")?.parse().ok()).ok_or_else(|| {
                    let message = "the server cannot tell how many entries are undelivered (lag): somebody deleted some of them";
                    Error::new(ErrorKind::Server, self.control.link.context(operation), message)
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
        let objects = vec![self.control.settings.keys.jobs.clone()];
        self.control.describe("streams", objects).await
    }

    async fn setup(&mut self) -> Result<()> {
        self.control.admit(&self.keys()).await?;
        self.rebuild("set up").await
    }

    async fn reset(&mut self) -> Result<()> {
        self.control.require_ours("reset", &self.keys()).await?;
        self.rebuild("reset").await
    }

    async fn settle(&mut self) -> Result<()> {
        self.control.settle().await
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
            ..Census::default()
        })
    }

    async fn teardown(&mut self) -> Result<()> {
        if matches!(self.control.ownership(&self.keys()).await?, Ownership::Nobody) {
            return Ok(());
        }
        let Keys { jobs, meta, owner, .. } = self.control.settings.keys.clone();
        let unlink = redis::cmd("UNLINK").arg(jobs).arg(meta).arg(owner).to_owned();
        self.control.link.call("tear down", &unlink, Duration::ZERO).await.map(|_| ())
    }
}
