//! What the monitors ask of a server, whatever its product. A product's room answers.

use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_ground::clock::RunClock;
use qbench_schema::result::Maintenance;

use super::book::RoleBook;
use super::depth::DepthProbe;
use super::notes::Notes;
use super::rows::RowFile;
use super::ticks::Ticks;

/// Longest wait for one answer, for a server that does not answer at all.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for a connection.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Name under which the connections of the monitors show on the server.
pub(crate) const CLIENT_NAME: &str = "qbench:monitor";

/// What a sampler works with.
pub struct SamplerContext {
    /// The run's clock; every `at_us` comes from it.
    pub(crate) clock: RunClock,
    /// Where the server is.
    pub(crate) url: ServerUrl,
    /// What the backend keeps there ([`qbench_backends::Description::objects`]).
    pub(crate) objects: Vec<String>,
    /// The backlog, for a sampler whose server does not tell it.
    pub(crate) depth: DepthProbe,
    /// The roles, for a sampler that knows which of the server's processes work for the background load.
    pub(crate) book: RoleBook,
    /// Where trouble is told.
    pub(crate) notes: Notes,
    /// Where the rows go.
    pub(crate) file: RowFile,
}

/// Watches a server, a row per sample.
#[async_trait]
pub trait Sampler: Send {
    /// Asks the server and writes a row. What does not work becomes a note, and the row is left out.
    async fn sample(&mut self);

    /// Says good-bye, where the server would otherwise note a broken connection.
    async fn close(&mut self) {}

    /// What the samples told beside the rows.
    fn findings(&mut self) -> ServerFindings;
}

/// What samples of a server told beside their rows.
#[derive(Debug, Clone, Default)]
pub struct ServerFindings {
    /// Deadlocks that the server counted while it was watched; `None` where there is no such thing, or it never answered.
    pub deadlocks: Option<u64>,
    /// Sizes of the server's log, in the order of time, where the two ends of the window are not enough.
    pub log: Vec<LogSize>,
}

/// Takes a sample now, one per tick, and a last one when the monitors are stopped.
pub(crate) async fn run(mut sampler: Box<dyn Sampler>, mut ticks: Ticks) -> ServerFindings {
    sampler.sample().await;
    while ticks.next().await {
        sampler.sample().await;
    }
    sampler.sample().await;
    sampler.close().await;
    sampler.findings()
}

/// Reads a server's counters at the ends of the measured window, over a connection of its own.
#[async_trait]
pub trait WindowReader: Send {
    /// Connects, unless it is connected.
    ///
    /// # Errors
    /// What the server or its driver said.
    async fn connect(&mut self) -> Result<(), String>;

    /// Asks, at `at_us`. It is connected. After an error, or in doubt, the connection is given up.
    ///
    /// # Errors
    /// What the server or its driver said.
    async fn read(&mut self, at_us: u64) -> Result<ServerCounters, String>;
}

/// Counters of a server since it started, at one instant. Empty where the product has no such thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// Size of its log.
    pub log: Option<LogSize>,
    /// Flushes of the log.
    pub fsyncs: Option<u64>,
    /// Row versions of the backend's tables that were left to be cleaned up.
    pub dead_tuples: Option<u64>,
    /// Memory of what the backend keeps there.
    pub memory_bytes: Option<u64>,
    /// How often it looked after itself.
    pub maintenance: Maintenance,
}

/// Size of a server's log at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSize {
    /// Instant, microseconds since the start of the run.
    pub at_us: u64,
    /// Its size.
    pub bytes: u64,
    /// Its size when it was rewritten last, which therefore changes at the end of every rewrite; 0 for a log that only grows.
    pub rewritten_bytes: u64,
}
