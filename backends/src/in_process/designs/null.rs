//! `null`: hands jobs over and does nothing else, so that a run against it measures the harness itself (METHODOLOGY M5).
//!
//! One ring buffer behind a mutex. A job costs a move in and a move out; its payload is shared, never copied; nothing is
//! allocated per job once the buffer has grown. Acks always succeed, leases do not exist, and jobs of a vanished consumer
//! are gone.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::capability::{Capabilities, Connections};
use crate::claimer::{Look, Signal, Waiting, WaitingClaimer};
use crate::config::BackendConfig;
use crate::counters::ClientCounters;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::in_process::describe;
use crate::job::{Lease, LeaseToken, NewJob, ProducerId, WorkerId};
use crate::seam::{AckStatus, Acker, Admin, Backend, Census, Consumer, Depth, Description, Producer};
use crate::sync::lock;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "null",
    engine: crate::in_process::ENGINE,
    summary: "hands jobs over and does nothing else: the harness's own floor",
    colour: Some([85, 85, 85]),
    options: &[],
    variants: &[],
    contract: &|_| {
        let taken_out = Capabilities::taken_out(Waiting::WITHIN_PROCESS, MAX_BATCH);
        Ok(Capabilities { nack: false, counts_attempts: false, connections: Some(Connections::NONE), ..taken_out })
    },
    opener: &|config| Ok(Arc::new(NullBackend { queue: Arc::default(), config: config.clone() })),
};

/// Largest batch of any kind: nothing in the design limits it, so the number only has to be a number.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(65_536).expect("not zero");

/// The queue and its counters.
#[derive(Default)]
struct Jobs {
    ready: VecDeque<NewJob>,
    /// Counted up by every reset and kept in each lease, so that counters never mix jobs from before and after.
    generation: u64,
    enqueued: u64,
    claimed: u64,
    acked: u64,
}

/// What every connection of one opened backend is.
#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    /// Given when jobs become ready.
    signal: Arc<Signal>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        // Nothing under the lock can panic half way, so a poisoned lock still guards consistent jobs.
        lock(&self.jobs)
    }

    /// Forgets every job. The buffer is given back: what warm-up needed must not count as memory of the measured phase.
    fn clear(&self) {
        let mut jobs = self.lock();
        *jobs = Jobs { generation: jobs.generation + 1, ..Jobs::default() };
    }
}

struct NullBackend {
    queue: Arc<Queue>,
    config: BackendConfig,
}

#[async_trait]
impl Backend for NullBackend {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(Arc::clone(&self.queue)))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(Arc::clone(&self.queue)))
    }

    async fn consumer(&self, _id: WorkerId) -> Result<Consumer> {
        let queue = Arc::clone(&self.queue);
        Ok(Consumer {
            claimer: Box::new(WaitingClaimer::new(
                NullLook { queue: Arc::clone(&queue) },
                Waiting::within_process(self.config.wake, self.config.poll_interval, &queue.signal),
                // What waiting costs is counted where somebody is asked; here it is the harness's own.
                ClientCounters::default(),
            )),
            acker: Box::new(queue),
        })
    }
}

#[async_trait]
impl Admin for Arc<Queue> {
    async fn describe(&mut self) -> Result<Description> {
        Ok(describe("null"))
    }

    async fn setup(&mut self) -> Result<()> {
        self.clear();
        Ok(())
    }

    async fn reset(&mut self) -> Result<()> {
        self.clear();
        Ok(())
    }

    async fn depth(&mut self) -> Result<Depth> {
        let jobs = self.lock();
        Ok(Depth { ready: jobs.ready.len() as u64, in_flight: jobs.claimed - jobs.acked })
    }

    async fn census(&mut self) -> Result<Census> {
        let jobs = self.lock();
        Ok(Census {
            enqueued: Some(jobs.enqueued),
            ready: jobs.ready.len() as u64,
            in_flight: jobs.claimed - jobs.acked,
            done: Some(jobs.acked),
            ..Census::default()
        })
    }

    async fn teardown(&mut self) -> Result<()> {
        self.clear();
        Ok(())
    }
}

#[async_trait]
impl Producer for Arc<Queue> {
    async fn enqueue(&mut self, new_jobs: &[NewJob]) -> Result<()> {
        {
            let mut jobs = self.lock();
            jobs.enqueued += new_jobs.len() as u64;
            jobs.ready.extend(new_jobs.iter().cloned());
        }
        self.signal.give();
        Ok(())
    }
}

/// The buffer as one worker claims from it.
struct NullLook {
    queue: Arc<Queue>,
}

impl Look for NullLook {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let left_any = {
            let mut jobs = self.queue.lock();
            let count = jobs.ready.len().min(limit as usize);
            let token = LeaseToken([jobs.generation, 0]);
            jobs.claimed += count as u64;
            out.extend(jobs.ready.drain(..count).map(|new| Lease {
                job: new.job,
                attempt: 1,
                payload: new.payload,
                token,
            }));
            !jobs.ready.is_empty()
        };
        if left_any {
            self.queue.signal.give();
        }
        Ok(())
    }
}

#[async_trait]
impl Acker for Arc<Queue> {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        out.extend(leases.iter().map(|_| AckStatus::Acked));
        let mut jobs = self.lock();
        let of_this_generation = leases.iter().filter(|lease| lease.token.0[0] == jobs.generation).count() as u64;
        // A lease acked twice must not make more jobs done than were claimed.
        jobs.acked = (jobs.acked + of_this_generation).min(jobs.claimed);
        Ok(())
    }

    async fn nack(&mut self, _leases: &[Lease]) -> Result<()> {
        Err(Error::config("null cannot take a job back: it keeps nothing of the jobs that it hands over"))
    }
}
