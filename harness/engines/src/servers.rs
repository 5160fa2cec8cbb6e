//! The servers of a command: started together, found by product, ended together.

use futures_util::future::{join_all, try_join_all};
use qbench_backends::{EngineKind, ServerUrl};

use crate::engine::Engine;
use crate::services::lock::{ServerLock, release, take};
use crate::services::{GivenServer, Result, Server, StartOptions};

/// Servers that the user gave: at most one of each product.
#[derive(Debug, Clone, Default)]
pub struct GivenServers(Vec<(EngineKind, ServerUrl)>);

impl GivenServers {
    /// The one of `engine`, if one was given.
    pub fn of(&self, engine: EngineKind) -> Option<&ServerUrl> {
        self.0.iter().find(|(known, _)| *known == engine).map(|(_, url)| url)
    }
}

impl FromIterator<(EngineKind, ServerUrl)> for GivenServers {
    fn from_iter<I: IntoIterator<Item = (EngineKind, ServerUrl)>>(given: I) -> Self {
        GivenServers(given.into_iter().collect())
    }
}

/// A server that a command needs.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One of our own, for this command.
    Private(StartOptions),
    /// One that runs already.
    Given(ServerUrl),
}

/// Servers, one of a product. Dropping it ends the private ones.
#[derive(Default)]
pub struct Servers {
    /// In the order in which they were asked for.
    servers: Vec<(&'static dyn Engine, Box<dyn Server>)>,
    /// On the given ones.
    locks: Vec<Box<dyn ServerLock>>,
}

impl Servers {
    /// Starts the private ones, all at once, and looks for the processes of the given ones. A product that needs nothing to be
    /// started is left out.
    ///
    /// # Errors
    /// Those of [`Engine::start`]; then nothing runs.
    pub async fn start(wanted: impl IntoIterator<Item = (&'static dyn Engine, Wanted)>) -> Result<Self> {
        let starts = wanted.into_iter().map(async |(engine, wanted)| {
            let server = match wanted {
                Wanted::Private(options) => engine.start(options).await?,
                Wanted::Given(url) => {
                    let given = GivenServer::new(url.clone(), engine.process_of(&url)).await;
                    Some(Box::new(given) as Box<dyn Server>)
                }
            };
            Result::Ok(server.map(|server| (engine, server)))
        });
        let servers = try_join_all(starts).await?.into_iter().flatten().collect();
        Ok(Servers { servers, locks: Vec::new() })
    }

    /// One that runs already, and is ended by whoever started it or by itself.
    pub fn holding(engine: &'static dyn Engine, server: Box<dyn Server>) -> Self {
        Servers { servers: vec![(engine, server)], locks: Vec::new() }
    }

    /// Locks the objects of `namespace` on the given servers against other runs, until [`Servers::stop`] or the end of this
    /// value. A server that does not answer is left to the backend, whose own connection says what is wrong.
    ///
    /// # Errors
    /// [`crate::services::Error::Busy`] when another run works there.
    pub async fn lock_given(&mut self, namespace: &str) -> Result<()> {
        for (engine, server) in &self.servers {
            if server.private().is_none() {
                let url = server.url();
                self.locks.extend(take(url, engine.try_lock(url, namespace)).await?);
            }
        }
        Ok(())
    }

    /// The server of `engine`, where there is one.
    pub fn of(&self, engine: EngineKind) -> Option<&dyn Server> {
        self.all().find(|(known, _)| known.kind() == engine).map(|(_, server)| server)
    }

    /// Every server with its product, in the order in which they were asked for.
    pub fn all(&self) -> impl Iterator<Item = (&'static dyn Engine, &dyn Server)> {
        self.servers.iter().map(|(engine, server)| (*engine, server.as_ref()))
    }

    /// Ends the private ones and removes their directories; all of them, even when one makes trouble.
    ///
    /// # Errors
    /// [`crate::services::Error::System`] when a directory could not be removed.
    pub async fn stop(self) -> Result<()> {
        let stopped = join_all(self.servers.into_iter().map(|(_, server)| server.stop())).await;
        for lock in self.locks {
            release(lock).await;
        }
        stopped.into_iter().collect()
    }
}
