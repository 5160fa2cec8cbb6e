//! What the harness asks of a server product. Each product answers from a room of its own, a folder beside this file.

use async_trait::async_trait;
use qbench_backends::{EngineKind, ServerUrl};
use qbench_schema::result::Durability;

use crate::monitor::server::{Sampler, SamplerContext, WindowReader};
use crate::services::lock::Taken;
use crate::services::{Result, Server, StartOptions};

/// How the user gives the address of a server, and what the command line calls the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlFlag {
    /// The product in `--backends` and `services --engine`: `pg`.
    pub short: &'static str,
    /// The setting, in qbench.toml and in the manifest: `pg-url`.
    pub name: &'static str,
    /// The flag: `--pg-url`.
    pub flag: &'static str,
    /// The variable: `QBENCH_PG_URL`.
    pub variable: &'static str,
    /// What `--help` says.
    pub help: &'static str,
}

/// Where a server is reached over a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpPlace {
    /// Name or address of its host.
    pub host: String,
    /// Its ports, that of its clients first.
    pub ports: Vec<u16>,
}

impl TcpPlace {
    /// Each port with the host, as `host:port`.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let host = match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        self.ports.iter().map(move |port| format!("{host}:{port}"))
    }
}

/// A product that queues are built on, as the harness deals with it: found, started, watched and ended.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> EngineKind;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// How the address of a server is given; `None` for a product without servers.
    fn url_flag(&self) -> Option<&'static UrlFlag> {
        None
    }

    /// Whether the product belongs to every installation: `--backends all` and `services start` mean it, and a machine
    /// without it is not complete.
    fn is_standard(&self) -> bool {
        self.url_flag().is_some()
    }

    /// Whether anything outlives a call: a server, or files. Only then is there something to start, to describe and to cool
    /// down, and work beside that of the harness's own threads.
    fn needs_a_place(&self) -> bool {
        true
    }

    /// Durability class of a run where nobody asked for one.
    fn default_durability(&self) -> Durability;

    /// Starts a private server; `None` where there is nothing to start or to make.
    ///
    /// # Errors
    /// Those of [`crate::services`]. Nothing runs and nothing is left then.
    async fn start(&self, options: StartOptions) -> Result<Option<Box<dyn Server>>>;

    /// Which process of this host the server at `url` is.
    ///
    /// # Errors
    /// Why it is not known.
    async fn process_of(&self, _url: &ServerUrl) -> Result<u32, String> {
        Err("it has no process of its own".to_owned())
    }

    /// Whether the server at `url` is on this host, as far as its address tells.
    fn is_on_this_host(&self, _url: &ServerUrl) -> bool {
        true
    }

    /// Where the server at `url` is reached over a network.
    ///
    /// # Errors
    /// Why there is no such place: it is reached in another way.
    fn place_of(&self, _url: &ServerUrl) -> Result<TcpPlace, String> {
        Err("it is not reached over a network".to_owned())
    }

    /// `url` with its server at another place, for one that is reached by way of something else. The ports of `place` are in the order of
    /// [`Engine::place_of`].
    fn moved(&self, url: &ServerUrl, place: &TcpPlace) -> ServerUrl {
        url.moved_to(&place.host, place.ports.first().copied().unwrap_or_default())
    }

    /// Tries to lock the objects of `namespace` on a given server against other runs.
    ///
    /// # Errors
    /// What the server or its driver said.
    async fn try_lock(&self, _url: &ServerUrl, _namespace: &str) -> Result<Taken, String> {
        Ok(Taken::NotNeeded)
    }

    /// The word in the name of the file with the server's statistics, `<run>_<word>_stats.csv`; `None` where there is no server
    /// to ask. Small letters and digits.
    fn statistics(&self) -> Option<&'static str> {
        None
    }

    /// Watches a server over the run; asked where there are [`Engine::statistics`].
    fn sampler(&self, _context: SamplerContext) -> Option<Box<dyn Sampler>> {
        None
    }

    /// Reads the counters of the server at `url` at the ends of the measured window; `objects` is what the backend keeps there.
    fn window_reader(&self, _url: &ServerUrl, _objects: &[String]) -> Option<Box<dyn WindowReader>> {
        None
    }

    /// What `qbench doctor` says of the product: which programs would be used.
    ///
    /// # Errors
    /// [`crate::services::Error::Programs`] when there are none.
    fn describe_programs(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
