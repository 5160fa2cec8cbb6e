//! `sqlite`: one table in a file. The statements are in `schema/sql/sqlite.sql`.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;

use crate::capability::{Capabilities, Connections};
use crate::claimer::Waiting;
use crate::entry::Entry;
use crate::error::Result;
use crate::job::{NewJob, ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Consumer, Producer};
use crate::sqlite::connection::{self, Link, statement};
use crate::sqlite::settings::Settings;

mod admin;
mod consumer;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqlStr};

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "sqlite",
    engine: crate::sqlite::ENGINE,
    summary: "embedded: one table in a file, WAL mode, UPDATE … RETURNING; nothing to install, one writer at a time",
    colour: Some([240, 228, 66]),
    options: &[],
    variants: &[],
    contract: &|_| {
        let leased = Capabilities::leased(Waiting::WITHIN_PROCESS, MAX_BATCH);
        // One writer at a time is all that the file permits: a second connection would only wait.
        let connections = Some(Connections { per_worker: 1, ..Connections::ONE_A_SIDE });
        Ok(Capabilities { max_enqueue_batch: MAX_ENQUEUE_BATCH, connections, ..leased })
    },
    opener: &|config| Ok(Arc::new(Sqlite { settings: Arc::new(Settings::new(config)?) })),
};

/// Largest batch of jobs in: each takes two of the 32,766 parameters that a statement may have.
const MAX_ENQUEUE_BATCH: NonZeroU32 = NonZeroU32::new(5_000).expect("not zero");

/// Largest batch of jobs out. SQLite has no limit here; this one bounds how long a claim or an ack keeps everybody waiting.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

struct Sqlite {
    settings: Arc<Settings>,
}

#[async_trait]
impl Backend for Sqlite {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(admin::SqliteAdmin::open(&self.settings)?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        let link = Link::open(&self.settings).await?;
        Ok(Box::new(SqliteProducer { settings: Arc::clone(&self.settings), link, insert: None }))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        consumer::open(&self.settings, id).await
    }
}

struct SqliteProducer {
    settings: Arc<Settings>,
    link: Link,
    /// The statement of the last batch and its size: batches are mostly of one size.
    insert: Option<(usize, SqlStr)>,
}

#[async_trait]
impl Producer for SqliteProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        let insert = match &self.insert {
            Some((size, insert)) if *size == jobs.len() => insert.clone(),
            _ => {
                let rows = vec!["(?, ?)"; jobs.len()].join(", ");
                statement("enqueue", &[("{rows}", &rows)])
            }
        };
        self.insert = Some((jobs.len(), insert.clone()));
        let mut arguments = SqliteArguments::default();
        arguments.reserve(2 * jobs.len(), 0);
        for job in jobs {
            connection::bind(&mut arguments, job.job.0.cast_signed())?;
            connection::bind(&mut arguments, job.payload.to_vec())?;
        }
        let mut turn = self.settings.turn().await;
        let enqueued = self.link.write(&mut turn, "enqueue", insert, arguments).await;
        // Whatever became of them: one look too many costs little, and a job that nobody looks for costs much.
        turn.ready += jobs.len() as u64;
        self.settings.signal.give();
        enqueued.map(|_| ())
    }
}
