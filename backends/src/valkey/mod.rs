//! The queues on Valkey (or Redis), and what they share.
//!
//! A backend here is one file of Rust with its scripts in a folder of the same name:
//!
//! * [`streams`]: `valkey_streams`, one stream with a consumer group;
//! * [`list`]: `valkey_list`, a list of what is ready and a list per consumer of what it holds.
//!
//! Everything else is common:
//!
//! * [`connection`]: one TCP connection, and [`resp`]: how a reply is read from its bytes;
//! * [`link`]: a connection that mends itself, and the translation of its errors;
//! * [`control`]: the part of the control side that is the same for every design: whose keys they are, what the server is;
//! * [`server`]: what the server's settings promise;
//! * [`reply`]: values out of replies.
//!
//! All keys of a queue start with `<namespace>:<id>:`, but for `<namespace>:owner`, which says that the others are ours.
//! Nothing else on the server is touched, ever.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::capability::{Capabilities, Wake};
use crate::config::BackendConfig;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

mod connection;
mod control;
mod link;
mod list;
mod reply;
mod resp;
mod server;
mod streams;

pub(crate) use list::ENTRY as LIST;
pub(crate) use streams::ENTRY as STREAMS;

use link::Link;

/// Most jobs per call: keeps one pipeline's request and reply within some tens of megabytes at ordinary payloads.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// The ways to wait that the backends of this engine know.
const WAKES: &[Wake] = &[Wake::Block, Wake::Poll];

/// The contract of these designs.
const CONTRACT: Capabilities = Capabilities::leased(WAKES, MAX_BATCH);

/// Names of what we keep on the server.
#[derive(Debug, Clone)]
struct Keys {
    /// What the names of all keys but `owner` start with.
    prefix: String,
    /// The jobs themselves.
    jobs: String,
    /// Hash with the counters of the queue.
    meta: String,
    /// Says [`Keys::OWNER`] when the others are ours.
    owner: String,
}

impl Keys {
    /// Value of the owner key.
    const OWNER: &'static str = "qbench";

    fn new(id: &str, namespace: &str) -> Self {
        let prefix = format!("{namespace}:{id}");
        Keys {
            jobs: format!("{prefix}:jobs"),
            meta: format!("{prefix}:meta"),
            owner: format!("{namespace}:owner"),
            prefix,
        }
    }
}

/// What every part of one opened backend is made with.
#[derive(Clone)]
struct Setting {
    /// The registry's id of the backend.
    id: &'static str,
    config: BackendConfig,
    keys: Keys,
    /// Zero of the claim instants inside lease tokens.
    epoch: Instant,
}

impl Setting {
    /// The setting of backend `id`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for a namespace, lease or wake-up that these backends cannot work with.
    fn new(id: &'static str, config: &BackendConfig) -> Result<Self> {
        let namespace = config.plain_namespace("key prefix")?;
        if config.lease < Duration::from_millis(1) {
            return Err(Error::config(format!("{id} needs a lease of at least 1ms: the server counts milliseconds")));
        }
        Ok(Setting { id, config: config.clone(), keys: Keys::new(id, namespace), epoch: Instant::now() })
    }

    /// Opens a producer's, claimer's or acker's connection now, so that a wrong address is found before the measured window.
    async fn connect(&self) -> Result<Link> {
        Link::open(self, self.config.counters.clone()).await
    }

    /// Opens a connection of the control side, whose round trips are not the run's.
    async fn connect_admin(&self) -> Result<Link> {
        Link::open(self, ClientCounters::default()).await
    }

    /// Name under which our connections show themselves in `CLIENT LIST`: tells runs under different key prefixes apart.
    fn connection_name(&self) -> String {
        format!("qbench:{}:{}", self.id, self.config.namespace)
    }

    /// Milliseconds since the backend was opened.
    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }
}
