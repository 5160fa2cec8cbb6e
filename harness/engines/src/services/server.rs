//! What a run asks of a server, whatever its product and whoever started it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_ground::pinning::Cores;
use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;

use super::error::{Error, Result};

/// What a private server is started with.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// What it promises to keep in a crash.
    pub durability: Durability,
    /// How it is set on top of that.
    pub tuning: Tuning,
    /// Settings of the product on top of ours, which they replace.
    pub settings: BTreeMap<String, String>,
    /// Where the private directory is made; `None`: `$QBENCH_TMPDIR`, else `$TMPDIR`, else `/tmp`.
    pub base_dir: Option<PathBuf>,
    /// Connections that will be open at once, as far as they are known; for a product that must be told.
    pub connections: u32,
    /// Cores that it is bound to; `None`: those of this process.
    pub cores: Option<Cores>,
    /// The address of this host that it listens on, and no other: loopback, unless its clients are elsewhere.
    pub listen: IpAddr,
}

impl StartOptions {
    /// A server of this class, all else as usual.
    pub fn new(durability: Durability) -> Self {
        StartOptions {
            durability,
            tuning: Tuning::Stock,
            settings: BTreeMap::new(),
            base_dir: None,
            connections: 0,
            cores: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// A server of a run. Dropping one of our own ends it and removes its data.
#[async_trait]
pub trait Server: Send + Sync {
    /// How to connect, password included.
    fn url(&self) -> &ServerUrl;

    /// Where it is, without credentials.
    fn address(&self) -> String {
        self.url().redacted()
    }

    /// Its main process, for the accounting of roles.
    ///
    /// # Errors
    /// Why it is not known, as a sentence for the notes of a result.
    fn pid(&self) -> Result<u32, &str>;

    /// What is known of one of our own; `None` of one that somebody else started.
    fn private(&self) -> Option<OwnServer> {
        None
    }

    /// That one of our own has ended by itself, with the last lines of its log; `None` while it runs.
    fn died(&self) -> Option<Error> {
        None
    }

    /// Ends one of our own and removes its directory. One that was given runs on.
    ///
    /// # Errors
    /// [`Error::System`] when the directory could not be removed.
    async fn stop(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// What is known of a private server.
#[derive(Debug, Clone, Default)]
pub struct OwnServer {
    /// Its version, for instance `15.18`.
    pub version: String,
    /// Every setting that it was started with on top of its own defaults, but for the password.
    pub settings: BTreeMap<String, String>,
    /// Its data directory; empty where it is on another host.
    pub data_dir: PathBuf,
    /// The program that runs; empty where nothing had to be started, and where it is on another host.
    pub program: PathBuf,
}
