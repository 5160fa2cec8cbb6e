//! A look past the backend of this room, into the directory of its database.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::error::Result;
use crate::probe::{NOTE, Probe, ServerProbe, failed};
use crate::url::ServerUrl;

/// How a directory of databases is looked at.
pub(super) struct SqliteProbe;

#[async_trait]
impl Probe for SqliteProbe {
    async fn connect(&self, url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        Ok(Box::new(Files::of(url)?))
    }
}

/// The directory. Somebody else's object in it is a database with a table of its own.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn of(url: &ServerUrl) -> Result<Self> {
        let directory = url.expose().strip_prefix("sqlite://").map(PathBuf::from);
        directory.map(|directory| Files { directory }).ok_or_else(|| failed(format!("{url} is not a directory")))
    }
}

#[async_trait]
impl ServerProbe for Files {
    async fn objects(&mut self, namespace: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.')) {
                names.push(name);
            }
        }
        Ok(names)
    }

    async fn plant(&mut self, _namespace: &str, object: &str) -> Result<()> {
        let mut database =
            SqliteConnectOptions::new().filename(object).create_if_missing(true).connect().await.map_err(failed)?;
        sqlx::query("CREATE TABLE jobs (note TEXT)").execute(&mut database).await.map_err(failed)?;
        sqlx::query("INSERT INTO jobs VALUES (?)").bind(NOTE).execute(&mut database).await.map_err(failed)?;
        database.close().await.map_err(failed)
    }

    async fn is_intact(&mut self, _namespace: &str, object: &str) -> Result<bool> {
        let mut database =
            SqliteConnectOptions::new().filename(object).read_only(true).connect().await.map_err(failed)?;
        let notes: Vec<String> =
            sqlx::query_scalar("SELECT note FROM jobs").fetch_all(&mut database).await.map_err(failed)?;
        database.close().await.map_err(failed)?;
        Ok(notes == [NOTE])
    }

    async fn uproot(&mut self, _namespace: &str, object: &str) -> Result<()> {
        std::fs::remove_file(Path::new(object)).map_err(failed)
    }

    async fn cut_connections(&mut self, _namespace: &str) -> Result<usize> {
        Err(failed("an embedded database has no connections that could be cut"))
    }
}
