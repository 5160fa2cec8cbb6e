//! Tells the server that a worker still works on what it holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::delivery::ack_address;
use crate::error::Result;
use crate::job::{Lease, LeaseToken};
use crate::nats::connection::{Link, Request};
use crate::nats::settings::{Names, Settings};
use crate::sync::lock;

/// The held leases of one worker, by their tokens, each with the address that keeps it.
type Held = Arc<Mutex<HashMap<LeaseToken, String>>>;

/// What one worker holds, and the task that keeps it. Ends with the worker: whatever it held then expires.
pub(super) struct Progress {
    names: Names,
    held: Held,
    _task: JoinSet<()>,
}

impl Progress {
    /// Every third of the lease the server is told. Over a connection of its own, because those of the worker wait for answers.
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        let every = settings.config.lease / 3;
        let link = Link::open_beside(settings, every).await?;
        let held = Held::default();
        let mut task = JoinSet::new();
        task.spawn(tell(link, Arc::clone(&held), every));
        Ok(Progress { names: settings.names.clone(), held, _task: task })
    }

    /// Begins to keep these.
    pub(super) fn keep(&self, leases: &[Lease]) {
        lock(&self.held).extend(leases.iter().map(|lease| (lease.token, ack_address(&self.names, lease))));
    }

    /// Keeps these no longer.
    pub(super) fn release(&self, leases: &[Lease]) {
        let mut held = lock(&self.held);
        for lease in leases {
            held.remove(&lease.token);
        }
    }
}

async fn tell(mut link: Link, held: Held, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let kept = |subject: &String| Request { subject: subject.clone(), payload: Bytes::from_static(b"+WPI") };
        let requests: Vec<Request> = lock(&held).values().map(kept).collect();
        // Without an answer it is told again at the next tick, over another connection; two of them fit into a lease.
        if let Err(error) = link.ask("keep jobs of", requests).await {
            tracing::debug!("{error}");
        }
    }
}
