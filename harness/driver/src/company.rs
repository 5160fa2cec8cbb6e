//! Other generators that drive the rest of the same schedule at the same time.

use async_trait::async_trait;
use qbench_ground::clock::RunPhase;

/// What a run has to agree on with the others. How they find each other is not the driver's affair.
#[async_trait]
pub trait Company: Send + Sync {
    /// Whether all of them work on one queue: then jobs of others are claimed here, and ours there.
    fn shares_queue(&self) -> bool;

    /// Whether the queue is brought into its state before the measured phase from here.
    fn settles(&self) -> bool;

    /// Number of the first worker here, where workers are numbered over all generators.
    fn first_worker(&self) -> u32;

    /// Instant at which the first phase begins for everybody, in microseconds of the run's clock.
    fn start_us(&self) -> u64;

    /// The same for the measured phase.
    fn measured_start_us(&self) -> u64;

    /// Every connection is open here; nothing has been sent yet.
    ///
    /// # Errors
    /// When that is too late for the agreed start.
    async fn ready(&self) -> anyhow::Result<()>;

    /// Asked shortly before the start.
    ///
    /// # Errors
    /// When somebody is missing: the load would not be the one that was asked for.
    async fn all_are_ready(&self) -> anyhow::Result<()>;

    /// Everything that fell due here in `phase` was sent and answered. Returns whether that holds for all of them; who is gone sends nothing more.
    /// Asked again and again until it is true.
    ///
    /// # Errors
    /// When the others cannot be asked any more.
    async fn all_have_sent(&self, phase: RunPhase) -> anyhow::Result<bool>;
}
