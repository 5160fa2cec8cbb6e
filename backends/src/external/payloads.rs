//! Payloads that adapters know by number.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::protocol::{Delivery, IncomingPayload, Request};
use crate::job::{JobId, Lease, LeaseToken};
use crate::sync::lock;

/// Payloads that are registered at most. A run has one; more only come from tests.
const REGISTERED_MAX: usize = 16;

/// Who is told of payloads: a running adapter.
pub(super) trait Peer: Send + Sync {
    /// Sends what needs no answer.
    fn tell(&self, request: &Request<'_>);

    /// Jobs that its library started and that no worker took yet.
    fn untaken(&self) -> u64;

    /// Forgets those.
    fn forget_untaken(&self);
}

/// Payloads that every process of a backend knows by number, so that their bytes do not travel with every job.
#[derive(Default)]
pub(super) struct Payloads(Mutex<Known>);

#[derive(Default)]
struct Known {
    payloads: Vec<Bytes>,
    peers: Vec<Weak<dyn Peer>>,
}

impl Payloads {
    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }

    /// Tells a new peer what the others know, and from now on what becomes known.
    pub(super) fn introduce(&self, peer: Weak<dyn Peer>) {
        let mut known = self.lock();
        if let Some(peer) = peer.upgrade() {
            known.payloads.iter().enumerate().for_each(|(number, payload)| register(&*peer, number, payload));
        }
        known.peers.push(peer);
    }

    /// The peers that are in use.
    pub(super) fn peers(&self) -> Vec<Arc<dyn Peer>> {
        self.lock().peers.iter().filter_map(Weak::upgrade).collect()
    }

    /// The number of `payload`, registered where there is room.
    pub(super) fn number_of(&self, payload: &Bytes) -> Option<u32> {
        let mut known = self.lock();
        if let Some(number) = known.payloads.iter().position(|other| other == payload) {
            return Some(number as u32);
        }
        let number = known.payloads.len();
        if number == REGISTERED_MAX {
            return None;
        }
        known.payloads.push(payload.clone());
        known.peers.iter().filter_map(Weak::upgrade).for_each(|peer| register(&*peer, number, payload));
        Some(number as u32)
    }

    /// A lease of what an adapter delivered; a sentence when it cannot be.
    pub(super) fn lease(&self, Delivery(delivery, job, attempt, payload): Delivery<'_>) -> Result<Lease, String> {
        let payload = match payload {
            IncomingPayload::Registered(number) => (self.lock().payloads.get(number as usize).cloned())
                .ok_or_else(|| format!("payload {number} was never registered"))?,
            IncomingPayload::Base64(text) => {
                Bytes::from(STANDARD.decode(&*text).map_err(|error| format!("a payload is no base64: {error}"))?)
            }
        };
        let job = JobId(job.parse().map_err(|_| format!("`{job}` is no job number"))?);
        Ok(Lease { job, attempt, payload, token: LeaseToken([delivery, 0]) })
    }
}

fn register(peer: &dyn Peer, number: usize, payload: &Bytes) {
    peer.tell(&Request::Payload { number: number as u32, base64: STANDARD.encode(payload) });
}
