//! `nats_jetstream`: a work-queue stream and one durable pull consumer on a NATS server.
//!
//! | step | message to the server | where |
//! |---|---|---|
//! | enqueue | the jobs, published one after the other without waiting in between; each is confirmed | [`producer`] |
//! | claim | `CONSUMER.MSG.NEXT`, by default with `expires`: the server waits for a job | [`look`] |
//! | reclaim | the same without a wait: the server delivers jobs whose ack wait is over before all others | [`look`] |
//! | ack | `+ACK` for each job, with confirmation; the stream drops the job | [`acker`] |
//! | nack | `-NAK`, with confirmation | [`acker`] |
//! | keep | `+WPI` (work in progress) every third of the lease, where `in_progress=yes` | [`progress`] |
//! | control | `STREAM.INFO`, `CONSUMER.INFO` | [`admin`] |
//!
//! The ack wait of the consumer is the lease, and the server's delivery count the attempt.
//!
//! **Late acks.** The server takes an ack by the job's place in the stream alone. Whoever acks after the lease has passed on
//! settles the job under its new holder, and both are told that it is done. So a late ack is not told from a good one
//! ([`Capabilities::detects_stale_ack`]); a job that was acked so twice shows in the audit.
//!
//! **Jobs given back** stay on the server's list of what is delivered and not acked until somebody takes them: the counts have them
//! in flight until then ([`Capabilities::counts_returned_as_ready`]).

use std::sync::Arc;

use async_trait::async_trait;

use crate::capability::{Capabilities, Connections, Recovery};
use crate::config::{BackendConfig, BackendOptions};
use crate::entry::{Entry, OptionSpec};
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::nats::settings::Settings;
use crate::nats::{MAX_BATCH, WAKES};
use crate::seam::{Admin, Backend, Consumer, Producer};

mod acker;
mod admin;
mod delivery;
mod look;
mod producer;
mod progress;

use progress::Progress;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "nats_jetstream",
    engine: crate::nats::ENGINE,
    summary: "a work-queue stream with a durable pull consumer: publish, fetch, +ACK with confirmation, ack wait",
    colour: Some([102, 17, 0]),
    options: &[OptionSpec {
        key: "in_progress",
        default: "no",
        help: "whether a worker tells the server every third of the lease that it still works on what it holds (`yes`): a living \
               worker then keeps its jobs however long they take; `no` lets every lease expire",
    }],
    variants: &[&[("in_progress", "yes")]],
    contract: &|options| {
        let (recovery, per_worker) =
            if keeps(options)? { (Recovery::Heartbeat, 3) } else { (Recovery::LeaseExpiry, 2) };
        let connections = Some(Connections { per_worker, ..Connections::ONE_A_SIDE });
        let common = Capabilities::leased(WAKES, MAX_BATCH);
        Ok(Capabilities { recovery, detects_stale_ack: false, counts_returned_as_ready: false, connections, ..common })
    },
    opener: &|config| Ok(Arc::new(NatsJetstream::open(config)?)),
};

/// Whether workers keep what they hold.
fn keeps(options: &BackendOptions) -> Result<bool> {
    Ok(options.choice("in_progress", &["no", "yes"])? == "yes")
}

struct NatsJetstream {
    settings: Settings,
    keeps: bool,
}

impl NatsJetstream {
    fn open(config: &BackendConfig) -> Result<Self> {
        Ok(NatsJetstream { settings: Settings::new(ENTRY.id, config)?, keeps: keeps(&config.options)? })
    }
}

#[async_trait]
impl Backend for NatsJetstream {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(admin::JetstreamAdmin::open(&self.settings).await?))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        Ok(Box::new(producer::JetstreamProducer::open(&self.settings).await?))
    }

    async fn consumer(&self, _id: WorkerId) -> Result<Consumer> {
        let progress = match self.keeps {
            true => Some(Arc::new(Progress::open(&self.settings).await?)),
            false => None,
        };
        Ok(Consumer {
            claimer: self.settings.claimer(look::JetstreamLook::open(&self.settings, progress.clone()).await?),
            acker: Box::new(acker::JetstreamAcker::open(&self.settings, progress).await?),
        })
    }
}
