//! Ack and nack.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::delivery::ack_address;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::job::Lease;
use crate::nats::connection::{Link, Request};
use crate::nats::failure::of_parts;
use crate::nats::settings::{Names, Settings};
use crate::seam::{AckStatus, Acker};

pub(super) struct JetstreamAcker {
    link: Link,
    names: Names,
    progress: Option<Arc<Progress>>,
}

impl JetstreamAcker {
    pub(super) async fn open(settings: &Settings, progress: Option<Arc<Progress>>) -> Result<Self> {
        Ok(JetstreamAcker { link: Link::open(settings).await?, names: settings.names.clone(), progress })
    }

    /// Sends `verb` for each lease and waits until the server has confirmed all.
    async fn settle(&mut self, operation: &str, verb: &'static [u8], leases: &[Lease]) -> Result<()> {
        // The work is over, whatever comes of this: what cannot be settled is to come back.
        if let Some(progress) = &self.progress {
            progress.release(leases);
        }
        let request = |lease| Request { subject: ack_address(&self.names, lease), payload: Bytes::from_static(verb) };
        let requests: Vec<Request> = leases.iter().map(request).collect();
        let answers = self.link.ask(operation, requests).await?;
        let refusals: Vec<Error> = answers.into_iter().filter_map(Result::err).collect();
        of_parts(self.link.context(operation), leases.len(), &refusals)
    }
}

#[async_trait]
impl Acker for JetstreamAcker {
    /// Each ack is confirmed once the job is out of the stream. The server confirms as well what was acked before.
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        self.settle("ack in", b"+ACK", leases).await?;
        out.extend(leases.iter().map(|_| AckStatus::Acked));
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        self.settle("nack in", b"-NAK", leases).await
    }
}
