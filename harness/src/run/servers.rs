//! The servers of one run: which ones it needs, where they are, who they are.

use std::path::PathBuf;

use anyhow::Context;
use qbench_backends::{Description, ServerUrl};
use qbench_engines::background;
use qbench_engines::engine::Engine;
use qbench_engines::monitor::{Roles, ServerTarget};
use qbench_engines::servers::{Servers, Wanted};
use qbench_engines::services::meeting::{Meeting, Party};
use qbench_engines::services::{self, Server, StartOptions, drop_page_cache};
use qbench_ground::pinning::Role;
use qbench_schema::manifest::ServerDescription;

use super::company;
use super::opening::NAMESPACE;
use super::request::RunRequest;

/// The servers of one run. Dropping it ends the private ones.
pub(super) struct RunServers {
    /// The product under test.
    engine: &'static dyn Engine,
    servers: Servers,
    /// Where the shards of one run meet.
    seat: Option<Box<dyn Meeting>>,
}

impl RunServers {
    /// Starts what the backend and the scenario need, or finds what the user gave and locks it against other runs.
    ///
    /// # Errors
    /// Those of [`Servers::start`] and [`Servers::lock_given`]. Nothing runs then.
    pub(super) async fn start(request: &RunRequest) -> services::Result<Self> {
        let want = |engine: &'static dyn Engine, role, durability| {
            let wanted = match request.given.of(engine.kind()) {
                Some(url) => Wanted::Given(url.clone()),
                None => Wanted::Private(StartOptions {
                    connections: connections(request, role),
                    cores: request.pinning.for_child(role),
                    tuning: request.plan.workload.tuning,
                    ..StartOptions::new(durability)
                }),
            };
            (engine, wanted)
        };
        let engine = qbench_engines::of(request.entry.engine);
        let mut wanted = vec![want(engine, Role::Server, request.durability)];
        if needs_background_server(request) {
            // As the one under test would be, on which pgbench works beside a queue on PostgreSQL: the same load beside every queue.
            wanted.push(want(background::ENGINE, Role::Background, request.durability));
        }
        let mut servers = Servers::start(wanted).await?;
        let seat = match request.shard {
            None => {
                servers.lock_given(NAMESPACE).await?;
                None
            }
            Some(shard) => {
                let party = Party { run_key: company::run_key(request, shard), shard: shard.which };
                servers.meet(engine, NAMESPACE, &party).await?
            }
        };
        Ok(RunServers { engine, servers, seat })
    }

    /// This shard's seat among the others, which whoever takes it has to leave.
    pub(super) fn take_seat(&mut self) -> Option<Box<dyn Meeting>> {
        self.seat.take()
    }

    /// The server under test; `None` where the queue lives in this process.
    fn under_test(&self) -> Option<&dyn Server> {
        self.servers.of(self.engine.kind())
    }

    /// The PostgreSQL that the background load works on.
    ///
    /// # Errors
    /// When none was started.
    pub(super) fn of_background(&self) -> anyhow::Result<&dyn Server> {
        self.servers.of(background::ENGINE.kind()).context("a background load needs a PostgreSQL")
    }

    /// The server that only serves the background load; `None` where that works on the one under test, or is not there.
    fn only_of_background(&self) -> Option<&dyn Server> {
        self.servers.all().find(|(engine, _)| engine.kind() != self.engine.kind()).map(|(_, server)| server)
    }

    /// Where the server under test is.
    pub(super) fn url(&self) -> Option<ServerUrl> {
        Some(self.under_test()?.url().clone())
    }

    /// What the monitors ask.
    pub(super) fn target(&self, objects: &[String]) -> Option<ServerTarget> {
        let serves_background = self.only_of_background().is_none();
        Some(ServerTarget { engine: self.engine, url: self.url()?, objects: objects.to_vec(), serves_background })
    }

    /// Which processes the servers are, and why one of them is not accounted. `background` is pgbench, where it runs.
    pub(super) fn roles(&self, background: Option<u32>) -> (Roles, Vec<String>) {
        let mut roles = Roles::default();
        let mut notes = Vec::new();
        let mut add = |list: &mut Vec<u32>, server: Option<&dyn Server>| match server.map(Server::pid) {
            Some(Ok(pid)) => list.push(pid),
            Some(Err(reason)) => notes.push(reason.to_owned()),
            None => {}
        };
        add(&mut roles.server, self.under_test().filter(|_| self.engine.kind().has_server));
        if let Some(pgbench) = background {
            roles.background.push(pgbench);
            add(&mut roles.background, self.only_of_background());
        }
        (roles, notes)
    }

    /// The servers for the manifest. `described` is what the one under test says of itself; of the other one, settings as it was
    /// started with, because nothing of it is under test.
    pub(super) fn describe(&self, described: &Description) -> Vec<ServerDescription> {
        let under_test = self.under_test().map(|server| ServerDescription {
            role: "server".to_owned(),
            engine: described.engine.clone(),
            version: described.version.clone(),
            private: server.private().is_some(),
            address: server.address(),
            settings: described.settings.clone(),
        });
        let of_background = self.only_of_background().map(|server| {
            let own = server.private();
            ServerDescription {
                role: "background".to_owned(),
                engine: background::ENGINE.kind().id.to_owned(),
                private: own.is_some(),
                address: server.address(),
                version: own.as_ref().map_or("not asked".to_owned(), |own| own.version.clone()),
                settings: own.map(|own| own.settings).unwrap_or_default(),
            }
        });
        under_test.into_iter().chain(of_background).collect()
    }

    /// Makes a cold start cold, as far as the system lets us; says in a sentence how cold it is.
    pub(super) fn cool_down(&self) -> Vec<String> {
        let Some(server) = self.under_test() else { return Vec::new() };
        let mut notes = Vec::new();
        if server.private().is_none() {
            notes.push("cold start: the server ran before, so its own caches may be warm".to_owned());
        }
        notes.push(match drop_page_cache() {
            Ok(()) => "cold start: the host's page cache was dropped".to_owned(),
            Err(reason) => format!("cold start: the host's page cache was not dropped: {reason}"),
        });
        notes
    }

    /// Folder of the private servers' data; the one for temporary files without such a server.
    pub(super) fn data_dir(&self) -> PathBuf {
        let own = self.servers.all().find_map(|(_, server)| server.private());
        own.map_or_else(std::env::temp_dir, |own| own.data_dir)
    }

    /// Private servers that ended by themselves, each with its last words.
    pub(super) fn that_died(&self) -> Vec<String> {
        self.servers.all().filter_map(|(_, server)| server.died()).map(|error| error.to_string()).collect()
    }

    /// Ends the private ones, and lets go of the given ones.
    pub(super) async fn stop(self) -> services::Result<()> {
        self.servers.stop().await
    }
}

/// Whether the background load needs a PostgreSQL of its own, beside the server under test.
fn needs_background_server(request: &RunRequest) -> bool {
    request.background().is_some() && request.entry.engine != background::ENGINE.kind()
}

/// Connections that the run has open at once to the server of `role`. To the one under test: one per producer, as many that measured
/// the floor of the wire and may still be closing, up to two per job
/// that a worker works on (claims and acks; a claim that holds a transaction has a consumer of its own), the listener, the
/// control sides, the monitors. To the PostgreSQL of the background load: its clients, and ours that prepare it.
fn connections(request: &RunRequest, role: Role) -> u32 {
    const OF_A_SLOT: u32 = 2;
    const OF_THE_RUN: u32 = 7;
    let workload = &request.plan.workload;
    let of_the_queue = match role {
        Role::Server => {
            2 * workload.producers.get() + OF_A_SLOT * workload.workers.get() * workload.worker.concurrency.get()
        }
        Role::Background | Role::Harness => 0,
    };
    of_the_queue + OF_THE_RUN + request.background().map_or(0, |pgbench| pgbench.clients.get())
}
