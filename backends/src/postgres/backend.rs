//! A backend of this engine: one queue with its design filled in.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlStr;

use super::admin::{Design, PgAdmin};
use super::link::Link;
use super::producer::PgProducer;
use super::target::{Role, Target};
use crate::capability::Wake;
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Consumer, Producer};

/// How a design claims and settles jobs.
pub(super) trait Consumers: Send + Sync {
    /// Both sides of worker `id` on a connection of its own.
    fn on(&self, link: Link, target: &Target, id: WorkerId) -> Consumer;
}

/// One queue with one configuration. Designs differ in their tables, their contract, and in how they consume.
pub(super) struct PgBackend<C> {
    pub(super) id: &'static str,
    pub(super) target: Arc<Target>,
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
        Ok(Box::new(PgAdmin::open(&self.target, &self.design).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(PgProducer::open(&self.target, self.enqueue.clone()).await?))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let link = Link::open(&self.target, Role::Consumer).await?;
        // Held until the consumer has it, too.
        let _listener = match self.target.wake {
            Wake::Notify => Some(self.target.listening.listener(&self.target).await?),
            Wake::Poll | Wake::Block => None,
        };
        Ok(self.consumers.on(link, &self.target, id))
    }
}
