//! The servers of one run: which ones it needs, where they are, who they are.

use std::path::PathBuf;

use anyhow::Context;
use qbench_backends::EngineKind;
use qbench_backends::ServerUrl;
use qbench_schema::manifest::ServerDescription;
use qbench_schema::result::Durability;

use super::RunRequest;
use super::opening::NAMESPACE;
use qbench_engines::engine::Engine;
use qbench_engines::postgres::{PostgresEngine, pgbench_for};
use qbench_engines::servers::{Services, Wanted};
use qbench_engines::services::{self, Server, StartOptions};
use qbench_ground::pinning::Role;
use qbench_ground::usage::Usage;

/// Durability of a private PostgreSQL that only serves the background load.
const BACKGROUND_DURABILITY: Durability = Durability::D2;

/// The servers of one run. Dropping it ends the private ones.
pub(super) struct RunServers {
    services: Services,
}

impl RunServers {
    /// Starts what the backend and the scenario need, or finds what the user gave and locks it against other runs.
    ///
    /// # Errors
    /// Those of [`Services::start`] and [`Services::lock_given`]. Nothing runs then.
    pub(super) async fn start(request: &RunRequest) -> services::Result<Self> {
        let want = |engine: &'static dyn Engine, role, durability| {
            let wanted = match request.given.of(engine.kind()) {
                Some(url) => Wanted::Given(url.clone()),
                None => Wanted::Private(StartOptions {
                    connections: connections(request, role),
                    cores: request.pinning.for_child(role),
                    ..StartOptions::new(durability)
                }),
            };
            (engine, wanted)
        };
        let mut wanted = vec![want(qbench_engines::of(request.entry.engine), Role::Server, request.durability)];
        if needs_background_server(request) {
            wanted.push(want(&PostgresEngine, Role::Background, BACKGROUND_DURABILITY));
        }
        let mut services = Services::start(wanted).await?;
        services.lock_given(NAMESPACE).await?;
        Ok(RunServers { services })
    }

    /// Where the server of `engine` is.
    pub(super) fn url_under_test(&self, engine: EngineKind) -> Option<ServerUrl> {
        Some(self.services.of(engine)?.url().clone())
    }

    /// Process of the server of `engine`, or why it is not known; `None` where there is none.
    pub(super) fn pid_under_test(&self, engine: EngineKind) -> Option<Result<u32, String>> {
        Some(self.services.of(engine)?.pid().map_err(str::to_owned))
    }

    /// Whether the server of `engine` was started for this run.
    pub(super) fn under_test_is_private(&self, engine: EngineKind) -> bool {
        self.services.of(engine).is_some_and(|server| server.private().is_some())
    }

    /// Address of the server of `engine`, without credentials.
    pub(super) fn address(&self, engine: EngineKind) -> String {
        self.services.of(engine).map_or_else(|| qbench_engines::of(engine).title().to_owned(), Server::address)
    }

    /// Folder of the private servers' data; the one for temporary files without such a server.
    pub(super) fn data_dir(&self) -> PathBuf {
        let own = self.all().find_map(Server::private);
        own.map_or_else(std::env::temp_dir, |own| own.data_dir)
    }

    /// The PostgreSQL that only serves the background load, for the manifest: settings as it was started with, because
    /// nothing of it is under test.
    pub(super) fn describe_background(&self) -> Option<ServerDescription> {
        let server = self.services.of(EngineKind::Postgres)?;
        let own = server.private();
        Some(ServerDescription {
            role: "background".to_owned(),
            engine: EngineKind::Postgres.name().to_owned(),
            private: own.is_some(),
            address: server.address(),
            version: own.as_ref().map_or("not asked".to_owned(), |own| own.version.clone()),
            settings: own.map(|own| own.settings).unwrap_or_default(),
        })
    }

    /// The pgbench that belongs to `server`.
    pub(super) fn pgbench(&self) -> anyhow::Result<PathBuf> {
        let server = self.services.of(EngineKind::Postgres).context("a background load needs a PostgreSQL")?;
        Ok(pgbench_for(server)?)
    }

    /// Private servers that ended by themselves, each with its last words.
    pub(super) fn that_died(&self) -> Vec<String> {
        self.all().filter_map(Server::died).map(|error| error.to_string()).collect()
    }

    /// The servers of the run, the one under test first.
    fn all(&self) -> impl Iterator<Item = &dyn Server> {
        self.services.all().map(|(_, server)| server)
    }

    /// Ends the private ones, and lets go of the given ones.
    pub(super) async fn stop(self) -> services::Result<()> {
        self.services.stop().await
    }
}

/// Refuses to bind a server that the user gave: nothing of it is changed. pgbench can be bound wherever its server is.
///
/// # Errors
/// [`Usage`] with what to do instead.
pub(super) fn refuse_to_bind_given(request: &RunRequest) -> Result<(), Usage> {
    match (request.pinning.of(Role::Server), request.given_url()) {
        (Some(cores), Some(url)) => Err(Usage(format!(
            "--pin server={cores}: {url} is a server that qbench did not start, and it changes nothing of such a server: bind \
             it yourself (taskset --all-tasks --cpu-list --pid), and leave the server out of --pin"
        ))),
        _ => Ok(()),
    }
}

/// Whether the background load needs a PostgreSQL of its own, beside the server under test.
fn needs_background_server(request: &RunRequest) -> bool {
    request.plan.scenario.background.is_some() && request.entry.engine != EngineKind::Postgres
}

/// Connections that the run has open at once to the server of `role`. To the one under test: one per producer, up to two per job
/// that a worker works on (claims and acks; a claim that holds a transaction has a consumer of its own), the listener, the
/// control sides, the monitors. To the PostgreSQL of the background load: its clients, and ours that prepare it.
fn connections(request: &RunRequest, role: Role) -> u32 {
    const OF_A_SLOT: u32 = 2;
    const OF_THE_RUN: u32 = 7;
    let workload = &request.plan.workload;
    let of_the_queue = match role {
        Role::Server => workload.producers.get() + OF_A_SLOT * workload.workers.get() * workload.concurrency.get(),
        Role::Background | Role::Harness => 0,
    };
    of_the_queue + OF_THE_RUN + request.plan.scenario.background.map_or(0, |pgbench| pgbench.clients.get())
}
