//! Enqueue: one pipeline of XADD.

use async_trait::async_trait;
use redis::{Pipeline, Value};

use super::entry::xadd;
use crate::error::{Error, ErrorKind, Result};
use crate::job::NewJob;
use crate::seam::Producer;
use crate::valkey::connection::Link;
use crate::valkey::failure::server_error;
use crate::valkey::settings::{Keys, Settings};

pub(super) struct StreamsProducer {
    link: Link,
    keys: Keys,
}

impl StreamsProducer {
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Ok(StreamsProducer { link: Link::open(settings).await?, keys: settings.keys.clone() })
    }
}

#[async_trait]
impl Producer for StreamsProducer {
    /// The server carries a pipeline out command by command, so a refusal in its middle leaves the others in the queue:
    /// that is reported as unknown, and only a pipeline of which nothing was accepted as rejected. A MULTI would not help,
    /// since it does not undo either.
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        const OPERATION: &str = "enqueue into";
        let mut pipeline = Pipeline::with_capacity(jobs.len());
        for job in jobs {
            pipeline.add_command(xadd(&self.keys.jobs, job));
        }
        let replies = self.link.pipeline(OPERATION, &pipeline).await?;
        let mut accepted = 0;
        let mut refusal = None;
        for reply in &replies {
            match reply {
                Value::BulkString(_) => accepted += 1,
                Value::Nil => {
                    refusal.get_or_insert_with(|| {
                        let message = "the stream does not exist: the queue is not set up, or was removed meanwhile";
                        Error::new(ErrorKind::Server, self.link.context(OPERATION), message)
                    });
                }
                Value::ServerError(error) => {
                    refusal.get_or_insert_with(|| server_error(self.link.context(OPERATION), error));
                }
                other => {
                    refusal.get_or_insert_with(|| self.link.unexpected(OPERATION, &format!("{other:?} to XADD")));
                }
            }
        }
        match refusal {
            None => Ok(()),
            Some(refusal) if accepted == 0 => Err(refusal),
            Some(refusal) => Err(Error::new(
                ErrorKind::Unknown,
                self.link.context(OPERATION),
                format!("{accepted} of {} jobs were accepted, then: {refusal}", jobs.len()),
            )
            .with_code(refusal.count_key())),
        }
    }

    async fn ask_for_nothing(&mut self) -> Result<bool> {
        self.link.ping().await?;
        Ok(true)
    }
}
