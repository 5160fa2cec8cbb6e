//! A private directory for the files of an embedded database: the same place and the same end as a private server's data,
//! without a server.

use std::path::Path;

use async_trait::async_trait;
use qbench_backends::ServerUrl;

use crate::services::private_dir::PrivateDir;
use crate::services::{OwnServer, Result, Server};

/// A directory for SQLite's files. Dropping it removes it, and so does its guard when the harness is killed.
pub struct PrivateStore {
    dir: PrivateDir,
    url: ServerUrl,
}

impl PrivateStore {
    /// Makes it, in `base` or where private servers keep their data (see [`crate::services::DIRECTORY_VARIABLE`]).
    ///
    /// # Errors
    /// [`crate::services::Error`] when it cannot be made there.
    pub fn create(base: Option<&Path>) -> Result<Self> {
        // Nothing runs in it, so there is no program to look for, and no other user to give it to.
        let dir = PrivateDir::create(base, "sqlite", Path::new(""), None)?;
        let url = ServerUrl::new(format!("sqlite://{}", dir.data().display()));
        Ok(PrivateStore { dir, url })
    }

    /// Its address for the backend.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Removes it with everything in it.
    ///
    /// # Errors
    /// [`crate::services::Error::System`] when it is still there afterwards.
    pub fn remove(self) -> Result<()> {
        self.dir.remove()
    }
}

#[async_trait]
impl Server for PrivateStore {
    fn url(&self) -> &ServerUrl {
        &self.url
    }

    fn pid(&self) -> Result<u32, &str> {
        Err("SQLite runs inside this program")
    }

    fn private(&self) -> Option<OwnServer> {
        Some(OwnServer {
            version: "built in".to_owned(),
            settings: Default::default(),
            data_dir: self.dir.data(),
            program: Default::default(),
        })
    }

    async fn stop(self: Box<Self>) -> Result<()> {
        self.remove()
    }
}
