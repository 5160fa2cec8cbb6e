//! A look into the directory of an embedded database.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::probe::{NOTE, ServerProbe};
use super::stage::{Checked, Failure};
use crate::url::ServerUrl;

/// The directory. Somebody else's object in it is a database with a table of its own.
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(super) fn of(url: &ServerUrl) -> Checked<Self> {
        let directory = url.expose().strip_prefix("sqlite://").map(PathBuf::from);
        directory.map(|directory| Files { directory }).ok_or_else(|| Failure(format!("{url} is not a directory")))
    }
}

#[async_trait]
impl ServerProbe for Files {
    async fn objects(&mut self, namespace: &str) -> Checked<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.')) {
                names.push(name);
            }
        }
        Ok(names)
    }

    async fn plant(&mut self, _namespace: &str, object: &str) -> Checked {
        let mut database = SqliteConnectOptions::new().filename(object).create_if_missing(true).connect().await?;
        sqlx::query("CREATE TABLE jobs (note TEXT)").execute(&mut database).await?;
        sqlx::query("INSERT INTO jobs VALUES (?)").bind(NOTE).execute(&mut database).await?;
        Ok(database.close().await?)
    }

    async fn is_intact(&mut self, _namespace: &str, object: &str) -> Checked<bool> {
        let mut database = SqliteConnectOptions::new().filename(object).read_only(true).connect().await?;
        let notes: Vec<String> = sqlx::query_scalar("SELECT note FROM jobs").fetch_all(&mut database).await?;
        database.close().await?;
        Ok(notes == [NOTE])
    }

    async fn uproot(&mut self, _namespace: &str, object: &str) -> Checked {
        Ok(std::fs::remove_file(Path::new(object))?)
    }

    async fn cut_connections(&mut self, _namespace: &str) -> Checked<usize> {
        Err(Failure("an embedded database has no connections that could be cut".to_owned()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure(format!("the probe failed: {error}"))
    }
}
