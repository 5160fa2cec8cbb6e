//! The servers of one run: which ones it needs, where they are, who they are.

use std::path::PathBuf;

use qbench_backends::ServerUrl;
use qbench_backends::registry::EngineKind;
use qbench_scenarios::RunPlan;
use qbench_schema::manifest::ServerDescription;
use qbench_schema::result::Durability;

use super::RunRequest;
use crate::services::{PostgresOptions, SearchPlaces, Service, Services, ValkeyOptions, Wanted};

/// Durability of a private PostgreSQL that only serves the background load.
const BACKGROUND_DURABILITY: Durability = Durability::D2;

/// The servers of one run. Dropping it ends the private ones.
pub(super) struct RunServers {
    services: Services,
}

/// Connections that a server of its own must take: two for each slot of a worker, whatever the backend needs, so that all
/// have the same settings.
fn connections(plan: &RunPlan) -> u64 {
    let background = plan.scenario.background.map_or(0, |pgbench| u64::from(pgbench.clients.get()));
    let workload = &plan.workload;
    (u64::from(workload.producers.get()) + 2 * workload.slots() + background + RESERVE_CONNECTIONS).max(MIN_CONNECTIONS)
}

/// Connections of the harness's control side and monitors, and of a user who wants to look.
const RESERVE_CONNECTIONS: u64 = 30;
/// So that small loads differ in nothing that they need not differ in.
const MIN_CONNECTIONS: u64 = 200;

impl RunServers {
    /// Starts what the backend and the scenario need, or finds what the user gave.
    pub(super) async fn start(request: &RunRequest) -> crate::services::Result<Self> {
        let engine = request.entry.engine;
        let postgres_under_test = engine == EngineKind::Postgres;
        let postgres = (postgres_under_test || request.plan.scenario.background.is_some()).then(|| {
            let durability = if postgres_under_test { request.durability } else { BACKGROUND_DURABILITY };
            match &request.pg_url {
                Some(url) => Wanted::Given(url.clone()),
                None => {
                    let mut options = PostgresOptions::new(durability);
                    options.settings.insert("max_connections".to_owned(), connections(&request.plan).to_string());
                    Wanted::Private(options)
                }
            }
        });
        let valkey = (engine == EngineKind::Valkey).then(|| match &request.valkey_url {
            Some(url) => Wanted::Given(url.clone()),
            None => Wanted::Private(ValkeyOptions::new(request.durability)),
        });
        Ok(RunServers { services: Services::start(postgres, valkey).await? })
    }

    /// Where the server of `engine` is.
    pub(super) fn url_under_test(&self, engine: EngineKind) -> Option<ServerUrl> {
        match engine {
            EngineKind::Postgres => self.services.postgres.as_ref().map(|server| server.url().clone()),
            EngineKind::Valkey => self.services.valkey.as_ref().map(|server| server.url().clone()),
            EngineKind::InProcess => None,
        }
    }

    /// Process of the server of `engine`, or why it is not known; `None` where there is none.
    pub(super) fn pid_under_test(&self, engine: EngineKind) -> Option<Result<u32, String>> {
        let pid = match engine {
            EngineKind::Postgres => self.services.postgres.as_ref()?.pid(),
            EngineKind::Valkey => self.services.valkey.as_ref()?.pid(),
            EngineKind::InProcess => return None,
        };
        Some(pid.map_err(str::to_owned))
    }

    /// Whether the server of `engine` was started for this run.
    pub(super) fn under_test_is_private(&self, engine: EngineKind) -> bool {
        match engine {
            EngineKind::Postgres => matches!(self.services.postgres, Some(Service::Private(_))),
            EngineKind::Valkey => matches!(self.services.valkey, Some(Service::Private(_))),
            EngineKind::InProcess => false,
        }
    }

    /// Address of the server of `engine`, without credentials.
    pub(super) fn address(&self, engine: EngineKind) -> String {
        match (engine, &self.services.postgres, &self.services.valkey) {
            (EngineKind::Postgres, Some(Service::Private(server)), _) => server.address(),
            (EngineKind::Postgres, Some(Service::External(server)), _) => server.url().redacted(),
            (EngineKind::Valkey, _, Some(Service::Private(server))) => server.address(),
            (EngineKind::Valkey, _, Some(Service::External(server))) => server.url().redacted(),
            _ => "in process".to_owned(),
        }
    }

    /// Folder of the private servers' data; the one for temporary files without such a server.
    pub(super) fn data_dir(&self) -> PathBuf {
        match (&self.services.postgres, &self.services.valkey) {
            (_, Some(Service::Private(server))) => server.data_dir(),
            (Some(Service::Private(server)), _) => server.data_dir(),
            _ => std::env::temp_dir(),
        }
    }

    /// The PostgreSQL that only serves the background load, for the manifest: settings as it was started with, because
    /// nothing of it is under test.
    pub(super) fn describe_background(&self) -> Option<ServerDescription> {
        let (version, settings, private) = match self.services.postgres.as_ref()? {
            Service::Private(server) => (server.version().to_string(), server.settings().clone(), true),
            Service::External(_) => ("not asked".to_owned(), Default::default(), false),
        };
        Some(ServerDescription {
            role: "background".to_owned(),
            engine: "postgresql".to_owned(),
            version,
            private,
            address: self.address(EngineKind::Postgres),
            settings,
        })
    }

    /// The pgbench that belongs to the PostgreSQL of this run.
    pub(super) fn pgbench(&self) -> crate::services::Result<PathBuf> {
        match &self.services.postgres {
            Some(Service::Private(server)) => Ok(server.pgbench().to_path_buf()),
            _ => Ok(SearchPlaces::of_machine().find_postgres()?.pgbench),
        }
    }

    /// Private servers that ended by themselves, each with its last words.
    pub(super) fn obituaries(&self) -> Vec<String> {
        let postgres = match &self.services.postgres {
            Some(Service::Private(server)) => server.died(),
            _ => None,
        };
        let valkey = match &self.services.valkey {
            Some(Service::Private(server)) => server.died(),
            _ => None,
        };
        postgres.into_iter().chain(valkey).map(|error| error.to_string()).collect()
    }

    /// Ends the private ones.
    pub(super) async fn stop(self) -> crate::services::Result<()> {
        self.services.stop().await
    }
}
