//! What an entry of the registry is: the engine that a queue needs, its options, and how it is opened.

use std::fmt;
use std::sync::Arc;

use qbench_schema::load::{AskedWake, Tuning};

use crate::capability::{Capabilities, Wake};
use crate::config::{BackendConfig, BackendOptions};
use crate::error::{Error, Result};
use crate::probe::Probe;
use crate::seam::Backend;
use crate::url::ServerUrl;

/// A server product, or what stands in for one: what a backend must be given a server of. Each room declares its own.
#[derive(Clone, Copy)]
pub struct EngineKind {
    /// The product's name as results have it before the live server named itself, and as adapters name what they need.
    pub id: &'static str,
    /// Whether there is a server, which has to be installed, and which has connections and a process of its own.
    pub has_server: bool,
    /// Whether queues of it leave anything outside of this process.
    pub has_objects: bool,
    /// An address as a client in another process needs it, which does not see our environment.
    pub for_other_processes: fn(ServerUrl) -> ServerUrl,
    /// A look past its backends.
    pub probe: &'static dyn Probe,
    /// What `--tuning tuned` sets, on a server of ours or in the sessions of an embedded database.
    pub tuned: &'static [TunedSetting],
    /// What of a queue is tuned on any server, given ones included, if anything: a phrase.
    pub tuned_objects: Option<&'static str>,
}

/// A setting that somebody would make who knows the product and this kind of load (METHODOLOGY F5). None of them lowers what survives
/// a crash.
pub struct TunedSetting {
    /// As the product calls it.
    pub name: &'static str,
    /// Its value for a server with so many cores.
    pub value: fn(usize) -> String,
    /// Why, in a sentence.
    pub why: &'static str,
}

impl EngineKind {
    /// Names and values of what `tuning` sets where the server has so many `cores`.
    pub fn tuned(&self, tuning: Tuning, cores: usize) -> impl Iterator<Item = (&'static str, String)> {
        let settings = match tuning {
            Tuning::Stock => &[],
            Tuning::Tuned => self.tuned,
        };
        settings.iter().map(move |setting| (setting.name, (setting.value)(cores)))
    }
}

impl PartialEq for EngineKind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for EngineKind {}

impl fmt::Debug for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The queues of one product, in the order in which tables and charts show them.
pub struct Room {
    /// The product.
    pub engine: EngineKind,
    /// Its designs.
    pub entries: &'static [Entry],
}

/// One option of a backend, set with `--set KEY=VALUE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its key.
    pub key: &'static str,
    /// Value when it is not given.
    pub default: &'static str,
    /// One sentence: what it does and which values it takes.
    pub help: &'static str,
}

/// A backend that can be opened by name.
pub struct Entry {
    /// Its id on the command line and in every file.
    pub id: &'static str,
    /// What it must be given.
    pub engine: EngineKind,
    /// One sentence for `qbench list backends`.
    pub summary: &'static str,
    /// Its colour in every chart, as red, green and blue; `None` for an adapter, which gets one that is free.
    pub colour: Option<[u8; 3]>,
    /// Its own options.
    pub options: &'static [OptionSpec],
    /// Option sets that the conformance suite checks besides the defaults: one for every option value that changes what
    /// the server is asked to do. Empty where there is none.
    pub variants: &'static [&'static [(&'static str, &'static str)]],
    /// What it states about itself with these options. Opens nothing and needs no server.
    pub contract: &'static (dyn Fn(&BackendOptions) -> Result<Capabilities> + Send + Sync),
    /// Makes it of a configuration, whose way of waiting is one of the contract's. Does not connect.
    pub opener: &'static (dyn Fn(&BackendConfig) -> Result<Arc<dyn Backend>> + Send + Sync),
}

impl Entry {
    /// Contract and limits with these options. Opens nothing and needs no server.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for options that the backend does not take.
    pub fn capabilities(&self, options: &BackendOptions) -> Result<Capabilities> {
        (self.contract)(options)
    }

    /// How a worker waits: as it was `asked`, else in the first way of `capabilities`. Nothing else refuses a way of waiting.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for a way that the backend does not know; the message names those that it does.
    pub fn wake(&self, capabilities: &Capabilities, asked: Option<AskedWake>) -> Result<Wake> {
        let ways = capabilities.wakes;
        let wake = ways.iter().copied().find(|wake| asked.is_none_or(|asked| asked.is_met_by(*wake)));
        wake.ok_or_else(|| {
            let asked = asked.map_or("at all", AskedWake::name);
            let ways: Vec<&str> = ways.iter().map(|wake| wake.name()).collect();
            Error::config(format!("--wake {asked}: backend {} cannot wait so; it can {}", self.id, ways.join(", ")))
        })
    }

    /// Opens the backend with a configuration. Does not connect.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for options, an address, a namespace or a way of waiting that it cannot work with.
    pub fn open(&self, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
        self.wake(&self.capabilities(&config.options)?, Some(AskedWake::Exactly(config.wake)))?;
        (self.opener)(config)
    }

    /// The defaults and every variant, each with a name for titles: empty for the defaults, else `key=value`, comma separated.
    pub fn option_sets(&self) -> Vec<(String, BackendOptions)> {
        let none: &[(&str, &str)] = &[];
        std::iter::once(&none)
            .chain(self.variants)
            .map(|set| {
                let name = set.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
                (name, BackendOptions::new(set.iter().copied()))
            })
            .collect()
    }
}
