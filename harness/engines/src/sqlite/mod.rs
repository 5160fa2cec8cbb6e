//! SQLite: a library of this process, which only needs a place for its files.

mod start;

use async_trait::async_trait;
use qbench_backends::EngineKind;
use qbench_schema::result::Durability;

use crate::engine::Engine;
use crate::services::{Result, Server, StartOptions};

pub use start::PrivateStore;

/// SQLite as the harness deals with it.
pub struct SqliteEngine;

#[async_trait]
impl Engine for SqliteEngine {
    fn kind(&self) -> EngineKind {
        qbench_backends::sqlite::ENGINE
    }

    fn title(&self) -> &'static str {
        "SQLite"
    }

    /// What SQLite's own documentation recommends for WAL mode.
    fn default_durability(&self) -> Durability {
        Durability::D1
    }

    async fn start(&self, options: StartOptions) -> Result<Option<Box<dyn Server>>> {
        Ok(Some(Box::new(PrivateStore::create(options.base_dir.as_deref())?)))
    }
}
