//! Control side: setup, reset and counts.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteJournalMode, SqliteRow};
use sqlx::{ConnectOptions, Connection, Executor, Row, SqlStr};

use crate::error::{Error, ErrorKind, Result};
use crate::seam::{Admin, Census, Depth, Description};
use crate::sqlite::connection::{Link, statement};
use crate::sqlite::describe::describe;
use crate::sqlite::failure::{of_opening, of_operation};
use crate::sqlite::ownership::{self, APPLICATION_ID, Ownership};
use crate::sqlite::settings::Settings;

/// Index entries that [`Admin::depth`] reads at most.
const DEPTH_BOUND: &str = "10000";

pub(super) struct SqliteAdmin {
    settings: Arc<Settings>,
    /// From the first question on that needs the queue: before [`Admin::setup`] there is no file to open.
    link: Option<Link>,
    depth: SqlStr,
}

impl SqliteAdmin {
    /// Checks that the directory is there.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when it is not.
    pub(super) fn open(settings: &Arc<Settings>) -> Result<Self> {
        let directory = settings.path.parent().filter(|directory| directory.is_dir());
        if directory.is_none() {
            let message = "its directory does not exist, or may not be entered";
            return Err(Error::new(ErrorKind::Connect, format!("open the database {}", settings.place()), message));
        }
        let depth = statement("depth", &[("{bound}", DEPTH_BOUND)]);
        Ok(SqliteAdmin { settings: Arc::clone(settings), link: None, depth })
    }

    async fn link(&mut self) -> Result<&mut Link> {
        match &mut self.link {
            Some(link) => Ok(link),
            none => Ok(none.insert(Link::open(&self.settings).await?)),
        }
    }

    async fn write(&mut self, what: &str, statement: SqlStr) -> Result<()> {
        let settings = Arc::clone(&self.settings);
        let mut turn = settings.turn().await;
        self.link().await?.write(&mut turn, what, statement, SqliteArguments::default()).await.map(|_| ())
    }

    fn context(&self, what: &str) -> String {
        format!("{what} in {}", self.settings.place())
    }
}

#[async_trait]
impl Admin for SqliteAdmin {
    async fn describe(&mut self) -> Result<Description> {
        describe(&self.settings).await
    }

    async fn setup(&mut self) -> Result<()> {
        ownership::of(&self.settings).await?;
        let _turn = self.settings.turn().await;
        let failed = |error: sqlx::Error| of_operation(self.context("set up the queue"), &error);
        // WAL is a property of the file, so only the first connection has to ask for it.
        let session = self.settings.session().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let mut session = session.connect().await.map_err(|error| of_opening(&self.settings.place(), &error))?;
        let create = statement("create", &[("{application_id}", &APPLICATION_ID.to_string())]);
        session.execute(sqlx::raw_sql(create)).await.map_err(failed)?;
        session.close().await.map_err(failed)
    }

    async fn reset(&mut self) -> Result<()> {
        self.write("reset", statement("reset", &[])).await
    }

    /// Moves the log into the database, so that the next checkpoint is the run's own.
    async fn settle(&mut self) -> Result<()> {
        let checkpoint = SqlStr::from_static("PRAGMA wal_checkpoint(TRUNCATE)");
        self.write("checkpoint", checkpoint).await
    }

    async fn depth(&mut self) -> Result<Depth> {
        let depth = self.depth.clone();
        let rows = self.link().await?.read("depth", depth).await?;
        let [ready, in_flight] = counts(&rows).map_err(|error| of_operation(self.context("depth"), &error))?;
        Ok(Depth { ready, in_flight })
    }

    async fn census(&mut self) -> Result<Census> {
        let rows = self.link().await?.read("census", statement("census", &[])).await?;
        let [enqueued, ready, in_flight, done] =
            counts(&rows).map_err(|error| of_operation(self.context("census"), &error))?;
        Ok(Census { enqueued: Some(enqueued), ready, in_flight, done: Some(done), ..Census::default() })
    }

    async fn teardown(&mut self) -> Result<()> {
        if matches!(ownership::of(&self.settings).await?, Ownership::Nobody) {
            return Ok(());
        }
        // A file that was never fully set up has no table to retire, and nobody uses it.
        let _ = self.write("retire", statement("retire", &[])).await;
        self.link = None;
        for file in self.settings.files() {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::new(ErrorKind::Server, format!("remove {}", file.display()), error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The counts in the only row of `rows`.
fn counts<const N: usize>(rows: &[SqliteRow]) -> Result<[u64; N], sqlx::Error> {
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let mut counts = [0; N];
    for (index, count) in counts.iter_mut().enumerate() {
        *count = row.try_get::<i64, _>(index)?.cast_unsigned();
    }
    Ok(counts)
}
