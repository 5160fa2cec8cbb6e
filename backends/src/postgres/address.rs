//! Where a server is.

use std::fmt;
use std::str::FromStr;

use qbench_schema::result::Durability;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::durability::session_setting;
use crate::error::{Error, Result};
use crate::url::ServerUrl;

/// Prepared statements that a session keeps. A worker that may serve 256 partitions needs more than the driver's 100.
const STATEMENT_CACHE: usize = 1024;

/// A server's address.
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// For people: host, port and database, never the password.
    pub(super) place: String,
}

impl Address {
    /// Reads `url`, for sessions of `durability`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an address that is not a PostgreSQL URL.
    pub(super) fn new(url: &ServerUrl, durability: Durability) -> Result<Self> {
        let not_a_url = |reason: &dyn fmt::Display| {
            Error::config(format!(
                "{url} is not the address of a PostgreSQL server ({reason}): expected postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE"
            ))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
            return Err(not_a_url(&"it does not start with postgres://"));
        }
        // What the URL does not say comes from PGUSER, PGPASSWORD, ~/.pgpass and so on, as everywhere in PostgreSQL.
        let options = PgConnectOptions::from_str(url.expose()).map_err(|error| not_a_url(&error))?;
        Ok(Address {
            options: options
                .options([session_setting(durability)])
                .statement_cache_capacity(STATEMENT_CACHE)
                .disable_statement_logging(),
            place: url.redacted(),
        })
    }
}
