//! What SQLite is, and what its settings are.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

use super::durability::durability;
use super::failure::{of_opening, of_operation};
use super::settings::Settings;
use crate::error::Result;
use crate::seam::Description;

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

/// The library, and what a session of this queue promises.
pub(super) async fn describe(settings_of_queue: &Settings) -> Result<Description> {
    let failed = |error: sqlx::Error| of_operation(format!("describe {}", settings_of_queue.place()), &error);
    let mut session = session(settings_of_queue).await?;
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
        engine: crate::sqlite::ENGINE.id.to_owned(),
        version,
        queue_type: "embedded",
        durability,
        settings,
        objects: vec![settings_of_queue.path.display().to_string()],
        notes: vec![
            "SQLite runs inside this program: its CPU, memory and I/O are counted as the harness's, and there is no server"
                .to_owned(),
        ],
    })
}

/// A connection like any other of the queue; to a database of its own in memory where the queue has no file yet.
async fn session(settings: &Settings) -> Result<SqliteConnection> {
    let session = settings.session();
    let session = if settings.path.exists() { session } else { session.filename(":memory:") };
    session.connect().await.map_err(|error| of_opening(&settings.place(), &error))
}

/// The only value of a row, as text.
fn text(row: &SqliteRow) -> Result<String, sqlx::Error> {
    row.try_get_unchecked::<String, _>(0)
}
