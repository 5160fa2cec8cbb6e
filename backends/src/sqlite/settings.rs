//! Where the queue's file is, and what its connections have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Mutex, MutexGuard};

use super::ENGINE;
use super::durability::synchronous;
use crate::capability::Wake;
use crate::claimer::{Signal, Waiting};
use crate::config::BackendConfig;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

/// Scheme of the address of a directory for databases.
const SCHEME: &str = "sqlite://";

/// The queue's file, and what everybody who has it open shares.
pub(super) struct Settings {
    /// The database.
    pub(super) path: PathBuf,
    durability: Durability,
    tuning: Tuning,
    pub(super) lease: Duration,
    wake: Wake,
    poll_interval: Duration,
    pub(super) timeout: Duration,
    pub(super) counters: ClientCounters,
    /// Given when jobs become ready.
    pub(super) signal: Arc<Signal>,
    turn: Mutex<Turn>,
}

/// The right to write, and what writers tell each other.
#[derive(Default)]
pub(super) struct Turn {
    /// Jobs that wait, or more. Whoever takes some and leaves others gives the signal for the next consumer.
    pub(super) ready: u64,
}

impl Settings {
    /// What `config` says. Touches nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an address, namespace or wake-up that it cannot work with.
    pub(super) fn new(config: &BackendConfig) -> Result<Self> {
        let namespace = config.plain_namespace("file name")?;
        let url = config.require_url()?;
        let directory = url.expose().strip_prefix(SCHEME).ok_or_else(|| {
            Error::config(format!("{url} is not a directory for SQLite: expected {SCHEME}/path/of/a/directory"))
        })?;
        Ok(Settings {
            path: Path::new(directory).join(format!("{namespace}.db")),
            durability: config.durability,
            tuning: config.tuning,
            lease: config.lease,
            wake: config.wake,
            poll_interval: config.poll_interval,
            timeout: config.timeout,
            counters: config.counters.clone(),
            signal: Arc::default(),
            turn: Mutex::default(),
        })
    }

    /// The database and the two files that SQLite keeps beside it while it is open.
    pub(super) fn files(&self) -> [PathBuf; 3] {
        ["", "-wal", "-shm"].map(|suffix| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        })
    }

    /// What every connection is opened with. The file must be there.
    pub(super) fn session(&self) -> SqliteConnectOptions {
        let synchronous = synchronous(self.durability);
        // Shorter than what the whole statement may take, so that SQLite itself says who is in the way.
        let busy_timeout = self.timeout * 3 / 4;
        let session = SqliteConnectOptions::new().filename(&self.path).synchronous(synchronous);
        let session = session.busy_timeout(busy_timeout);
        let cores = available_parallelism().map_or(1, usize::from);
        ENGINE.tuned(self.tuning, cores).fold(session, |session, (pragma, value)| session.pragma(pragma, value))
    }

    /// How a consumer waits for work.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting::within_process(self.wake, self.poll_interval, &self.signal)
    }

    /// Waits in line for the right to write, first come, first served.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().await
    }

    /// The file, for error messages.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }
}
