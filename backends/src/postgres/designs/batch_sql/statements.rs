//! What its consumers run.

use sqlx::SqlStr;

use crate::postgres::announced::AnnouncedStatement;

/// The statements of consumers, and what all of them serve.
pub(super) struct Statements {
    pub(super) claim: SqlStr,
    pub(super) reclaim: SqlStr,
    pub(super) complete: SqlStr,
    pub(super) nack: AnnouncedStatement,
    pub(super) priorities: u32,
    pub(super) entrypoints: Vec<String>,
}
