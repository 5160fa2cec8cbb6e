//! Queues that live in the memory of this process: nothing is started, nothing is asked.

use async_trait::async_trait;
use qbench_backends::EngineKind;
use qbench_schema::result::Durability;

use crate::engine::Engine;
use crate::services::{Result, Server, StartOptions};

/// This process as the harness deals with it.
pub struct InProcessEngine;

#[async_trait]
impl Engine for InProcessEngine {
    fn kind(&self) -> EngineKind {
        qbench_backends::in_process::ENGINE
    }

    fn title(&self) -> &'static str {
        "in process"
    }

    fn needs_a_place(&self) -> bool {
        false
    }

    fn default_durability(&self) -> Durability {
        Durability::D0
    }

    async fn start(&self, _options: StartOptions) -> Result<Option<Box<dyn Server>>> {
        Ok(None)
    }
}
