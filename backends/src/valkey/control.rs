//! The part of the control side that is the same for every design.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::Link;
use super::describe::{self, INFO_FIELDS, SETTINGS};
use super::durability::durability;
use super::ownership::{self, Ownership};
use super::reply::{array, fields, text};
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::seam::Description;

/// How long [`Control::settle`] waits for the server's own background work.
const SETTLE_DEADLINE: Duration = Duration::from_secs(60);

/// A connection of the control side.
pub(super) struct Control {
    pub(super) link: Link,
    pub(super) settings: Settings,
}

impl Control {
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Ok(Control { link: Link::open_admin(settings).await?, settings: settings.clone() })
    }

    /// Looks whose `keys` are, touching nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Foreign`] when one of our names is taken by something that is not ours and not empty.
    pub(super) async fn ownership(&mut self, keys: &[String]) -> Result<Ownership> {
        ownership::of(&mut self.link, &self.settings.keys.owner, keys).await
    }

    /// Refuses to go on where the queue is not ours.
    ///
    /// # Errors
    /// As [`Control::ownership`], and [`ErrorKind::Server`] where there is no queue.
    pub(super) async fn require_ours(&mut self, operation: &str, keys: &[String]) -> Result<()> {
        match self.ownership(keys).await? {
            Ownership::Ours => Ok(()),
            Ownership::Nobody => {
                let message = "the queue is not set up, or was removed meanwhile";
                Err(Error::new(ErrorKind::Server, self.link.context(operation), message))
            }
        }
    }

    /// What must hold before a queue is set up: a server that is new enough, and names that are ours or free.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] for a server that is too old; those of [`Control::ownership`].
    pub(super) async fn admit(&mut self, keys: &[String]) -> Result<()> {
        let info = self.info().await?;
        describe::identify(self.link.context("set up"), &info)?;
        self.ownership(keys).await.map(|_| ())
    }

    /// The server and what it promises, for a queue of design `queue_type` whose jobs are in `objects`.
    pub(super) async fn describe(&mut self, queue_type: &'static str, objects: Vec<String>) -> Result<Description> {
        let info = self.info().await?;
        let product = describe::identify(self.link.context("describe the server of"), &info)?;
        let mut settings = self.settings().await?;
        let (durability, why) = durability(&settings);
        for field in INFO_FIELDS {
            if let Some(value) = info.get(*field) {
                settings.insert((*field).to_owned(), value.clone());
            }
        }
        settings.insert("durability".to_owned(), why.to_owned());
        Ok(Description {
            engine: product.engine.to_owned(),
            version: product.version,
            queue_type,
            durability,
            settings,
            objects,
            notes: Vec::new(),
        })
    }

    /// Waits until the server has freed what was removed and no snapshot or AOF rewrite runs.
    pub(super) async fn settle(&mut self) -> Result<()> {
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

    async fn info(&mut self) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "INFO for";
        let reply = self.link.call(OPERATION, &redis::cmd("INFO"), Duration::ZERO).await?;
        match text(&reply) {
            Some(info) => Ok(describe::parse_info(info)),
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
}
