//! What the cases are written with: a backend opened as the case needs it, and the few steps that all of them take.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::capability::{Capabilities, Wake};
use crate::config::BackendConfig;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::job::{JobId, Lease, NewJob, ProducerId, WorkerId};
use crate::probe::ServerProbe;
use crate::seam::{AckStatus, Admin, Backend, Consumer, Producer};

/// How long a case waits for something that must come. Long, because it only costs time when the case fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a case waits to see that nothing comes.
pub(super) const SILENCE: Duration = Duration::from_millis(300);

/// Pause after a claim that gave nothing: one that is not written yet may come back at once, and would be asked in a circle that
/// nothing else gets out of.
pub(super) const BREATH: Duration = Duration::from_millis(5);

/// A lease that expires within a case.
pub(super) const SHORT_LEASE: Duration = Duration::from_millis(400);

/// Time after which a [`SHORT_LEASE`] has expired by every clock involved.
pub(super) const LEASE_EXPIRED: Duration = Duration::from_millis(600);

/// Why a case failed, as a sentence.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(format!("unexpected error: {error}"))
    }
}

impl From<JoinError> for Failure {
    fn from(broken: JoinError) -> Self {
        Failure(format!("a task of the case broke: {broken}"))
    }
}

/// Result of a step, and of a case.
pub(super) type Checked<T = ()> = Result<T, Failure>;

/// The call fails with an error of this kind; `accepted` says what is wrong when it succeeds.
pub(super) fn ensure_refused(answer: Result<(), Error>, kind: ErrorKind, accepted: &str) -> Checked {
    match answer {
        Err(error) => ensure!(error.kind() == kind, "it failed in another way: {error}"),
        Ok(()) => Err(Failure(accepted.to_owned())),
    }
}

/// What a case may set.
pub(super) struct Knobs {
    /// Workers that the backend shall expect.
    pub(super) workers: u32,
    /// Lease of every claim.
    pub(super) lease: Duration,
    /// Way of waking up; the backend's first when `None`.
    pub(super) wake: Option<Wake>,
    /// Interval of polling, or of the fallback beside notifications.
    pub(super) poll_interval: Duration,
}

impl Default for Knobs {
    fn default() -> Self {
        Knobs { workers: 1, lease: Duration::from_secs(60), wake: None, poll_interval: Duration::from_millis(10) }
    }
}

impl Knobs {
    /// Leases that expire within the case.
    pub(super) fn short_lease() -> Self {
        Knobs { lease: SHORT_LEASE, ..Knobs::default() }
    }
}

/// Where one case plays: an entry of the registry and a namespace of the case's own.
#[derive(Clone)]
pub(super) struct Stage {
    entry: &'static Entry,
    config: BackendConfig,
    /// What the backend declares.
    pub(super) capabilities: Capabilities,
}

impl Stage {
    /// The stage of case number `index`.
    pub(super) fn new(entry: &'static Entry, config: &BackendConfig, capabilities: Capabilities, index: usize) -> Self {
        let mut config = config.clone();
        config.namespace = format!("{}_{index}", config.namespace);
        Stage { entry, config, capabilities }
    }

    /// The same stage, elsewhere on the same server.
    pub(super) fn beside(&self) -> Self {
        let mut other = self.clone();
        other.config.namespace.push_str("_beside");
        other
    }

    /// The same stage with an address where no server is. The password in it must never be seen.
    pub(super) fn at_a_dead_address(&self) -> Self {
        let mut other = self.clone();
        other.config.url = self.entry.engine.probe.dead_address();
        other
    }

    /// The namespace that the backend is confined to.
    pub(super) fn namespace(&self) -> &str {
        &self.config.namespace
    }

    /// A look at the server past the backend.
    pub(super) async fn probe(&self) -> Checked<Box<dyn ServerProbe>> {
        Ok(self.entry.engine.probe.connect(self.config.require_url()?).await?)
    }

    /// Opens the backend without touching the server.
    pub(super) fn open(&self, knobs: Knobs) -> Checked<Arc<dyn Backend>> {
        let mut config = self.config.clone();
        config.workers = knobs.workers;
        config.lease = knobs.lease;
        config.wake = knobs.wake.unwrap_or(self.capabilities.wakes[0]);
        config.poll_interval = knobs.poll_interval;
        Ok(self.entry.open(&config)?)
    }

    /// Opens the backend and sets it up.
    pub(super) async fn set_up(&self, knobs: Knobs) -> Checked<Queue> {
        let backend = self.open(knobs)?;
        let mut admin = backend.admin().await?;
        admin.setup().await?;
        Ok(Queue { backend, admin, capabilities: self.capabilities.clone() })
    }

    /// [`Stage::set_up`], with a consumer.
    pub(super) async fn set_up_with_consumer(&self, knobs: Knobs) -> Checked<(Queue, Consumer)> {
        let mut queue = self.set_up(knobs).await?;
        let consumer = queue.consumer().await?;
        Ok((queue, consumer))
    }

    /// Removes whatever the case left.
    pub(super) async fn clean_up(&self) -> Checked {
        self.open(Knobs::default())?.admin().await?.teardown().await?;
        Ok(())
    }
}

/// A queue that is set up, with its control side.
pub(super) struct Queue {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) admin: Box<dyn Admin>,
    pub(super) capabilities: Capabilities,
}

impl Queue {
    /// A producer with a connection of its own. (`&mut`, here and below, because the control side cannot be shared between threads.)
    pub(super) async fn producer(&mut self) -> Checked<Box<dyn Producer>> {
        Ok(self.backend.producer(ProducerId(0)).await?)
    }

    /// A consumer as worker 0. With the default of one worker, any number of them see the whole queue.
    pub(super) async fn consumer(&mut self) -> Checked<Consumer> {
        Ok(self.backend.consumer(WorkerId(0)).await?)
    }

    /// Enqueues `jobs` over a producer that ends with this call, in batches as large as they may be.
    pub(super) async fn enqueue(&mut self, jobs: &[NewJob]) -> Checked {
        let mut producer = self.producer().await?;
        for batch in jobs.chunks(self.capabilities.max_enqueue_batch.get() as usize) {
            producer.enqueue(batch).await?;
        }
        Ok(())
    }

    /// Enqueues one job and claims it with `consumer`.
    pub(super) async fn claim_new(&mut self, number: u64, consumer: &mut Consumer) -> Checked<Lease> {
        self.enqueue(&[job(number)]).await?;
        claim_one(consumer).await
    }
}

/// The suite's ordinary job: its payload tells its number.
pub(super) fn job(number: u64) -> NewJob {
    NewJob { job: JobId(number), payload: Bytes::from(format!("payload of job {number}")) }
}

/// Several of them.
pub(super) fn jobs(numbers: Range<u64>) -> Vec<NewJob> {
    numbers.map(job).collect()
}

/// Claims up to `limit` jobs.
pub(super) async fn claim(consumer: &mut Consumer, limit: u32, wait: Duration) -> Checked<Vec<Lease>> {
    let mut leases = Vec::new();
    consumer.claimer.claim(limit, wait, &mut leases).await?;
    Ok(leases)
}

/// Reclaims up to `limit` jobs.
pub(super) async fn reclaim(consumer: &mut Consumer, limit: u32) -> Checked<Vec<Lease>> {
    let mut leases = Vec::new();
    consumer.claimer.reclaim(limit, &mut leases).await?;
    Ok(leases)
}

/// Claims the one job that must be there.
pub(super) async fn claim_one(consumer: &mut Consumer) -> Checked<Lease> {
    let leases = claim(consumer, 1, PATIENCE).await?;
    match <[Lease; 1]>::try_from(leases) {
        Ok([lease]) => Ok(lease),
        Err(leases) => Err(Failure(format!("a claim of one job gave {} within {PATIENCE:?}", leases.len()))),
    }
}

/// Claims, without acking, until `count` jobs are held.
pub(super) async fn claim_all(consumer: &mut Consumer, count: usize) -> Checked<Vec<Lease>> {
    let start = Instant::now();
    let mut held = Vec::new();
    while held.len() < count {
        ensure!(start.elapsed() < PATIENCE, "{} of {count} jobs came within {PATIENCE:?}", held.len())?;
        let leases = claim(consumer, (count - held.len()) as u32, SILENCE).await?;
        if leases.is_empty() {
            tokio::time::sleep(BREATH).await;
        }
        held.extend(leases);
    }
    Ok(held)
}

/// Reclaims the one job that must be there: asks until its lease has expired on the server, too.
pub(super) async fn reclaim_one(consumer: &mut Consumer) -> Checked<Lease> {
    let mut leases = reclaim_all(consumer, 1, 10).await?;
    leases.pop().ok_or_else(|| Failure("reclaim gave nothing".to_owned()))
}

/// Reclaims in steps of `limit` until `count` jobs came.
pub(super) async fn reclaim_all(consumer: &mut Consumer, count: usize, limit: u32) -> Checked<Vec<Lease>> {
    let start = Instant::now();
    let mut leases = Vec::new();
    while leases.len() < count {
        ensure!(start.elapsed() < PATIENCE, "{} of {count} expired jobs came back within {PATIENCE:?}", leases.len())?;
        let more = reclaim(consumer, limit).await?;
        if more.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        leases.extend(more);
    }
    ensure!(leases.len() == count, "{} jobs came back, but only {count} were claimed", leases.len())?;
    Ok(leases)
}

/// What became of `leases`.
pub(super) async fn ack(consumer: &mut Consumer, leases: &[Lease]) -> Checked<Vec<AckStatus>> {
    let mut statuses = Vec::new();
    consumer.acker.ack(leases, &mut statuses).await?;
    ensure!(statuses.len() == leases.len(), "an ack of {} leases gave {} statuses", leases.len(), statuses.len())?;
    Ok(statuses)
}

/// Acks leases that must all hold.
pub(super) async fn ack_held(consumer: &mut Consumer, leases: &[Lease]) -> Checked {
    let statuses = ack(consumer, leases).await?;
    let stale = statuses.iter().filter(|status| **status == AckStatus::Stale).count();
    ensure!(stale == 0, "{stale} of {} acks were called stale though their leases held", leases.len())
}

/// Acks a lease that must not hold any more; `accepted` says what is wrong when it does.
pub(super) async fn ensure_stale(consumer: &mut Consumer, leases: &[Lease], accepted: &str) -> Checked {
    let statuses = ack(consumer, leases).await?;
    ensure!(statuses == [AckStatus::Stale], "{accepted}")
}

/// Claims in steps of `limit` and acks at once, until `count` jobs came.
pub(super) async fn drain(consumer: &mut Consumer, count: usize, limit: u32) -> Checked<Vec<Lease>> {
    let start = Instant::now();
    let mut done = Vec::new();
    while done.len() < count {
        ensure!(start.elapsed() < PATIENCE, "{} of {count} jobs came within {PATIENCE:?}", done.len())?;
        let leases = claim(consumer, limit, SILENCE).await?;
        if leases.is_empty() {
            tokio::time::sleep(BREATH).await;
        } else {
            ack_held(consumer, &leases).await?;
        }
        done.extend(leases);
    }
    Ok(done)
}

/// Nothing is left to claim.
pub(super) async fn ensure_empty(consumer: &mut Consumer) -> Checked {
    let left = claim(consumer, 10, SILENCE).await?;
    ensure!(left.is_empty(), "jobs {:?} were delivered though none should be left", numbers(&left))
}

/// `leases` are exactly the ordinary jobs of `expected`, each once, payloads intact.
pub(super) fn ensure_exactly(leases: &[Lease], expected: Range<u64>) -> Checked {
    let seen: BTreeSet<u64> = numbers(leases).into_iter().collect();
    ensure!(seen.len() == leases.len(), "{} deliveries of {} jobs", leases.len(), seen.len())?;
    let missing: Vec<u64> = expected.clone().filter(|number| !seen.contains(number)).take(5).collect();
    ensure!(missing.is_empty(), "jobs are missing, among them {missing:?}")?;
    let strange: Vec<u64> = seen.iter().copied().filter(|number| !expected.contains(number)).take(5).collect();
    ensure!(strange.is_empty(), "jobs came that were never enqueued, among them {strange:?}")?;
    leases.iter().try_for_each(ensure_intact)
}

/// The lease of an ordinary job carries that job's payload.
pub(super) fn ensure_intact(lease: &Lease) -> Checked {
    let (number, length) = (lease.job.0, lease.payload.len());
    ensure!(lease.payload == job(number).payload, "the payload of job {number} came back as {length} other bytes")
}

/// Job numbers, for sentences.
pub(super) fn numbers(leases: &[Lease]) -> Vec<u64> {
    leases.iter().map(|lease| lease.job.0).collect()
}
