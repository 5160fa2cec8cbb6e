//! The servers of one run: which ones it needs, where they are, who they are.

use std::path::PathBuf;

use qbench_backends::EngineKind;
use qbench_backends::ServerUrl;
use qbench_schema::manifest::ServerDescription;
use qbench_schema::result::Durability;

use super::RunRequest;
use super::opening::NAMESPACE;
use qbench_engines::services::{self, PostgresOptions, SearchPlaces, Server, Service, Services, ValkeyOptions, Wanted};
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
        let engine = request.entry.engine;
        let role_of_postgres = if engine == EngineKind::Postgres { Role::Server } else { Role::Background };
        let postgres = if role_of_postgres == Role::Server || request.plan.scenario.background.is_some() {
            Some(match &request.pg_url {
                Some(url) => Wanted::Given(url.clone()),
                None => Wanted::Private(PostgresOptions {
                    connections: connections(request),
                    cores: request.pinning.for_child(role_of_postgres),
                    ..PostgresOptions::new(match role_of_postgres {
                        Role::Server => request.durability,
                        Role::Background | Role::Harness => BACKGROUND_DURABILITY,
                    })
                }),
            })
        } else {
            None
        };
        let valkey = match (engine, &request.valkey_url) {
            (EngineKind::Valkey, Some(url)) => Some(Wanted::Given(url.clone())),
            (EngineKind::Valkey, None) => Some(Wanted::Private(ValkeyOptions {
                cores: request.pinning.for_child(Role::Server),
                ..ValkeyOptions::new(request.durability)
            })),
            _ => None,
        };
        let mut services = Services::start(postgres, valkey).await?;
        services.lock_given(NAMESPACE).await?;
        if engine == EngineKind::Sqlite {
            services.add_store()?;
        }
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
        self.services.of(engine).map_or("in process".to_owned(), Server::address)
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
            engine: "postgresql".to_owned(),
            private: own.is_some(),
            address: server.address(),
            version: own.as_ref().map_or("not asked".to_owned(), |own| own.version.clone()),
            settings: own.map(|own| own.settings).unwrap_or_default(),
        })
    }

    /// The pgbench that belongs to the PostgreSQL of this run.
    pub(super) fn pgbench(&self) -> services::Result<PathBuf> {
        match &self.services.postgres {
            Some(Service::Private(server)) => Ok(server.pgbench().to_path_buf()),
            _ => Ok(SearchPlaces::of_machine().find_postgres()?.pgbench),
        }
    }

    /// Private servers that ended by themselves, each with its last words.
    pub(super) fn obituaries(&self) -> Vec<String> {
        self.all().filter_map(Server::died).map(|error| error.to_string()).collect()
    }

    /// The servers of the run, the one under test first.
    fn all(&self) -> impl Iterator<Item = &dyn Server> {
        [EngineKind::Valkey, EngineKind::Sqlite, EngineKind::Postgres]
            .into_iter()
            .filter_map(|engine| self.services.of(engine))
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

/// Connections to PostgreSQL that the run has open at once: one per producer, up to two per job that a worker works on (claims
/// and acks; a claim that holds a transaction has a consumer of its own), the listener, the control sides, the monitors, and the
/// clients of the background load.
fn connections(request: &RunRequest) -> u32 {
    const OF_A_SLOT: u32 = 2;
    const OF_THE_RUN: u32 = 7;
    let workload = &request.plan.workload;
    let of_the_queue = match request.entry.engine {
        EngineKind::Postgres => {
            workload.producers.get() + OF_A_SLOT * workload.workers.get() * workload.concurrency.get()
        }
        EngineKind::Valkey | EngineKind::Sqlite | EngineKind::InProcess => 0,
    };
    of_the_queue + OF_THE_RUN + request.plan.scenario.background.map_or(0, |pgbench| pgbench.clients.get())
}
