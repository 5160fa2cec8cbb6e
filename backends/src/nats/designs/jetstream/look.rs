//! Claim and reclaim: pull requests.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;

use super::delivery;
use super::progress::Progress;
use crate::claimer::Look;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Lease;
use crate::nats::connection::{Link, Request};
use crate::nats::failure::of_status;
use crate::nats::settings::{Names, Settings};

const OPERATION: &str = "claim from";

pub(super) struct JetstreamLook {
    /// Of its own: while a pull waits, nothing else gets through this link.
    link: Link,
    /// Where pull requests go.
    subject: String,
    /// Who keeps what we take; `None` lets every lease expire.
    progress: Option<Arc<Progress>>,
}

impl JetstreamLook {
    pub(super) async fn open(settings: &Settings, progress: Option<Arc<Progress>>) -> Result<Self> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", settings.names.stream, Names::CONSUMER);
        Ok(JetstreamLook { link: Link::open(settings).await?, subject, progress })
    }

    /// Up to `limit` jobs; the server may wait for the first of them as long as `wait`.
    ///
    /// With `no_wait` *and* `expires` the server delivers what is there, and waits only where there is nothing. It refuses that while
    /// others wait for jobs that are on their way; then one job is waited for, as for a limit of one.
    async fn fetch(&mut self, limit: u32, wait: Option<Duration>, out: &mut Vec<Lease>) -> Result<()> {
        let expires_ns = wait.map(|wait| wait.as_nanos().max(1));
        let end = match expires_ns {
            None => self.pull(limit, None, format!(r#"{{"batch":{limit},"no_wait":true}}"#), out).await?,
            Some(ns) if limit > 1 => {
                self.pull(limit, wait, format!(r#"{{"batch":{limit},"expires":{ns},"no_wait":true}}"#), out).await?
            }
            Some(_) => End::OthersWait,
        };
        if let (End::OthersWait, Some(ns)) = (end, expires_ns) {
            self.pull(1, wait, format!(r#"{{"batch":1,"expires":{ns}}}"#), out).await?;
        }
        Ok(())
    }

    /// One pull request of up to `limit` jobs.
    async fn pull(&mut self, limit: u32, wait: Option<Duration>, payload: String, out: &mut Vec<Lease>) -> Result<End> {
        let request = Request { subject: self.subject.clone(), payload: payload.into() };
        let before = out.len();
        let pulled = self
            .link
            .pull(OPERATION, request, wait.unwrap_or_default(), |message, context| {
                let next = next(message, context)?;
                Ok(match next {
                    ControlFlow::Break(end) => ControlFlow::Break(end),
                    ControlFlow::Continue(lease) => {
                        out.push(lease);
                        let is_enough = out.len() - before >= limit as usize;
                        if is_enough { ControlFlow::Break(End::Reached) } else { ControlFlow::Continue(()) }
                    }
                })
            })
            .await;
        if let Some(progress) = &self.progress {
            progress.keep(&out[before..]);
        }
        match pulled {
            // What came before the trouble is ours; the trouble comes again with the next pull.
            Err(error) if out.len() > before => {
                tracing::debug!("{error}");
                Ok(End::Reached)
            }
            pulled => pulled,
        }
    }
}

/// How a pull ended.
#[derive(Clone, Copy)]
enum End {
    /// There was no more, or it was enough, or the time was over.
    Reached,
    /// What was there is for others, who were first.
    OthersWait,
}

/// The lease that `message` delivers, or the end of what there was.
fn next(message: Message, context: &dyn Fn() -> String) -> Result<ControlFlow<End, Lease>> {
    match (message.status.map(|status| status.as_u16()), message.description.as_deref()) {
        (None, _) => {}
        (Some(408), Some("Requests Pending")) => return Ok(ControlFlow::Break(End::OthersWait)),
        // Nothing there, or the time is over.
        (Some(404 | 408), _) => return Ok(ControlFlow::Break(End::Reached)),
        (Some(status), _) => return Err(of_status(context(), status, &message)),
    }
    let address = message.reply.as_ref().map(|reply| reply.as_str()).unwrap_or_default();
    match delivery::lease(message.payload, address) {
        Some(lease) => Ok(ControlFlow::Continue(lease)),
        None => {
            let message = "the server delivered a message that is no job of ours: somebody else writes to this stream";
            Err(Error::new(ErrorKind::Server, context(), message))
        }
    }
}

impl Look for JetstreamLook {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch(limit, None, out).await
    }

    async fn take_held(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        self.fetch(limit, Some(wait), out).await
    }

    /// The server cannot be asked for expired jobs alone; it delivers them first.
    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        match self.progress {
            // Those of a silent worker come by ordinary claims.
            Some(_) => Ok(()),
            None => self.fetch(limit, None, out).await,
        }
    }
}
