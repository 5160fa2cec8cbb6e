//! `valkey_streams`: one stream and one consumer group on a Valkey (or Redis) server.
//!
//! | step | commands | where |
//! |---|---|---|
//! | enqueue | one pipeline of XADD | [`producer`] |
//! | claim | XREADGROUP, by default with BLOCK, on a connection of its own | [`claimer`] |
//! | reclaim | XAUTOCLAIM with the lease as smallest idle time, then XPENDING for the delivery counts | [`claimer`] |
//! | ack | one pipeline of XACK, then what the `delete` option says | [`acker`] |
//! | nack | a script: the server itself appends a copy and acks the original | [`acker`] |
//! | control | XLEN, XPENDING, XINFO | [`admin`] |
//!
//! **Which delivery a lease is.** The group counts the deliveries of every pending entry, so the pair (entry, count) names
//! one delivery, as the reference backend's delivery number does. XACK itself knows neither consumer nor count: the old
//! holder of a lease that passed on would settle the new holder's. Therefore an ack that is sent in the first half of its
//! lease is a plain XACK (nobody may have reclaimed the entry yet), and a later one goes through `settle.lua`, which
//! compares the count and acks in one step. What remains is a plain XACK that needs more than half a lease to arrive;
//! even then a job is acked once, because XACK removes an entry once: the new holder is then told that it is stale.
//!
//! **Keys.** `<namespace>:valkey_streams:jobs` is the stream, `<namespace>:valkey_streams:meta` a hash of two rare counters:
//! `copies` (entries that a nack appended) and `lost` (entries that somebody deleted while they were pending).

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Consumer, Producer};
use crate::valkey::settings::Settings;

mod acker;
mod admin;
mod claimer;
mod entry;
mod producer;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "valkey_streams",
    engine: crate::valkey::ENGINE,
    summary: "a stream with a consumer group: XADD, XREADGROUP BLOCK, XACK, XAUTOCLAIM",
    colour: Some([213, 94, 0]),
    options: &[OptionSpec {
        key: "delete",
        default: "ack",
        help: "what becomes of an acked entry, which XACK alone leaves in the stream: `ack` deletes it with the ack (XDEL), \
               `trim` cuts the stream before the oldest unfinished entry every 1,000 acks (XTRIM MINID), `none` keeps all",
    }],
    variants: &[&[("delete", "trim")], &[("delete", "none")]],
    contract: &|options| Deletion::of(options).map(|_| crate::valkey::CONTRACT),
    opener: &|config| Ok(Arc::new(ValkeyStreams::open(config)?)),
};

/// The only consumer group of the stream.
const GROUP: &str = "workers";

/// What becomes of acked entries (METHODOLOGY F6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletion {
    /// XDEL in the ack's own pipeline.
    Ack,
    /// XTRIM MINID now and then.
    Trim,
    /// Never.
    None,
}

impl Deletion {
    fn of(options: &BackendOptions) -> Result<Self> {
        Ok(match options.choice("delete", &["ack", "trim", "none"])? {
            "trim" => Deletion::Trim,
            "none" => Deletion::None,
            _ => Deletion::Ack,
        })
    }
}

struct ValkeyStreams {
    settings: Settings,
    deletion: Deletion,
}

impl ValkeyStreams {
    fn open(config: &BackendConfig) -> Result<Self> {
        let settings = Settings::new(ENTRY.id, config)?;
        Ok(ValkeyStreams { settings, deletion: Deletion::of(&config.options)? })
    }
}

#[async_trait]
impl Backend for ValkeyStreams {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(admin::StreamsAdmin::open(&self.settings, self.deletion).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(producer::StreamsProducer::open(&self.settings).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        Ok(Consumer {
            claimer: self.settings.claimer(claimer::StreamsLook::open(&self.settings, id).await?, false),
            acker: Box::new(acker::StreamsAcker::open(&self.settings, self.deletion).await?),
        })
    }
}
