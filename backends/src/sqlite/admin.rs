//! Control side: whose the file is, setup, reset, counts, and what SQLite is.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use qbench_schema::result::Durability;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row, SqlStr, SqliteConnection};

use super::link::{Link, NOTADB, of_opening, of_operation, result_code, statement};
use super::store::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::seam::{Admin, Census, Depth, Description};

/// By this number in its header we know a file of ours (`PRAGMA application_id`): "qbch".
const APPLICATION_ID: u32 = 0x7162_6368;

/// Index entries that [`Admin::depth`] reads at most.
const DEPTH_BOUND: &str = "10000";

/// Settings that can move a number, as `PRAGMA`.
const PRAGMAS: &[&str] = &[
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "journal_mode",
    "journal_size_limit",
    "mmap_size",
    "page_size",
    "synchronous",
    "temp_store",
    "wal_autocheckpoint",
];

/// Whose the file is.
enum Ownership {
    /// It carries our number.
    Ours,
    /// There is none, or an empty one.
    Nobody,
}

pub(super) struct SqliteAdmin {
    store: Arc<Store>,
    /// From the first question on that needs the queue: before [`Admin::setup`] there is no file to open.
    link: Option<Link>,
    depth: SqlStr,
}

impl SqliteAdmin {
    /// Checks that the directory is there.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] when it is not.
    pub(super) fn open(store: &Arc<Store>) -> Result<Self> {
        let directory = store.path.parent().filter(|directory| directory.is_dir());
        if directory.is_none() {
            let message = "its directory does not exist, or may not be entered";
            return Err(Error::new(ErrorKind::Connect, format!("open the database {}", store.place()), message));
        }
        let depth = statement("depth", &[("{bound}", DEPTH_BOUND)]);
        Ok(SqliteAdmin { store: Arc::clone(store), link: None, depth })
    }

    async fn link(&mut self) -> Result<&mut Link> {
        match &mut self.link {
            Some(link) => Ok(link),
            none => Ok(none.insert(Link::open(&self.store).await?)),
        }
    }

    async fn write(&mut self, what: &str, statement: SqlStr) -> Result<()> {
        let store = Arc::clone(&self.store);
        let mut turn = store.turn().await;
        self.link().await?.write(&mut turn, what, statement, SqliteArguments::default()).await.map(|_| ())
    }

    fn context(&self, what: &str) -> String {
        format!("{what} in {}", self.store.place())
    }

    /// Looks whose the file is, without a change to it.
    ///
    /// # Errors
    /// [`ErrorKind::Foreign`] when it is neither ours nor empty.
    async fn ownership(&self) -> Result<Ownership> {
        let path = &self.store.path;
        match std::fs::metadata(path) {
            Ok(file) if file.len() > 0 => {}
            Ok(_) => return Ok(Ownership::Nobody),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ownership::Nobody),
            Err(error) => return Err(of_opening(&self.store.place(), &error.into())),
        }
        let look = async {
            let mut connection = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
            let id = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await;
            connection.close().await?;
            id
        };
        match look.await {
            Ok(APPLICATION_ID) => return Ok(Ownership::Ours),
            Ok(_) => {}
            Err(error) if result_code(&error) == Some(NOTADB) => {}
            Err(error) => return Err(of_opening(&self.store.place(), &error)),
        }
        let message =
            "the file exists and is not ours; nothing was touched. Choose another directory, or remove it yourself";
        Err(Error::new(ErrorKind::Foreign, self.context("set up"), message))
    }

    /// A connection like any other of the queue; to a database of its own in memory where the queue has no file yet.
    async fn session(&self) -> Result<SqliteConnection> {
        let session = self.store.session();
        let session = if self.store.path.exists() { session } else { session.filename(":memory:") };
        session.connect().await.map_err(|error| of_opening(&self.store.place(), &error))
    }
}

/// Class of a session, by `PRAGMA synchronous`, and what has to be said about it.
fn durability(synchronous: &str) -> (Durability, &'static str) {
    match synchronous {
        "2" | "3" => (Durability::D2, "the log is synced before every commit returns"),
        "1" => (Durability::D1, "the log is synced before a checkpoint, not at every commit"),
        _ => (Durability::D0, "nothing is synced: a crash of the machine may leave a file that cannot be read"),
    }
}

#[async_trait]
impl Admin for SqliteAdmin {
    async fn describe(&mut self) -> Result<Description> {
        let failed = |error: sqlx::Error| of_operation(format!("describe {}", self.store.place()), &error);
        let mut session = self.session().await?;
        let version = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut session).await.map_err(failed)?;
        let mut settings = BTreeMap::new();
        for pragma in PRAGMAS {
            let question = sqlx::query(AssertSqlSafe(format!("PRAGMA {pragma}")));
            if let Some(row) = question.fetch_optional(&mut session).await.map_err(failed)? {
                settings.insert((*pragma).to_owned(), text(&row).map_err(failed)?);
            }
        }
        session.close().await.map_err(failed)?;
        let (durability, why) = durability(settings.get("synchronous").map_or("", String::as_str));
        settings.insert("durability".to_owned(), why.to_owned());
        Ok(Description {
            engine: "sqlite".to_owned(),
            version,
            queue_type: "embedded",
            durability,
            settings,
            objects: vec![self.store.path.display().to_string()],
            notes: vec![
                "SQLite runs inside this program: its CPU, memory and I/O are counted as the harness's, and there is no server"
                    .to_owned(),
            ],
        })
    }

    async fn setup(&mut self) -> Result<()> {
        self.ownership().await?;
        let _turn = self.store.turn().await;
        let failed = |error: sqlx::Error| of_operation(self.context("set up the queue"), &error);
        // WAL is a property of the file, so only the first connection has to ask for it.
        let session = self.store.session().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let mut session = session.connect().await.map_err(|error| of_opening(&self.store.place(), &error))?;
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
        Ok(Census { enqueued: Some(enqueued), ready, in_flight, done: Some(done), dead: 0, partitions: Vec::new() })
    }

    async fn teardown(&mut self) -> Result<()> {
        if matches!(self.ownership().await?, Ownership::Nobody) {
            return Ok(());
        }
        // A file that was never fully set up has no table to retire, and nobody uses it.
        let _ = self.write("retire", statement("retire", &[])).await;
        self.link = None;
        for file in self.store.files() {
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

/// The only value of a row, as text.
fn text(row: &SqliteRow) -> Result<String, sqlx::Error> {
    row.try_get_unchecked::<String, _>(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_what_the_session_syncs() {
        assert_eq!(durability("3").0, Durability::D2);
        assert_eq!(durability("2").0, Durability::D2);
        assert_eq!(durability("1").0, Durability::D1);
        assert_eq!(durability("0").0, Durability::D0);
        assert_eq!(durability("").0, Durability::D0);
    }
}
