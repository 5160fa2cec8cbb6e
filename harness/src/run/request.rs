//! What one run is asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use qbench_backends::{Entry, ServerUrl};
use qbench_driver::shards::threads_beside;
use qbench_engines::observe::command::ObserverCommand;
use qbench_engines::servers::GivenServers;
use qbench_ground::pinning::{Pinning, Role};
use qbench_scenarios::RunPlan;
use qbench_scenarios::units::format_duration;
use qbench_schema::manifest::ConfiguredValue;
use qbench_schema::result::Durability;
use qbench_schema::variant::RunVariant;

/// A run, fully decided.
#[derive(Clone)]
pub struct RunRequest {
    /// The backend.
    pub entry: &'static Entry,
    /// Its options, checked by name.
    pub options: BTreeMap<String, String>,
    /// Scenario and load.
    pub plan: RunPlan,
    /// Settings beside the workload, with where they came from; for the manifest.
    pub configuration: BTreeMap<String, ConfiguredValue>,
    /// Durability class to ask for.
    pub durability: Durability,
    /// The user's servers; private ones are started where one is needed and none was given.
    pub given: GivenServers,
    /// What leads to the host of the server, where an observer starts or watches it there.
    pub observer: Option<ObserverCommand>,
    /// The address at which a server there is reached; `None`: the channel tells.
    pub server_address: Option<IpAddr>,
    /// Which role is bound to which cores.
    pub pinning: Pinning,
    /// Folder of the result files.
    pub out: PathBuf,
    /// Block of the matrix, counted from 1.
    pub block: u32,
    /// Which variant of the matrix it is, where settings are varied.
    pub variant: Option<RunVariant>,
    /// Hash of the study that it belongs to, for the manifest.
    pub study: Option<String>,
    /// Git revision that the program was built from, for the manifest.
    pub revision: String,
    /// Arguments as given, likewise.
    pub command_line: Vec<String>,
    /// What came of raising the harness's priority and of binding roles to cores, for the manifest.
    pub scheduling: Vec<String>,
}

impl RunRequest {
    /// Every setting of the run by its name, with where it came from.
    pub(super) fn all_settings(&self) -> BTreeMap<String, ConfiguredValue> {
        let mut settings = self.plan.configuration.clone();
        settings.extend(self.configuration.clone());
        settings
    }

    /// The user's own server of the backend's engine, if one was given.
    pub(super) fn given_url(&self) -> Option<ServerUrl> {
        self.given.of(self.entry.engine).cloned()
    }

    /// Where the server is, as far as its address tells, with the address where it is elsewhere; and what is put in between.
    pub(super) fn topology(&self) -> String {
        let engine = qbench_engines::of(self.entry.engine);
        self.with_delay(match self.given_url() {
            _ if !self.entry.engine.has_server => "in process".to_owned(),
            // The observer will say more.
            None if self.observer.is_some() => "remote".to_owned(),
            None => "private".to_owned(),
            Some(url) if engine.is_on_this_host(&url) => "same host".to_owned(),
            Some(url) => format!("remote {url}"),
        })
    }

    /// `topology` and what is put in between.
    pub(super) fn with_delay(&self, topology: String) -> String {
        match self.plan.workload.delay {
            Duration::ZERO => topology,
            delay => format!("{topology}, relay +{}", format_duration(delay)),
        }
    }

    /// Whether a core is left alone for the server. With `--pin` the user has divided the cores already.
    fn leaves_a_core(&self) -> bool {
        let engine = qbench_engines::of(self.entry.engine);
        let is_here = match (self.given_url(), &self.observer) {
            (Some(url), _) => engine.is_on_this_host(&url),
            (None, Some(observer)) => observer.is_here(),
            (None, None) => true,
        };
        engine.needs_a_place() && is_here && self.pinning.of(Role::Harness).is_none()
    }

    /// Threads that carry producers and workers. Asked after the harness was bound to its cores.
    pub(super) fn threads(&self) -> NonZeroUsize {
        threads_beside(self.leaves_a_core())
    }

    /// How many threads carry producers and workers, and why, for the manifest.
    pub fn threads_in_words(&self) -> String {
        let why = if self.leaves_a_core() { "a core is left to the server on this host" } else { "one per core" };
        format!("threads of producers and workers: {} ({why})", self.threads())
    }
}
