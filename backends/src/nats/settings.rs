//! What a queue is opened with, and the names of what it keeps.

use std::time::Duration;

use super::address::Address;
use crate::capability::Wake;
use crate::claimer::{Look, Waiting, WaitingClaimer};
use crate::config::BackendConfig;
use crate::error::{Error, Result};
use crate::seam::Claimer;

/// Shortest lease: the server looks for expired ones at intervals of some milliseconds.
const LEASE_MIN: Duration = Duration::from_millis(100);

/// Names of what we keep on the server.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The stream. A hyphen stands in no namespace, so no two namespaces share a beginning.
    pub(super) stream: String,
    /// The subject of its jobs.
    pub(super) subject: String,
}

impl Names {
    /// The only consumer of the stream; every worker pulls from it.
    pub(super) const CONSUMER: &'static str = "workers";

    fn new(id: &str, namespace: &str) -> Self {
        Names { stream: format!("{namespace}-{id}"), subject: format!("{namespace}.{id}.jobs") }
    }
}

/// What every part of one opened backend is made with.
#[derive(Clone)]
pub(super) struct Settings {
    /// The registry's id of the backend.
    pub(super) id: &'static str,
    pub(super) config: BackendConfig,
    pub(super) names: Names,
    /// The server; `None` where no URL was given.
    address: Option<Address>,
}

impl Settings {
    /// The settings of backend `id`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an address, a namespace or a lease that these backends cannot work with.
    pub(super) fn new(id: &'static str, config: &BackendConfig) -> Result<Self> {
        let namespace = config.plain_namespace("beginning of stream names")?;
        if config.lease < LEASE_MIN {
            return Err(Error::config(format!("{id} needs a lease of at least {} ms", LEASE_MIN.as_millis())));
        }
        let address = config.url.as_ref().map(Address::parse).transpose()?;
        Ok(Settings { id, config: config.clone(), names: Names::new(id, namespace), address })
    }

    /// The server.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when no URL was given.
    pub(super) fn address(&self) -> Result<&Address> {
        self.address.as_ref().ok_or_else(BackendConfig::no_url)
    }

    /// Name under which our connections show themselves on the server: tells runs in different namespaces apart.
    pub(super) fn connection_name(&self) -> String {
        format!("qbench:{}:{}", self.id, self.config.namespace)
    }

    /// The claimer of a consumer of this queue that looks so.
    pub(super) fn claimer<L: Look + 'static>(&self, look: L) -> Box<dyn Claimer> {
        let waiting = match self.config.wake {
            Wake::Block => Waiting::OnServer { looks_first: false },
            Wake::Poll | Wake::Notify => Waiting::Poll(self.config.poll_interval),
        };
        Box::new(WaitingClaimer::new(look, waiting, self.config.counters.clone()))
    }
}
