//! A backend of this engine: one queue with its design filled in.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;

use super::admin::{Design, PgAdmin};
use super::producer::PgProducer;
use super::settings::{Role, Settings};
use crate::capability::Wake;
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Consumer, Producer};

/// How a design claims and settles jobs.
pub(super) trait Consumers: Send + Sync {
    /// Opens both sides of worker `id`: a connection for its claims and one for its acks, so that neither waits for the other
    /// (METHODOLOGY F10); one for both, where a claim is what the ack ends.
    fn open(&self, settings: &Arc<Settings>, id: WorkerId) -> impl Future<Output = Result<Consumer>> + Send;
}

/// One queue with one configuration. Designs differ in their tables, their contract, and in how they consume.
pub(super) struct PgBackend<C> {
    pub(super) id: &'static str,
    pub(super) settings: Arc<Settings>,
    pub(super) design: Arc<Design>,
    /// Takes job numbers and payloads.
    pub(super) enqueue: SqlStr,
    pub(super) consumers: C,
}

#[async_trait]
impl<C: Consumers> Backend for PgBackend<C> {
    fn id(&self) -> &'static str {
        self.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(PgAdmin::open(&self.settings, &self.design).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(PgProducer::open(&self.settings, self.enqueue.clone()).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        // Held until the consumer has it, too.
        let _listener = match self.settings.wake {
            Wake::Notify => Some(
                self.settings
                    .listening
                    .listener(self.settings.channel_session(Role::Listener), self.settings.counts())
                    .await?,
            ),
            Wake::Poll | Wake::Block => None,
        };
        self.consumers.open(&self.settings, id).await
    }
}
