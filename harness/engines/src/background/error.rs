//! What can go wrong with the background load.

use super::libpq::SCHEMA;
use crate::services;

/// An error of the background load.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that would not measure what it says.
    #[error("{0}")]
    Config(String),
    /// The schema that pgbench's tables would go to is somebody else's. Nothing was touched.
    #[error(
        "the background load needs the schema {SCHEMA} on {server}, and there is one that qbench did not make; nothing \
         was touched. Rename or drop it, or give another database"
    )]
    Foreign {
        /// Address without password.
        server: String,
    },
    /// PostgreSQL refused something.
    #[error("cannot {attempted} on {server}: {source}")]
    Database {
        /// What was attempted, fit to follow "cannot".
        attempted: &'static str,
        /// Address without password.
        server: String,
        /// What the driver or the server said.
        source: sqlx::Error,
    },
    /// The program could not be started.
    #[error(transparent)]
    Start(#[from] services::Error),
    /// pgbench did not do its work.
    #[error("{what}{}", said(.last_lines))]
    Pgbench {
        /// What happened.
        what: String,
        /// The end of its own output.
        last_lines: Vec<String>,
    },
}

impl Error {
    /// Whether the user asked for what cannot be.
    pub fn is_config(&self) -> bool {
        matches!(self, Error::Config(_) | Error::Start(services::Error::Config(_)))
    }
}

fn said(last_lines: &[String]) -> String {
    if last_lines.is_empty() {
        "; it said nothing".to_owned()
    } else {
        format!("; its last words: {}", last_lines.join(" / "))
    }
}
