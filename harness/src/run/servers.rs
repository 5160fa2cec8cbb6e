//! The servers of one run: which ones it needs, where they are, who they are.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use qbench_backends::{Description, ServerUrl};
use qbench_engines::background;
use qbench_engines::engine::{Engine, TcpPlace};
use qbench_engines::helper::HelperProgram;
use qbench_engines::monitor::{Roles, ServerTarget};
use qbench_engines::relay::Relay;
use qbench_engines::servers::{Servers, Wanted};
use qbench_engines::services::{Server, StartOptions, drop_page_cache};
use qbench_ground::pinning::Role;
use qbench_schema::manifest::ServerDescription;

use super::apart::Apart;
use super::opening::NAMESPACE;
use super::request::RunRequest;

/// The hidden command by which this program is a relay.
pub const RELAY_COMMAND: &str = "relay";

/// The servers of one run. Dropping it ends the private ones.
pub(super) struct RunServers {
    /// The product under test.
    engine: &'static dyn Engine,
    servers: Servers,
    /// What makes the way to the one under test longer, and its address for whoever goes that way.
    relay: Option<(Relay, ServerUrl)>,
    /// Its host, where an observer is there.
    apart: Option<Apart>,
    /// Why that does not account for its process, where it does not.
    unaccounted: Option<String>,
}

impl RunServers {
    /// Starts what the backend and the scenario need, or finds what the user gave and locks it against other runs.
    ///
    /// # Errors
    /// Those of [`Servers::start`] and [`Servers::lock_given`]; why there is no observer, or no relay. Nothing runs then.
    pub(super) async fn start(request: &RunRequest) -> anyhow::Result<Self> {
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
        let apart = match &request.observer {
            Some(observer) => Some(Apart::connect(observer, request.server_address).await?),
            None => None,
        };
        let mut unaccounted = None;
        let mut servers = match &apart {
            Some(apart) => {
                let server = apart.server(engine, request, connections(request, Role::Server)).await?;
                unaccounted = server.unaccounted().map(str::to_owned);
                Servers::holding(engine, Box::new(server))
            }
            None => Servers::start(wanted).await?,
        };
        servers.lock_given(NAMESPACE).await?;
        let mut started = RunServers { engine, servers, relay: None, apart, unaccounted };
        let delay = request.plan.workload.delay;
        if let Some(server) = started.under_test().filter(|_| !delay.is_zero()) {
            let url = server.url();
            let relayed = relayed(engine, url, delay);
            started.relay = Some(relayed.with_context(|| format!("cannot make the way to {url} longer"))?);
        }
        Ok(started)
    }

    /// The host of the server under test, where an observer is there.
    pub(super) fn apart(&self) -> Option<&Apart> {
        self.apart.as_ref()
    }

    /// What was put between clients and server, a sentence each.
    pub(super) fn network(&self) -> Vec<String> {
        self.relay.as_ref().map(|(relay, _)| relay.in_words()).unwrap_or_default()
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

    /// Where the queue finds the server under test: by way of the relay, where there is one.
    pub(super) fn url(&self) -> Option<ServerUrl> {
        match &self.relay {
            Some((_, url)) => Some(url.clone()),
            None => Some(self.under_test()?.url().clone()),
        }
    }

    /// What the monitors ask, by the shortest way; nothing where an observer does.
    pub(super) fn target(&self, objects: &[String]) -> Option<ServerTarget> {
        let url = self.under_test().filter(|_| self.apart.is_none())?.url().clone();
        let serves_background = self.only_of_background().is_none();
        Some(ServerTarget { engine: self.engine, url, objects: objects.to_vec(), serves_background })
    }

    /// Which processes the servers are, and why one of them is not accounted. `background` is pgbench, where it runs.
    pub(super) fn roles(&self, background: Option<u32>) -> (Roles, Vec<String>) {
        let mut roles = Roles::default();
        let mut notes: Vec<String> = self.unaccounted.iter().cloned().collect();
        let mut add = |list: &mut Vec<u32>, server: Option<&dyn Server>| match server.map(Server::pid) {
            Some(Ok(pid)) => list.push(pid),
            Some(Err(reason)) => notes.push(reason.to_owned()),
            None => {}
        };
        add(&mut roles.server, self.under_test().filter(|_| self.engine.kind().has_server && self.apart.is_none()));
        roles.instruments.extend(self.relay.as_ref().map(|(relay, _)| relay.pid()));
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
    pub(super) async fn cool_down(&self) -> Vec<String> {
        let Some(server) = self.under_test() else { return Vec::new() };
        let mut notes = Vec::new();
        if server.private().is_none() {
            notes.push("cold start: the server ran before, so its own caches may be warm".to_owned());
        }
        notes.push(match &self.apart {
            Some(apart) => apart.cool_down().await,
            None => match drop_page_cache() {
                Ok(()) => "cold start: the host's page cache was dropped".to_owned(),
                Err(reason) => format!("cold start: the host's page cache was not dropped: {reason}"),
            },
        });
        notes
    }

    /// Folder of the private servers' data; the one for temporary files without such a server.
    pub(super) fn data_dir(&self) -> PathBuf {
        let own = self.servers.all().filter(|_| self.apart.is_none()).find_map(|(_, server)| server.private());
        own.map_or_else(std::env::temp_dir, |own| own.data_dir)
    }

    /// Private servers that ended by themselves, each with its last words.
    pub(super) fn that_died(&self) -> Vec<String> {
        self.servers.all().filter_map(|(_, server)| server.died()).map(|error| error.to_string()).collect()
    }

    /// Ends the private ones, and lets go of the given ones.
    ///
    /// # Errors
    /// What made trouble.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        drop(self.relay);
        let here = self.servers.stop().await;
        if let Some(apart) = self.apart {
            apart.stop().await.map_err(|reason| anyhow!("the observer: {reason}"))?;
        }
        Ok(here?)
    }
}

/// A relay to the server at `url`, and its address by that way.
fn relayed(engine: &dyn Engine, url: &ServerUrl, delay: Duration) -> anyhow::Result<(Relay, ServerUrl)> {
    let place = engine.place_of(url).map_err(|reason| anyhow!(reason))?;
    let program = HelperProgram::this_one(RELAY_COMMAND);
    let relay =
        Relay::start(program, delay, place.addresses().collect()).map_err(|reason| anyhow!("its relay: {reason}"))?;
    let ports: Vec<u16> = relay.at().map(|at| at.port()).collect();
    let by_relay = TcpPlace { host: Ipv4Addr::LOCALHOST.to_string(), ports };
    let moved = engine.moved(url, &by_relay);
    // Some addresses name their host once more, where it counts more.
    ensure!(
        engine.place_of(&moved).is_ok_and(|place| place == by_relay),
        "its address names the server in a way that leads around the relay: write host and port behind the user, as in \
         scheme://USER@HOST:PORT/…"
    );
    Ok((relay, moved))
}

/// Whether the background load needs a PostgreSQL of its own, beside the server under test.
fn needs_background_server(request: &RunRequest) -> bool {
    request.plan.scenario.background.is_some() && request.entry.engine != background::ENGINE.kind()
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
    of_the_queue + OF_THE_RUN + request.plan.scenario.background.map_or(0, |pgbench| pgbench.clients.get())
}
