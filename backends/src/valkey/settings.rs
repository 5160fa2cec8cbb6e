//! What a queue is opened with, and the names of its keys.

use std::time::{Duration, Instant};

use crate::capability::Wake;
use crate::claimer::{Look, Waiting, WaitingClaimer};
use crate::config::BackendConfig;
use crate::error::{Error, Result};
use crate::seam::Claimer;

/// Names of what we keep on the server.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// What the names of all keys but `owner` start with.
    pub(super) prefix: String,
    /// The jobs themselves.
    pub(super) jobs: String,
    /// Hash with the counters of the queue.
    pub(super) meta: String,
    /// Says [`Keys::OWNER`] when the others are ours.
    pub(super) owner: String,
}

impl Keys {
    /// Value of the owner key.
    pub(super) const OWNER: &'static str = "qbench";

    pub(super) fn new(id: &str, namespace: &str) -> Self {
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
pub(super) struct Settings {
    /// The registry's id of the backend.
    pub(super) id: &'static str,
    pub(super) config: BackendConfig,
    pub(super) keys: Keys,
    /// Zero of the claim instants inside lease tokens.
    pub(super) epoch: Instant,
}

impl Settings {
    /// The settings of backend `id`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for a namespace, lease or wake-up that these backends cannot work with.
    pub(super) fn new(id: &'static str, config: &BackendConfig) -> Result<Self> {
        let namespace = config.plain_namespace("key prefix")?;
        if config.lease < Duration::from_millis(1) {
            return Err(Error::config(format!("{id} needs a lease of at least 1ms: the server counts milliseconds")));
        }
        Ok(Settings { id, config: config.clone(), keys: Keys::new(id, namespace), epoch: Instant::now() })
    }

    /// Name under which our connections show themselves in `CLIENT LIST`: tells runs under different key prefixes apart.
    pub(super) fn connection_name(&self) -> String {
        format!("qbench:{}:{}", self.id, self.config.namespace)
    }

    /// The claimer of a consumer of this queue that looks so. `looks_first` as in [`Waiting::OnServer`].
    pub(super) fn claimer<L: Look + 'static>(&self, look: L, looks_first: bool) -> Box<dyn Claimer> {
        let waiting = match self.config.wake {
            Wake::Block => Waiting::OnServer { looks_first },
            Wake::Poll | Wake::Notify => Waiting::Poll(self.config.poll_interval),
        };
        Box::new(WaitingClaimer::new(look, waiting, self.config.counters.clone()))
    }

    /// Milliseconds since the backend was opened.
    pub(super) fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }
}
