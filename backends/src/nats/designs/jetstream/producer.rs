//! Enqueue: the jobs of a batch, published without waiting in between.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::delivery::{message, message_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::job::NewJob;
use crate::nats::connection::{Link, Request};
use crate::nats::failure::{api_error, of_api, of_parts};
use crate::nats::settings::{Names, Settings};
use crate::seam::Producer;

const OPERATION: &str = "enqueue into";

pub(super) struct JetstreamProducer {
    link: Link,
    names: Names,
}

impl JetstreamProducer {
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Ok(JetstreamProducer { link: Link::open(settings).await?, names: settings.names.clone() })
    }

    /// Refuses what the server would refuse by ending the connection.
    async fn check_size(&mut self, jobs: &[NewJob]) -> Result<()> {
        let limit = self.link.max_payload().await?;
        match jobs.iter().map(message_bytes).find(|bytes| *bytes > limit) {
            None => Ok(()),
            Some(bytes) => {
                let message = format!(
                    "a message of {bytes} bytes is more than the server takes ({limit}): lower --payload, or raise the \
                     max_payload of a server of yours"
                );
                Err(Error::new(ErrorKind::Config, self.link.context(OPERATION), message))
            }
        }
    }

    /// What the answer to one job says against it.
    fn refusal(&self, answer: Result<Bytes>) -> Option<Error> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Some(refusal),
        };
        let Ok(confirmed) = serde_json::from_slice::<Value>(&answer) else {
            return Some(self.link.unexpected(OPERATION, "something else than a confirmation"));
        };
        match api_error(&confirmed) {
            Some(error) => Some(of_api(self.link.context(OPERATION), &error)),
            // A stream of somebody else that listens to every subject.
            None if confirmed["stream"] != self.names.stream.as_str() => {
                Some(self.link.unexpected(OPERATION, &format!("that the job is in the stream {}", confirmed["stream"])))
            }
            None => None,
        }
    }
}

#[async_trait]
impl Producer for JetstreamProducer {
    /// The server stores message after message, so a refusal in the middle leaves the others in the queue: that is reported as
    /// unknown, and only a batch of which nothing was stored as refused.
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        self.check_size(jobs).await?;
        let request = |job| Request { subject: self.names.subject.clone(), payload: message(job) };
        let requests: Vec<Request> = jobs.iter().map(request).collect();
        let answers = self.link.ask(OPERATION, requests).await?;
        let refusals: Vec<Error> = answers.into_iter().filter_map(|answer| self.refusal(answer)).collect();
        of_parts(self.link.context(OPERATION), jobs.len(), &refusals)
    }
}
