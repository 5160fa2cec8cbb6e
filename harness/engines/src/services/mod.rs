//! Private servers: found on this machine, started for a run, and gone after it, whatever becomes of the harness.
//!
//! Reading order: [`locate`] (which programs), [`postgres`] and [`valkey`] (one server each, its settings and its
//! durability class), `server` (what they share), `private_dir` (where their data is), then the two mechanisms that keep
//! them from outliving the harness: [`process`] and `guard`. [`store`] is a directory without a server. [`external`] is for
//! servers that run already, and `lock` keeps a second run away from them. [`keeper`] is for private servers that outlive a
//! command.

pub mod error;
pub mod external;
mod guard;
pub mod keeper;
pub mod locate;
mod lock;
mod memory;
pub mod page_cache;
pub mod postgres;
mod private_dir;
pub mod process;
pub mod run_as;
mod server;
pub mod store;
pub mod valkey;

use std::collections::BTreeMap;
use std::path::PathBuf;

use qbench_backends::EngineKind;
use qbench_backends::ServerUrl;

pub use error::{Error, Result};
pub use external::{ExternalServer, is_on_this_host};
use lock::ServerLock;

pub use locate::{PostgresPrograms, SearchPlaces, ValkeyProgram, Version};
pub use page_cache::drop_page_cache;
pub use postgres::{PostgresOptions, PostgresServer};
pub use private_dir::DIRECTORY_VARIABLE;
pub use process::{ChildSpec, GuardedChild, spawn_guarded};
pub use run_as::RunAs;
pub use server::{PrivateServer, Programs};
pub use store::PrivateStore;
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
    /// A directory for SQLite's files.
    pub store: Option<PrivateStore>,
    /// On the given ones.
    locks: Vec<ServerLock>,
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
        Ok(Services { postgres, valkey, ..Services::default() })
    }

    /// Makes a directory for SQLite's files. There is no server to start.
    ///
    /// # Errors
    /// Those of [`PrivateStore::create`].
    pub fn add_store(&mut self) -> Result<()> {
        self.store = Some(PrivateStore::create(None)?);
        Ok(())
    }

    /// Locks the objects of `namespace` on the given servers against other runs, until [`Services::stop`] or the end of this
    /// value. A server that does not answer is left to the backend, whose own connection says what is wrong.
    ///
    /// # Errors
    /// [`Error::Busy`] when another run works there.
    pub async fn lock_given(&mut self, namespace: &str) -> Result<()> {
        for engine in [EngineKind::Postgres, EngineKind::Valkey] {
            let given = self.of(engine).filter(|server| server.private().is_none()).map(|server| server.url().clone());
            if let Some(url) = given {
                self.locks.extend(ServerLock::take(engine, &url, namespace).await?);
            }
        }
        Ok(())
    }

    /// The server of `engine`, where there is one.
    pub fn of(&self, engine: EngineKind) -> Option<&dyn Server> {
        match engine {
            EngineKind::Postgres => self.postgres.as_ref().map(|server| server as &dyn Server),
            EngineKind::Valkey => self.valkey.as_ref().map(|server| server as &dyn Server),
            EngineKind::Sqlite => self.store.as_ref().map(|store| store as &dyn Server),
            EngineKind::InProcess => None,
        }
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
        for lock in self.locks {
            lock.release().await;
        }
        let store = self.store.map_or(Ok(()), |store| store.remove());
        postgres.and(valkey).and(store)
    }
}

/// What a run asks of a server, whatever its engine and whoever started it.
pub trait Server {
    /// How to connect, password included.
    fn url(&self) -> &ServerUrl;

    /// Where it is, without credentials.
    fn address(&self) -> String;

    /// Its main process, for the accounting of roles.
    ///
    /// # Errors
    /// Why it is not known, as a sentence for the notes of a result.
    fn pid(&self) -> Result<u32, &str>;

    /// What is known of one of our own; `None` of one that somebody else started.
    fn private(&self) -> Option<OwnServer>;

    /// That one of our own has ended by itself, with the last lines of its log; `None` while it runs.
    fn died(&self) -> Option<Error>;
}

/// What is known of a private server.
#[derive(Debug, Clone)]
pub struct OwnServer {
    /// Its version, for instance `15.18`.
    pub version: String,
    /// Every setting that it was started with on top of its own defaults, but for the password.
    pub settings: BTreeMap<String, String>,
    /// Its data directory.
    pub data_dir: PathBuf,
}

impl<P: Programs> Server for Service<PrivateServer<P>> {
    fn url(&self) -> &ServerUrl {
        match self {
            Service::Private(server) => server.url(),
            Service::External(server) => server.url(),
        }
    }

    fn address(&self) -> String {
        match self {
            Service::Private(server) => server.address(),
            Service::External(server) => server.url().redacted(),
        }
    }

    fn pid(&self) -> Result<u32, &str> {
        match self {
            Service::Private(server) => Ok(server.pid()),
            Service::External(server) => server.pid(),
        }
    }

    fn private(&self) -> Option<OwnServer> {
        match self {
            Service::Private(server) => Some(OwnServer {
                version: server.version().to_string(),
                settings: server.settings().clone(),
                data_dir: server.data_dir(),
            }),
            Service::External(_) => None,
        }
    }

    fn died(&self) -> Option<Error> {
        match self {
            Service::Private(server) => server.died(),
            Service::External(_) => None,
        }
    }
}
