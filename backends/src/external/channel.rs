//! Producers and consumers within an adapter: the hot path of the protocol.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::closing::Closings;
use super::manifest::Manifest;
use super::payloads::{Payloads, Peer};
use super::process::{Mailbox, Process};
use super::protocol::{Consume, OutgoingPayload, Request, Role};
use crate::capability::Recovery;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Lease, NewJob};
use crate::seam::{AckStatus, Acker, Claimer, Consumer, Producer};
use crate::sync::lock;

/// A channel of an adapter; dropping it closes it.
pub(super) struct Channel {
    process: Arc<Process>,
    number: u32,
    timeout: Duration,
    /// Where it is left when it is closed.
    closings: Arc<Closings>,
    /// Deliveries that a worker took and did not settle.
    held: Mutex<HashSet<u64>>,
}

impl Channel {
    /// Opens a channel for producer or worker `number` of the run.
    pub(super) async fn open(
        process: Arc<Process>,
        role: Role,
        number: u32,
        timeout: Duration,
        closings: &Arc<Closings>,
    ) -> Result<Self> {
        let (closings, held) = (Arc::clone(closings), Mutex::default());
        let channel = Channel { number: process.new_channel(), process, timeout, closings, held };
        // Before it is opened: jobs may arrive together with the answer.
        channel.process.mailbox(channel.number);
        channel.process.ask(&Request::Open { channel: channel.number, role, number }, timeout).await?;
        Ok(channel)
    }

    async fn ask(&self, request: &Request<'_>) -> Result<super::process::Answer> {
        self.process.ask(request, self.timeout).await
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        lock(&self.held)
    }

    /// Notes what a worker takes.
    fn taken(&self, leases: &[Lease]) {
        self.held().extend(deliveries(leases));
    }

    /// Notes what it acked or gave back.
    fn settled(&self, leases: &[Lease]) {
        let mut held = self.held();
        for delivery in deliveries(leases) {
            held.remove(&delivery);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held()).into_iter().collect();
        self.closings.close(&self.process, self.number, held, self.timeout);
    }
}

/// The producer of one channel.
pub(super) struct ExternalProducer {
    channel: Channel,
    payloads: Arc<Payloads>,
    /// The latest payload that was asked for its number.
    latest: Option<(Bytes, Option<u32>)>,
}

impl ExternalProducer {
    pub(super) fn new(channel: Channel, payloads: Arc<Payloads>) -> Self {
        ExternalProducer { channel, payloads, latest: None }
    }

    /// The number of the one payload of all `jobs`, if they have one.
    fn common_number(&mut self, jobs: &[NewJob]) -> Option<u32> {
        let first = &jobs.first()?.payload;
        // The payload of a run is shared, so that a look at the address mostly settles it.
        let same =
            |one: &Bytes, other: &Bytes| (one.as_ptr() == other.as_ptr() && one.len() == other.len()) || one == other;
        if !jobs.iter().all(|job| same(&job.payload, first)) {
            return None;
        }
        match &self.latest {
            Some((latest, number)) if same(latest, first) => *number,
            _ => {
                let number = self.payloads.number_of(first);
                self.latest = Some((first.clone(), number));
                number
            }
        }
    }
}

#[async_trait]
impl Producer for ExternalProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        let payload = match self.common_number(jobs) {
            Some(number) => OutgoingPayload::Registered(number),
            None => OutgoingPayload::Each(jobs.iter().map(|job| STANDARD.encode(&job.payload)).collect()),
        };
        let jobs = jobs.iter().map(|job| job.job.0.to_string()).collect();
        self.channel.ask(&Request::Enqueue { channel: self.channel.number, jobs, payload }).await?;
        Ok(())
    }
}

/// What claimer and ackers of one channel share.
struct Held {
    channel: Channel,
    consume: Consume,
    manifest: &'static Manifest,
    mailbox: Arc<Mailbox>,
    /// Deliveries that the library was told it may have unsettled at once.
    demanded: AtomicU32,
}

/// The two sides of one channel.
pub(super) fn consumer(channel: Channel, consume: Consume, manifest: &'static Manifest) -> Consumer {
    let mailbox = channel.process.mailbox(channel.number);
    let held = Arc::new(Held { channel, consume, manifest, mailbox, demanded: AtomicU32::new(0) });
    Consumer { claimer: Box::new(ExternalClaimer { held: Arc::clone(&held) }), acker: Box::new(ExternalAcker { held }) }
}

impl Held {
    fn demand(&self, jobs: u32) {
        if self.demanded.swap(jobs, Ordering::AcqRel) != jobs {
            self.channel.process.tell(&Request::Demand { channel: self.channel.number, jobs });
        }
    }

    /// Deliveries that a worker took and did not settle.
    fn count(&self) -> u32 {
        self.channel.held().len() as u32
    }
}

struct ExternalClaimer {
    held: Arc<Held>,
}

impl ExternalClaimer {
    /// Takes what the library has started.
    fn take_started(&self, limit: u32, out: &mut Vec<Lease>) -> bool {
        let mut jobs = lock(&self.held.mailbox.jobs);
        let count = jobs.len().min(limit as usize);
        let before = out.len();
        out.extend(jobs.drain(..count));
        self.held.channel.taken(&out[before..]);
        count > 0
    }

    async fn await_started(&self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        let process = &self.held.channel.process;
        // The library may fill all the room that this worker ever had: it is not told to shrink between two claims.
        let wanted = self.held.count() + limit;
        self.held.demand(wanted.max(self.held.demanded.load(Ordering::Acquire)));
        let deadline = Instant::now() + wait;
        while !self.take_started(limit, out) {
            if process.is_gone() {
                return Err(process.gone_error("claim"));
            }
            if timeout_at(deadline, self.held.mailbox.arrived.notified()).await.is_err() {
                self.take_started(limit, out);
                return Ok(());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Claimer for ExternalClaimer {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        let channel = &self.held.channel;
        if self.held.consume == Consume::Push {
            return self.await_started(limit, wait, out).await;
        }
        let request = Request::Claim { channel: channel.number, limit, wait_ms: wait.as_millis() as u64 };
        let answer = channel.process.ask(&request, wait + channel.timeout).await?;
        channel.taken(&answer.jobs);
        out.extend(answer.jobs);
        Ok(())
    }

    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        if self.held.manifest.capabilities.recovery != Recovery::LeaseExpiry {
            return Ok(());
        }
        let channel = &self.held.channel;
        let answer = channel.ask(&Request::Reclaim { channel: channel.number, limit }).await?;
        channel.taken(&answer.jobs);
        out.extend(answer.jobs);
        Ok(())
    }
}

struct ExternalAcker {
    held: Arc<Held>,
}

/// The adapter's numbers of what it delivered.
fn deliveries(leases: &[Lease]) -> impl Iterator<Item = u64> {
    leases.iter().map(|lease| lease.token.0[0])
}

#[async_trait]
impl Acker for ExternalAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        let channel = &self.held.channel;
        let request = Request::Ack { channel: channel.number, deliveries: deliveries(leases).collect() };
        let answer = channel.ask(&request).await?;
        channel.settled(leases);
        let from = out.len();
        out.resize(from + leases.len(), AckStatus::Acked);
        for position in answer.stale {
            match out[from..].get_mut(position as usize) {
                Some(status) => *status = AckStatus::Stale,
                None => {
                    let message = format!("it calls delivery {position} of {} stale", leases.len());
                    return Err(Error::new(ErrorKind::Server, "ack", message));
                }
            }
        }
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        if !self.held.manifest.capabilities.nack {
            return Err(Error::config(format!("{}: its library cannot take a job back", self.held.manifest.id)));
        }
        let channel = &self.held.channel;
        channel.settled(leases);
        if self.held.consume == Consume::Push {
            // Whoever gives jobs back wants no others for now; the library would hand him the same ones again.
            self.held.demand(self.held.count());
        }
        channel.ask(&Request::Nack { channel: channel.number, deliveries: deliveries(leases).collect() }).await?;
        Ok(())
    }

    fn overlapping(&self) -> Option<Box<dyn Acker>> {
        (self.held.consume == Consume::Push).then(|| Box::new(ExternalAcker { held: Arc::clone(&self.held) }) as Box<_>)
    }

    fn gathers(&self) -> bool {
        self.held.manifest.completion_buffer
    }
}
