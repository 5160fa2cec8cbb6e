//! Private servers: found on this machine, started for a run, and gone after it, whatever becomes of the harness.
//!
//! Reading order: [`locate`] (which programs), [`postgres`] and [`valkey`] (one server each, its settings and its
//! durability class), `server` (what they share), `private_dir` (where their data is), then the two mechanisms that keep
//! them from outliving the harness: [`process`] and `guard`. [`external`] is for servers that run already.

pub mod error;
pub mod external;
mod guard;
pub mod locate;
mod memory;
pub mod page_cache;
pub mod postgres;
mod private_dir;
pub mod process;
pub mod run_as;
mod server;
pub mod valkey;

use qbench_backends::ServerUrl;

pub use error::{Error, Result};
pub use external::ExternalServer;
pub use locate::{PostgresPrograms, SearchPlaces, ValkeyProgram, Version};
pub use page_cache::drop_page_cache;
pub use postgres::{PostgresOptions, PostgresServer};
pub use private_dir::DIRECTORY_VARIABLE;
pub use process::{ChildSpec, GuardedChild, spawn_guarded};
pub use run_as::RunAs;
pub use valkey::{ValkeyOptions, ValkeyServer};

/// A server that a run needs.
#[derive(Debug, Clone)]
pub enum Wanted<Options> {
    /// One of our own, for this run.
    Private(Options),
    /// One that runs already.
    Given(ServerUrl),
}

/// A server that a run has.
pub enum Service<Private> {
    /// One of our own; it ends with this value.
    Private(Private),
    /// One that ran before and runs on.
    External(ExternalServer),
}

/// The servers of one run. Dropping it ends the private ones.
#[derive(Default)]
pub struct Services {
    /// PostgreSQL: under test, or for the background load, or both.
    pub postgres: Option<Service<PostgresServer>>,
    /// Valkey or Redis.
    pub valkey: Option<Service<ValkeyServer>>,
}

impl Services {
    /// Starts the private ones, both at once, and looks for the processes of the given ones.
    ///
    /// # Errors
    /// Those of [`PostgresServer::start`] and [`ValkeyServer::start`]; then nothing runs.
    pub async fn start(
        postgres: Option<Wanted<PostgresOptions>>,
        valkey: Option<Wanted<ValkeyOptions>>,
    ) -> Result<Self> {
        let postgres = async {
            Ok(match postgres {
                None => None,
                Some(Wanted::Private(options)) => Some(Service::Private(PostgresServer::start(options).await?)),
                Some(Wanted::Given(url)) => Some(Service::External(ExternalServer::postgres(url).await)),
            })
        };
        let valkey = async {
            Ok(match valkey {
                None => None,
                Some(Wanted::Private(options)) => Some(Service::Private(ValkeyServer::start(options).await?)),
                Some(Wanted::Given(url)) => Some(Service::External(ExternalServer::valkey(url).await)),
            })
        };
        let (postgres, valkey) = tokio::try_join!(postgres, valkey)?;
        Ok(Services { postgres, valkey })
    }

    /// Ends the private ones and removes their directories; both, even when one of them makes trouble.
    ///
    /// # Errors
    /// [`Error::System`] when a directory could not be removed.
    pub async fn stop(self) -> Result<()> {
        let postgres = async {
            match self.postgres {
                Some(Service::Private(server)) => server.stop().await,
                _ => Ok(()),
            }
        };
        let valkey = async {
            match self.valkey {
                Some(Service::Private(server)) => server.stop().await,
                _ => Ok(()),
            }
        };
        let (postgres, valkey) = tokio::join!(postgres, valkey);
        postgres.and(valkey)
    }
}

impl Service<PostgresServer> {
    /// How to connect, password included.
    pub fn url(&self) -> &ServerUrl {
        match self {
            Service::Private(server) => server.url(),
            Service::External(server) => server.url(),
        }
    }

    /// The postmaster, for the accounting of roles.
    ///
    /// # Errors
    /// Why it is not known, as a sentence for the notes of a result.
    pub fn pid(&self) -> Result<u32, &str> {
        match self {
            Service::Private(server) => Ok(server.pid()),
            Service::External(server) => server.pid(),
        }
    }
}

impl Service<ValkeyServer> {
    /// How to connect, password included.
    pub fn url(&self) -> &ServerUrl {
        match self {
            Service::Private(server) => server.url(),
            Service::External(server) => server.url(),
        }
    }

    /// Its process, for the accounting of roles.
    ///
    /// # Errors
    /// Why it is not known, as a sentence for the notes of a result.
    pub fn pid(&self) -> Result<u32, &str> {
        match self {
            Service::Private(server) => Ok(server.pid()),
            Service::External(server) => server.pid(),
        }
    }
}
