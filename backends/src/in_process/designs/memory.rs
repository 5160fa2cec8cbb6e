//! `memory`: the reference. What the words of the seam mean, in one process and as plainly as possible.
//!
//! A job is *ready* or *in flight* until it is *done*, or *dead* when its work failed. A claim hands out the job that became
//! ready first, as a delivery with a number of its own and a lease that ends at a fixed instant. The delivery *holds* until it
//! is acked, nacked or reclaimed; a lease that has run out but was not reclaimed still holds, so a late worker that nobody
//! replaced is not punished. Acks and nacks name the delivery, not the job, and therefore cannot settle somebody else's.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use crate::capability::{Capabilities, Connections};
use crate::claimer::{Look, Signal, Waiting, WaitingClaimer};
use crate::config::{BackendConfig, BackendOptions};
use crate::counters::ClientCounters;
use crate::entry::{Entry, OptionSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::in_process::describe;
use crate::job::{JobId, Lease, LeaseToken, NewJob, ProducerId, WorkerId};
use crate::seam::{AckStatus, Acker, Admin, Backend, Census, Consumer, Depth, Description, Producer, WorkResult};
use crate::sync::lock;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "memory",
    engine: crate::in_process::ENGINE,
    summary: "reference semantics in this process: leases, attempts, stale acks, exact census",
    colour: Some([140, 140, 140]),
    options: &[OptionSpec {
        key: CLAIMS_PER_S,
        default: "0",
        help: "most jobs that are claimed per second, 0 for no limit: a queue whose capacity is known",
    }],
    variants: &[],
    contract: &|options| {
        pause_per_job(options)?;
        let leased = Capabilities::leased(Waiting::WITHIN_PROCESS, MAX_BATCH);
        Ok(Capabilities { records_failures: true, connections: Some(Connections::NONE), ..leased })
    },
    opener: &|config| {
        let queue = Queue { pause_per_job: pause_per_job(&config.options)?, ..Queue::default() };
        Ok(Arc::new(MemoryBackend { queue: Arc::new(queue), config: config.clone() }))
    },
};

const CLAIMS_PER_S: &str = "claims_per_s";

/// Least time between two claimed jobs; zero without a limit.
fn pause_per_job(options: &BackendOptions) -> Result<Duration> {
    let claims_per_s: u32 = options.parse_in(CLAIMS_PER_S, 0, 0..=1_000_000)?;
    Ok(if claims_per_s == 0 { Duration::ZERO } else { Duration::from_secs(1) / claims_per_s })
}

/// Largest batch of any kind: nothing in the design limits it, so the number only has to be a number.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(65_536).expect("not zero");

/// A job that waits for a claim.
struct Ready {
    job: JobId,
    payload: Bytes,
    /// Deliveries so far.
    deliveries: u32,
}

/// A delivery that holds.
struct Held {
    ready: Ready,
    expires_at: Instant,
}

/// Every job of the queue.
#[derive(Default)]
struct Jobs {
    /// In the order in which they became ready.
    ready: VecDeque<Ready>,
    /// By delivery number. Leases are equally long and numbers ascend, so the first one is also the first to expire.
    in_flight: BTreeMap<u64, Held>,
    /// Number of the next delivery. Never goes back, not even on a reset: an old lease must not name a new delivery.
    next_delivery: u64,
    enqueued: u64,
    done: u64,
    dead: u64,
}

impl Jobs {
    /// Delivers `ready` and returns its lease.
    fn deliver(&mut self, mut ready: Ready, lease: Duration) -> Lease {
        let delivery = self.next_delivery;
        self.next_delivery += 1;
        ready.deliveries += 1;
        let handed_out = Lease {
            job: ready.job,
            attempt: ready.deliveries,
            payload: ready.payload.clone(),
            token: LeaseToken([delivery, 0]),
        };
        self.in_flight.insert(delivery, Held { ready, expires_at: Instant::now() + lease });
        handed_out
    }

    /// Ends a delivery; `None` when it does not hold any more.
    fn end(&mut self, lease: &Lease) -> Option<Ready> {
        self.in_flight.remove(&lease.token.0[0]).map(|held| held.ready)
    }

    /// Ends a delivery for good.
    fn settle(&mut self, lease: &Lease, result: WorkResult) -> AckStatus {
        if self.end(lease).is_none() {
            return AckStatus::Stale;
        }
        match result {
            WorkResult::Succeeded => self.done += 1,
            WorkResult::Failed => self.dead += 1,
        }
        AckStatus::Acked
    }
}

/// What every connection of one opened backend is. The jobs are `None` until [`Admin::setup`].
#[derive(Default)]
struct Queue {
    jobs: Mutex<Option<Jobs>>,
    /// Given when jobs become ready.
    signal: Arc<Signal>,
    /// Least time between two claimed jobs.
    pause_per_job: Duration,
    /// From when on the next one may be claimed.
    next_claim: Mutex<Option<Instant>>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Option<Jobs>> {
        // Nothing under the lock can panic half way, so a poisoned lock still guards consistent jobs.
        lock(&self.jobs)
    }

    /// Waits until `count` more jobs may be claimed. Whoever gives up meanwhile has used up its turn.
    async fn wait_for_turn(&self, count: usize) {
        if count == 0 {
            return;
        }
        let turn = {
            let mut next = lock(&self.next_claim);
            let turn = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            *next = Some(turn + self.pause_per_job * u32::try_from(count).unwrap_or(u32::MAX));
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    /// Runs `operation` on the jobs.
    fn with_jobs<T>(&self, context: &str, operation: impl FnOnce(&mut Jobs) -> T) -> Result<T> {
        match self.lock().as_mut() {
            Some(jobs) => Ok(operation(jobs)),
            None => Err(Error::new(ErrorKind::Server, context, "the queue does not exist: call setup first")),
        }
    }
}

struct MemoryBackend {
    queue: Arc<Queue>,
    config: BackendConfig,
}

#[async_trait]
impl Backend for MemoryBackend {
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
                MemoryLook { queue: Arc::clone(&queue), lease: self.config.lease },
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
        Ok(describe("memory"))
    }

    async fn setup(&mut self) -> Result<()> {
        let mut jobs = self.lock();
        let next_delivery = jobs.as_ref().map_or(0, |old| old.next_delivery);
        *jobs = Some(Jobs { next_delivery, ..Jobs::default() });
        Ok(())
    }

    async fn reset(&mut self) -> Result<()> {
        self.with_jobs("reset", |jobs| {
            *jobs = Jobs { next_delivery: jobs.next_delivery, ..Jobs::default() };
        })
    }

    async fn depth(&mut self) -> Result<Depth> {
        self.with_jobs("depth", |jobs| Depth { ready: jobs.ready.len() as u64, in_flight: jobs.in_flight.len() as u64 })
    }

    async fn census(&mut self) -> Result<Census> {
        self.with_jobs("census", |jobs| Census {
            enqueued: Some(jobs.enqueued),
            ready: jobs.ready.len() as u64,
            in_flight: jobs.in_flight.len() as u64,
            done: Some(jobs.done),
            dead: jobs.dead,
            partitions: Vec::new(),
        })
    }

    async fn teardown(&mut self) -> Result<()> {
        *self.lock() = None;
        Ok(())
    }
}

#[async_trait]
impl Producer for Arc<Queue> {
    async fn enqueue(&mut self, new_jobs: &[NewJob]) -> Result<()> {
        self.with_jobs("enqueue", |jobs| {
            jobs.enqueued += new_jobs.len() as u64;
            let ready = |new: &NewJob| Ready { job: new.job, payload: new.payload.clone(), deliveries: 0 };
            jobs.ready.extend(new_jobs.iter().map(ready));
        })?;
        self.signal.give();
        Ok(())
    }
}

/// The jobs as one worker claims them.
struct MemoryLook {
    queue: Arc<Queue>,
    lease: Duration,
}

impl Look for MemoryLook {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        let mut most = limit as usize;
        if !self.queue.pause_per_job.is_zero() {
            most = self.queue.with_jobs("claim", |jobs| jobs.ready.len().min(most))?;
            self.queue.wait_for_turn(most).await;
        }
        let (took_any, left_any) = self.queue.with_jobs("claim", |jobs| {
            let count = jobs.ready.len().min(most);
            for _ in 0..count {
                let Some(ready) = jobs.ready.pop_front() else { break };
                out.push(jobs.deliver(ready, self.lease));
            }
            (count > 0, !jobs.ready.is_empty())
        })?;
        if took_any && left_any {
            self.queue.signal.give();
        }
        Ok(())
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.queue.with_jobs("reclaim", |jobs| {
            let now = Instant::now();
            for _ in 0..limit {
                match jobs.in_flight.first_entry() {
                    Some(first) if first.get().expires_at <= now => {
                        let expired = first.remove();
                        out.push(jobs.deliver(expired.ready, self.lease));
                    }
                    _ => break,
                }
            }
        })
    }
}

#[async_trait]
impl Acker for Arc<Queue> {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        self.with_jobs("ack", |jobs| {
            out.extend(leases.iter().map(|lease| jobs.settle(lease, WorkResult::Succeeded)));
        })
    }

    async fn ack_results(&mut self, leases: &[Lease], results: &[WorkResult], out: &mut Vec<AckStatus>) -> Result<()> {
        self.with_jobs("ack", |jobs| {
            out.extend(leases.iter().zip(results).map(|(lease, result)| jobs.settle(lease, *result)));
        })
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        self.with_jobs("nack", |jobs| {
            for lease in leases {
                if let Some(ready) = jobs.end(lease) {
                    // At the end: a job becomes ready anew, so one that always fails does not stand in everybody's way.
                    jobs.ready.push_back(ready);
                }
            }
        })?;
        self.signal.give();
        Ok(())
    }
}
