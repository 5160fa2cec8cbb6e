//! `sqlite`: one table in a file, and SQLite as a library of this process. The embedded queue: there is no server.
//!
//! The statements are in `schema/sql/sqlite.sql`. Here:
//!
//! * [`store`]: where the file is, what a connection to it is opened with, and the line in which writers wait;
//! * [`link`]: one connection, and what its errors mean;
//! * [`consumer`]: claims that wait for work, and acks;
//! * [`admin`]: the control side.
//!
//! **One writer at a time.** SQLite lets one connection write, whatever the journal mode; WAL only lets others read meanwhile.
//! A second writer would ask again and again, sleeping up to 100 ms in between, and whoever asks at the right moment goes
//! first. All writers of a queue live in this process, so they wait in a line instead ([`store::Store::turn`]): nobody sleeps
//! too long, and nobody is passed over. SQLite's own waiting (`busy_timeout`) stays on behind it.
//!
//! **Durability** is `PRAGMA synchronous`, in WAL mode. D2 is `FULL`: the log is synced before every commit returns. D1 is
//! `NORMAL`: it is synced before a checkpoint, so a crash of the machine takes at most the commits since the last one (a
//! thousand pages by default). D0 is `OFF`: never. A crash of this program alone loses nothing in any of them.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;

use crate::capability::Capabilities;
use crate::entry::{EngineKind, Entry};
use crate::error::Result;
use crate::job::{NewJob, ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Consumer, Producer};
use crate::waiting::WAKES;

mod admin;
mod consumer;
mod link;
mod store;

use link::{Link, statement};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqlStr};
use store::Store;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "sqlite",
    engine: EngineKind::Sqlite,
    summary: "embedded: one table in a file, WAL mode, UPDATE … RETURNING; nothing to install, one writer at a time",
    colour: Some([240, 228, 66]),
    options: &[],
    variants: &[],
    contract: &|_| {
        let leased = Capabilities::leased(WAKES, MAX_BATCH);
        Ok(Capabilities { max_enqueue_batch: MAX_ENQUEUE_BATCH, ..leased })
    },
    opener: &|config| Ok(Arc::new(Sqlite { store: Arc::new(Store::new(config)?) })),
};

/// Largest batch of jobs in: each takes two of the 32,766 parameters that a statement may have.
const MAX_ENQUEUE_BATCH: NonZeroU32 = NonZeroU32::new(5_000).expect("not zero");

/// Largest batch of jobs out. SQLite has no limit here; this one bounds how long a claim or an ack keeps everybody waiting.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

struct Sqlite {
    store: Arc<Store>,
}

#[async_trait]
impl Backend for Sqlite {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(admin::SqliteAdmin::open(&self.store)?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        let link = Link::open(&self.store).await?;
        Ok(Box::new(SqliteProducer { store: Arc::clone(&self.store), link, insert: None }))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        consumer::open(&self.store, id).await
    }
}

struct SqliteProducer {
    store: Arc<Store>,
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
            link::bind(&mut arguments, job.job.0.cast_signed())?;
            link::bind(&mut arguments, job.payload.to_vec())?;
        }
        let mut turn = self.store.turn().await;
        let enqueued = self.link.write(&mut turn, "enqueue", insert, arguments).await;
        // Whatever became of them: one look too many costs little, and a job that nobody looks for costs much.
        turn.ready += jobs.len() as u64;
        self.store.bell.ring();
        enqueued.map(|_| ())
    }
}
