//! What one run is asked for.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use jiff::Timestamp;
use qbench_backends::{Entry, ServerUrl};
use qbench_driver::shards::threads_beside;
use qbench_driver::share::Share;
use qbench_engines::servers::GivenServers;
use qbench_ground::pinning::{Pinning, Role};
use qbench_scenarios::{Pgbench, RunPlan, Source};
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::ConfiguredValue;
use qbench_schema::result::Durability;
use qbench_schema::shard::ShardNumber;
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
    /// Which role is bound to which cores.
    pub pinning: Pinning,
    /// Folder of the result files.
    pub out: PathBuf,
    /// Block of the matrix, counted from 1.
    pub block: u32,
    /// Which part of a run it is, where several generators make one.
    pub shard: Option<ShardRequest>,
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

/// What makes a run a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRequest {
    /// Which one of how many.
    pub which: ShardNumber,
    /// Agreed start of the first phase.
    pub start_at: Timestamp,
    /// Whether each shard has a queue of its own.
    pub queue_per_shard: bool,
}

impl RunRequest {
    /// Every setting of the run by its name, with where it came from.
    pub(super) fn all_settings(&self) -> BTreeMap<String, ConfiguredValue> {
        let mut settings = self.plan.configuration.clone();
        settings.extend(self.configuration.clone());
        // Of a run of one generator nobody asked, and its settings are what they always were.
        if let Some(shard) = self.shard {
            let flag = |value: String| ConfiguredValue { value, source: Source::Flag.name().to_owned() };
            settings.insert("shards".to_owned(), flag(shard.which.of.to_string()));
            settings.insert("queue-per-shard".to_owned(), flag(shard.queue_per_shard.to_string()));
        }
        settings
    }

    /// Its files.
    pub(super) fn files(&self) -> RunFiles {
        let files = RunFiles::new(&self.out, self.entry.id, &self.plan.scenario.id);
        match self.shard {
            None => files,
            Some(shard) => files.of_shard(shard.which),
        }
    }

    /// Whether it works on one queue with other shards.
    pub(super) fn shares_queue(&self) -> bool {
        self.shard.is_some_and(|shard| !shard.queue_per_shard)
    }

    /// Whether it does what is done once for all shards. A run alone does everything.
    pub(super) fn is_first(&self) -> bool {
        self.shard.is_none_or(|shard| shard.which.number == 1)
    }

    /// Which jobs of the schedule it drives.
    pub(super) fn share(&self) -> Share {
        self.shard.map_or(Share::WHOLE, |shard| Share::of_shard(shard.which))
    }

    /// Generators of the run.
    pub(super) fn generators(&self) -> u32 {
        self.shard.map_or(1, |shard| shard.which.of)
    }

    /// Workers on its queue, those of other shards included.
    pub(super) fn workers_on_queue(&self) -> u32 {
        let others = if self.shares_queue() { self.generators() } else { 1 };
        self.plan.workload.workers.get().saturating_mul(others)
    }

    /// What runs beside the queue, of which there is one for all shards: the first one's.
    pub(super) fn background(&self) -> Option<Pgbench> {
        self.plan.scenario.background.filter(|_| self.is_first())
    }

    /// The user's own server of the backend's engine, if one was given.
    pub(super) fn given_url(&self) -> Option<ServerUrl> {
        self.given.of(self.entry.engine).cloned()
    }

    /// Where the server is, as far as its address tells; with the address where it is elsewhere.
    pub(super) fn topology(&self) -> String {
        let engine = qbench_engines::of(self.entry.engine);
        match self.given_url() {
            _ if !self.entry.engine.has_server => "in process".to_owned(),
            None => "private".to_owned(),
            Some(url) if engine.is_on_this_host(&url) => "same host".to_owned(),
            Some(url) => format!("remote {url}"),
        }
    }

    /// Whether a core is left alone for the server. With `--pin` the user has divided the cores already.
    fn leaves_a_core(&self) -> bool {
        let engine = qbench_engines::of(self.entry.engine);
        let is_here = self.given_url().is_none_or(|url| engine.is_on_this_host(&url));
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
