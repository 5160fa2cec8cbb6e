//! The seam between the harness and a queue: five small traits and what they exchange.
//!
//! `dyn` is deliberate: a boxed future costs tens of nanoseconds against a round trip of tens of microseconds, and one
//! registry then serves everything. The `null` backend measures that cost, and it is printed beside results.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use qbench_schema::result::{Durability, PartitionShare};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::job::{Lease, NewJob, ProducerId, WorkerId};

/// One queue implementation with one configuration. Opens connections; holds none itself. What it can do is stated by its entry
/// ([`crate::Entry::capabilities`]), which answers without opening it.
///
/// Producers and consumers count what they ask of the server in [`crate::BackendConfig::counters`], where they send it. On
/// an engine whose connections have names, all of ours are called `qbench:…:<namespace>`, the control side's included: an
/// operator can tell them apart, and the conformance suite cuts just those.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The registry's id.
    fn id(&self) -> &'static str;

    /// Opens the control side.
    async fn admin(&self) -> Result<Box<dyn Admin>>;

    /// Opens a producer with a physical connection of its own. Called before the measured window.
    async fn producer(&self, id: ProducerId) -> Result<Box<dyn Producer>>;

    /// Opens a consumer with physical connections of its own. Called before the measured window.
    async fn consumer(&self, id: WorkerId) -> Result<Consumer>;

    /// Whether producers and consumers do their work in processes beside this one, children of it, whose cost is to be told
    /// apart.
    fn works_in_processes(&self) -> bool {
        false
    }
}

/// Control side of a backend. Never on the hot path.
#[async_trait]
pub trait Admin: Send {
    /// What the live server is, what it promises, and where our objects are. Works before [`Admin::setup`].
    async fn describe(&mut self) -> Result<Description>;

    /// Makes the backend's objects, empty, replacing what an earlier run of ours left.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Foreign`] when an object of the same name exists that we did not make and that is not empty;
    /// nothing is touched then.
    async fn setup(&mut self) -> Result<()>;

    /// Removes every job in every state, keeping the objects. Afterwards nothing of earlier jobs can be delivered.
    async fn reset(&mut self) -> Result<()>;

    /// Brings the server into the state that the measured window should start from, so that no maintenance left over
    /// from setup or warm-up falls into it (PostgreSQL: ANALYZE and CHECKPOINT). Does nothing where there is none.
    async fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Jobs waiting and in flight, as of one instant. Cheap enough to be asked every second beside a full load, whatever the
    /// backlog: what it costs may grow with what workers hold, never with what waits.
    ///
    /// Both figures are 0 only when no job waits and none is in flight: that is the proof of an empty queue. `in_flight` is
    /// exact. `ready` is exact up to a few thousand jobs, and may be an estimate beyond, within a few percent.
    async fn depth(&mut self) -> Result<Depth>;

    /// The server's own exact account of every job, for the audit at the end. May scan.
    async fn census(&mut self) -> Result<Census>;

    /// Removes the backend's objects.
    async fn teardown(&mut self) -> Result<()>;
}

/// Puts jobs into the queue over a connection of its own.
#[async_trait]
pub trait Producer: Send {
    /// Enqueues `jobs` (1 to [`crate::Capabilities::max_enqueue_batch`]) and resolves when all of them are as durable as the
    /// configured class: one multi-row statement or one pipeline, all or nothing where the engine can.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Rejected`]: none of them is in the queue. [`crate::ErrorKind::Unknown`]: any of them may be.
    /// After an error the producer is usable again (it reconnects by itself).
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()>;

    /// Asks the server for nothing, over the same connection: one request and its answer, which is what the client costs
    /// (METHODOLOGY M8). False where there is no such request.
    ///
    /// # Errors
    /// Those of any request.
    async fn ask_for_nothing(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// The two sides of a worker's access to the queue. They may share a connection, and are used concurrently: a job can be
/// acked while the next claim waits for work.
pub struct Consumer {
    /// Takes jobs.
    pub claimer: Box<dyn Claimer>,
    /// Settles them.
    pub acker: Box<dyn Acker>,
}

/// Takes jobs out of the queue.
#[async_trait]
pub trait Claimer: Send {
    /// Appends between 0 and `limit` leases to `out` (`limit` is 1 to [`crate::Capabilities::max_claim_batch`]). Returns as soon
    /// as there is at least one; waits for work by itself, in the configured way, and returns none after about `wait`.
    ///
    /// It may also hand out jobs whose leases have expired, as a queue does that looks for both in one statement. Until
    /// somebody takes such a job it is still in flight for [`Admin::depth`] and [`Admin::census`], and whoever takes it, by a
    /// claim or a reclaim, gets its next attempt.
    ///
    /// Not cancel-safe: a dropped call may leave jobs claimed.
    ///
    /// # Errors
    /// After an error the claimer is usable again (it reconnects by itself); jobs of an unanswered claim come back by
    /// [`crate::Capabilities::recovery`].
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()>;

    /// Appends up to `limit` leases whose former holders let them expire. Never waits. Appends nothing where
    /// [`crate::Capabilities::recovery`] is not [`crate::Recovery::LeaseExpiry`]. A queue that cannot be asked for expired jobs alone
    /// appends what waits after them.
    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()>;
}

/// Settles leases: done, or given back.
#[async_trait]
pub trait Acker: Send {
    /// Confirms `leases` (1 to [`crate::Capabilities::max_ack_batch`]) as done and resolves when that is as durable as the
    /// configured class. Appends to `out` one status per lease, in the same order: whether it still held. A lease that has
    /// expired holds until somebody else takes the job: an ack that is late but finds the job where it was counts. Where the
    /// server believes every ack ([`crate::Capabilities::believes_every_ack`]), all are said to have held, retries included.
    ///
    /// # Errors
    /// After an error the acker is usable again (it reconnects by itself), and the same leases may be acked again. After
    /// [`crate::ErrorKind::Rejected`] nothing had happened. After [`crate::ErrorKind::Unknown`] the ack may have happened or
    /// not, and the retry tells only what *it* did:
    ///
    /// * [`AckStatus::Acked`]: the first ack had not happened, and this one did. A job is never acked twice.
    /// * [`AckStatus::Stale`]: this ack changed nothing. Either the first one had happened, and the job is done, or the lease
    ///   passed on meanwhile, and somebody else settles the job. Which of the two it was, the retry cannot tell. Where
    ///   [`crate::Capabilities::recovery`] is [`crate::Recovery::ConnectionLoss`], the lease ended with the connection that the
    ///   first ack was lost on: a retry there is always stale.
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()>;

    /// [`Acker::ack`] for jobs whose work may have failed: `results` says of each lease how its work ended. A job that failed
    /// is settled as *dead*: it is never delivered again, and the census counts it as such. One statement or one pipeline
    /// settles both kinds.
    ///
    /// A backend that cannot record failures leaves this as it is and says so ([`crate::Capabilities::records_failures`]).
    ///
    /// # Errors
    /// Those of [`Acker::ack`]; [`crate::ErrorKind::Config`] for a failed job where [`crate::Capabilities::records_failures`] is
    /// false. Nothing was settled then.
    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        if results.contains(&WorkResult::Failed) {
            return Err(Error::config(
                "this backend cannot record that the work of a job failed: it only knows jobs that are done",
            ));
        }
        self.ack(leases, out).await
    }

    /// Puts `leases` back, ready for anybody. A lease that did not hold any more is left alone, but where the server believes every ack
    /// ([`crate::Capabilities::believes_every_ack`]).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] where [`crate::Capabilities::nack`] is false.
    async fn nack(&mut self, leases: &[Lease]) -> Result<()>;

    /// Another acker of the same consumer, where acks may overlap; `None` where one is answered before the next is sent.
    ///
    /// A library that completes each job of a worker on its own, or gathers completions, answers in the order that suits it:
    /// whoever waited for one answer before the next ack might wait for a batch that cannot fill.
    fn overlapping(&self) -> Option<Box<dyn Acker>> {
        None
    }

    /// Whether the implementation gathers finished jobs by itself and acks them later, so that its worker goes on with the
    /// next job as soon as the work is done.
    fn gathers(&self) -> bool {
        false
    }
}

/// How the work of one job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkResult {
    /// As it should: the ack makes the job done.
    Succeeded,
    /// With a failure: the ack makes the job dead.
    Failed,
}

/// What became of one acked lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckStatus {
    /// The lease held; the job is done, or dead where its work had failed.
    Acked,
    /// The lease had passed on or the job was settled before; this ack changed nothing.
    Stale,
}

/// Jobs that are not finished. A backend that cannot see one of them says 0 and states so in its capabilities. An adapter answers
/// with the same fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depth {
    /// Waiting to be claimed.
    pub ready: u64,
    /// Claimed and not settled.
    pub in_flight: u64,
}

/// The server's own account of every job. An adapter answers with the same fields, but for the partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Census {
    /// Jobs that ever entered the queue since setup or reset, where the server can tell.
    pub enqueued: Option<u64>,
    /// Waiting to be claimed.
    pub ready: u64,
    /// Claimed and not settled.
    pub in_flight: u64,
    /// Done, where the server keeps or counts them.
    pub done: Option<u64>,
    /// Settled as failed, and given up for good.
    pub dead: u64,
    /// Jobs that ever entered each partition, and the workers that are bound to it; empty where there are no partitions.
    #[serde(skip)]
    pub partitions: Vec<PartitionShare>,
}

/// A live server as it described itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Product as it names itself: `postgresql`, `valkey`, `redis`, `nats`, `sqlite`, `in_process`.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// The queue's design within the engine, for instance `skip_locked` or `streams`.
    pub queue_type: &'static str,
    /// Class that the live settings really give.
    pub durability: Durability,
    /// Settings that can move a number, as read back.
    pub settings: BTreeMap<String, String>,
    /// Where the jobs are: qualified table names, keys, or a file. Monitors look at these.
    pub objects: Vec<String>,
    /// What a reader of figures from this queue must know, a sentence each. Mostly empty.
    pub notes: Vec<String>,
}
