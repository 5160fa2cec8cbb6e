//! A look past a backend: what is really on its server or in its directory, and objects of somebody else. The conformance suite
//! asks it; each room answers for its product.

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::url::ServerUrl;

/// What is in an object of somebody else.
pub const NOTE: &str = "not yours";

/// Raw access to the server, by its own driver.
#[async_trait]
pub trait ServerProbe: Send {
    /// Names of everything in `namespace`, whoever made it.
    async fn objects(&mut self, namespace: &str) -> Result<Vec<String>>;

    /// Makes an object of somebody else, not empty, where the backend would put `object`.
    async fn plant(&mut self, namespace: &str, object: &str) -> Result<()>;

    /// Whether the planted object is as it was made.
    async fn is_intact(&mut self, namespace: &str, object: &str) -> Result<bool>;

    /// Removes the planted object.
    async fn uproot(&mut self, namespace: &str, object: &str) -> Result<()>;

    /// Ends every connection of backends that were opened in `namespace`, whatever they are doing, and returns how many
    /// there were. By the names that backends give their connections, so that nobody else's is ended.
    async fn cut_connections(&mut self, namespace: &str) -> Result<usize>;

    /// The same for those connections alone on which notifications arrive; none where the engine has no such thing.
    async fn cut_listeners(&mut self, _namespace: &str) -> Result<usize> {
        Ok(0)
    }
}

/// How a product is looked at, past the backends.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Connects to the server at `url` by the product's own driver.
    ///
    /// # Errors
    /// What the driver said.
    async fn connect(&self, url: &ServerUrl) -> Result<Box<dyn ServerProbe>>;

    /// An address of the right kind where nothing listens (port 1), with a password; `None` for a product without servers.
    fn dead_address(&self) -> Option<ServerUrl> {
        None
    }
}

/// Trouble of a probe, which is never the backend's.
pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Server, "the probe failed", error.to_string())
}
