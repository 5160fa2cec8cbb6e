//! `valkey_streams`: one stream and one consumer group on a Valkey (or Redis) server.
//!
//! | step | commands | where |
//! |---|---|---|
//! | enqueue | one pipeline of XADD | [`producer`] |
//! | claim | XREADGROUP, by default with BLOCK, on a connection of its own | [`claimer`] |
//! | reclaim | XAUTOCLAIM with the lease as smallest idle time, then XPENDING for the delivery counts | [`claimer`] |
//! | ack | one pipeline of XACK, then what the `delete` option says | [`acker`] |
//! | nack | a script: the server itself appends a copy and acks the original | [`acker`] |
//! | control | XLEN, XPENDING, XINFO, CONFIG GET, INFO | [`admin`], [`server`] |
//!
//! **Which delivery a lease is.** The group counts the deliveries of every pending entry, so the pair (entry, count) names
//! one delivery, as the reference backend's delivery number does. XACK itself knows neither consumer nor count: the old
//! holder of a lease that passed on would settle the new holder's. Therefore an ack that is sent in the first half of its
//! lease is a plain XACK (nobody may have reclaimed the entry yet), and a later one goes through `settle.lua`, which
//! compares the count and acks in one step. What remains is a plain XACK that needs more than half a lease to arrive;
//! even then a job is acked once, because XACK removes an entry once: the new holder is then told that it is stale.
//!
//! **Keys.** `<namespace>:valkey_streams:jobs` (the stream), `<namespace>:valkey_streams:meta` (a hash of two rare counters)
//! and `<namespace>:owner`, which says that the others are ours. Nothing else is touched, ever.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use qbench_schema::result::Delivery;

use crate::capability::{Capabilities, Order, Recovery, Wake};
use crate::config::BackendConfig;
use crate::error::{Error, Result};
use crate::job::{ProducerId, WorkerId};
use crate::registry::{EngineKind, Entry, OptionSpec};
use crate::round_trips::RoundTrips;
use crate::seam::{Admin, Backend, Consumer, Producer};

mod acker;
mod admin;
mod claimer;
mod entry;
mod link;
mod producer;
mod server;

use link::Link;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "valkey_streams",
    engine: EngineKind::Valkey,
    summary: "a stream with a consumer group: XADD, XREADGROUP BLOCK, XACK, XAUTOCLAIM",
    options: &[OptionSpec {
        key: "delete",
        default: "ack",
        help: "what becomes of an acked entry, which XACK alone leaves in the stream: `ack` deletes it with the ack (XDEL), \
               `trim` cuts the stream before the oldest unfinished entry every 1,000 acks (XTRIM MINID), `none` keeps all",
    }],
    variants: &[&[("delete", "trim")], &[("delete", "none")]],
    open: &|config| Ok(Arc::new(ValkeyStreams::open(config)?)),
};

/// Most jobs per call: keeps one pipeline's request and reply within some tens of megabytes at ordinary payloads.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// The only consumer group of the stream.
pub(super) const GROUP: &str = "workers";

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

/// Names of everything that we keep on the server.
#[derive(Debug, Clone)]
struct Keys {
    /// The stream.
    jobs: String,
    /// Hash with `copies` (entries that a nack appended) and `lost` (entries that somebody deleted while they were pending).
    meta: String,
    /// Says [`Keys::OWNER`] when the other two are ours.
    owner: String,
}

impl Keys {
    /// Value of the owner key.
    const OWNER: &'static str = "qbench";

    fn new(namespace: &str) -> Self {
        Keys {
            jobs: format!("{namespace}:valkey_streams:jobs"),
            meta: format!("{namespace}:valkey_streams:meta"),
            owner: format!("{namespace}:owner"),
        }
    }
}

/// What every part of one opened backend is made with.
#[derive(Clone)]
struct Setting {
    config: BackendConfig,
    keys: Keys,
    deletion: Deletion,
    /// Zero of the claim instants inside lease tokens.
    epoch: Instant,
}

impl Setting {
    /// Opens a producer's, claimer's or acker's connection now, so that a wrong address is found before the measured window.
    async fn connect(&self) -> Result<Link> {
        Link::open(self, self.config.round_trips.clone()).await
    }

    /// Opens a connection of the control side, whose round trips are not the run's.
    async fn connect_admin(&self) -> Result<Link> {
        Link::open(self, RoundTrips::default()).await
    }

    /// Name under which our connections show themselves in `CLIENT LIST`: tells runs under different key prefixes apart.
    fn connection_name(&self) -> String {
        format!("qbench:{}:{}", ENTRY.id, self.config.namespace)
    }

    /// Milliseconds since the backend was opened.
    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }
}

struct ValkeyStreams {
    setting: Setting,
}

const WAKES: &[Wake] = &[Wake::Block, Wake::Poll];

impl ValkeyStreams {
    fn open(config: &BackendConfig) -> Result<Self> {
        if !WAKES.contains(&config.wake) {
            return Err(Error::config("valkey_streams cannot wake by notify: use block or poll"));
        }
        let namespace = &config.namespace;
        if namespace.is_empty() || !namespace.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("the key prefix {namespace:?} is not valid: letters, digits and _ only");
            return Err(Error::config(message));
        }
        if config.lease < Duration::from_millis(1) {
            return Err(Error::config("valkey_streams needs a lease of at least 1ms: XAUTOCLAIM counts milliseconds"));
        }
        let deletion = match config.options.choice("delete", &["ack", "trim", "none"])? {
            "trim" => Deletion::Trim,
            "none" => Deletion::None,
            _ => Deletion::Ack,
        };
        let setting =
            Setting { config: config.clone(), keys: Keys::new(&config.namespace), deletion, epoch: Instant::now() };
        Ok(ValkeyStreams { setting })
    }
}

#[async_trait]
impl Backend for ValkeyStreams {
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
        Ok(Box::new(admin::StreamsAdmin::open(&self.setting).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(producer::StreamsProducer::open(&self.setting).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        Ok(Consumer {
            claimer: Box::new(claimer::StreamsClaimer::open(&self.setting, id).await?),
            acker: Box::new(acker::StreamsAcker::open(&self.setting).await?),
        })
    }
}
