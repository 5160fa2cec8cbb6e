//! The seam's side of an adapter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::channel::{Channel, ExternalProducer, consumer};
use super::closing::Closings;
use super::manifest::{Manifest, Processes};
use super::payloads::Payloads;
use super::process::Process;
use super::protocol::{Consume, Described, Hello, Request, Role, VERSION};
use crate::config::{BackendConfig, BackendOptions};
use crate::error::Result;
use crate::job::{ProducerId, WorkerId};
use crate::seam::{Admin, Backend, Census, Consumer, Depth, Description, Producer};

/// How long setup, reset, settle and teardown may take beyond an ordinary request: they make and drop tables, flush, and end workers.
const CONTROL_EXTRA: Duration = Duration::from_secs(30);

/// What was chosen of an adapter's ways, and its own options.
pub(super) struct Choices {
    processes: Processes,
    consume: Consume,
    options: BTreeMap<&'static str, String>,
}

/// Reads the options of an adapter.
///
/// # Errors
/// [`crate::ErrorKind::Config`] for a way that it does not have.
pub(super) fn choices(manifest: &'static Manifest, given: &BackendOptions) -> Result<Choices> {
    let words: Vec<&str> = manifest.processes.iter().map(|way| way.name()).collect();
    let chosen = given.choice("processes", &words)?;
    let processes = manifest.processes.iter().copied().find(|way| way.name() == chosen);
    let words: Vec<&str> = manifest.consume.iter().map(|way| way.name()).collect();
    let chosen = given.choice("consume", &words)?;
    let consume = manifest.consume.iter().copied().find(|way| way.name() == chosen);
    let mut options = BTreeMap::new();
    for spec in manifest.options {
        options.insert(spec.key, given.parse(spec.key, spec.default.to_owned(), "text")?);
    }
    Ok(Choices {
        processes: processes.unwrap_or(Processes::Shared),
        consume: consume.unwrap_or(Consume::Pull),
        options,
    })
}

/// Opens the adapter with a configuration. Starts nothing.
///
/// # Errors
/// [`crate::ErrorKind::Config`] for an option that it does not have so.
pub(super) fn open(manifest: &'static Manifest, config: &BackendConfig) -> Result<Arc<dyn Backend>> {
    let Choices { processes, consume, options } = choices(manifest, &config.options)?;
    let mut config = config.clone();
    config.url = config.url.map(manifest.engine.for_other_processes);
    Ok(Arc::new(ExternalBackend {
        processes,
        queue: Arc::new(Queue {
            manifest,
            consume,
            options,
            config,
            payloads: Arc::default(),
            closings: Arc::default(),
            first: OnceCell::new(),
        }),
    }))
}

struct ExternalBackend {
    processes: Processes,
    queue: Arc<Queue>,
}

/// What everything that was opened of one backend shares.
struct Queue {
    manifest: &'static Manifest,
    consume: Consume,
    options: BTreeMap<&'static str, String>,
    config: BackendConfig,
    payloads: Arc<Payloads>,
    closings: Arc<Closings>,
    /// The process of the control side, and of everybody where all share one, with the library's name.
    first: OnceCell<(Arc<Process>, String)>,
}

impl Queue {
    /// Starts a process of the adapter.
    async fn start(&self) -> Result<(Arc<Process>, String)> {
        let config = &self.config;
        let hello = Hello {
            protocol: VERSION,
            url: config.url.as_ref().map(|url| url.expose()),
            namespace: &config.namespace,
            durability: config.durability,
            consume: self.consume,
            lease_ms: config.lease.as_millis() as u64,
            wake: config.wake.name(),
            poll_ms: config.poll_interval.as_millis() as u64,
            workers: config.workers,
            timeout_ms: config.timeout.as_millis() as u64,
            options: self.options.clone(),
        };
        Process::start(self.manifest, hello, config.url.as_ref(), &self.payloads).await
    }

    async fn first(&self) -> Result<&(Arc<Process>, String)> {
        self.first.get_or_try_init(|| self.start()).await
    }
}

impl ExternalBackend {
    async fn channel(&self, role: Role, number: u32) -> Result<Channel> {
        let process = match self.processes {
            Processes::Shared => Arc::clone(&self.queue.first().await?.0),
            Processes::Each => self.queue.start().await?.0,
        };
        Channel::open(process, role, number, self.queue.config.timeout, &self.queue.closings).await
    }
}

#[async_trait]
impl Backend for ExternalBackend {
    fn id(&self) -> &'static str {
        self.queue.manifest.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        self.queue.first().await?;
        Ok(Box::new(ExternalAdmin { processes: self.processes, queue: Arc::clone(&self.queue) }))
    }

    async fn producer(&self, id: ProducerId) -> Result<Box<dyn Producer>> {
        let channel = self.channel(Role::Producer, id.0).await?;
        Ok(Box::new(ExternalProducer::new(channel, Arc::clone(&self.queue.payloads))))
    }

    async fn consumer(&self, id: WorkerId) -> Result<Consumer> {
        let channel = self.channel(Role::Consumer, id.0).await?;
        Ok(consumer(channel, self.queue.consume, self.queue.manifest))
    }

    fn works_in_processes(&self) -> bool {
        true
    }
}

struct ExternalAdmin {
    processes: Processes,
    queue: Arc<Queue>,
}

impl ExternalAdmin {
    /// Asks when nothing is on its way back from closed channels any more.
    async fn ask<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T> {
        let (process, _) = self.queue.first().await?;
        self.queue.closings.finish().await;
        let extra = match request {
            Request::Setup | Request::Reset | Request::Settle | Request::Teardown => CONTROL_EXTRA,
            _ => Duration::ZERO,
        };
        let answer = process.ask(&request, self.queue.config.timeout + extra).await?;
        process.read_result(request.op(), answer.result)
    }

    /// Asks for something after which no earlier job may be delivered.
    async fn clear(&self, request: Request<'_>) -> Result<()> {
        self.ask::<()>(request).await?;
        self.queue.payloads.peers().iter().for_each(|peer| peer.forget_untaken());
        Ok(())
    }

    /// Jobs that a library started and no worker took yet: ready, as far as this side is concerned.
    fn untaken(&self) -> u64 {
        self.queue.payloads.peers().iter().map(|peer| peer.untaken()).sum()
    }
}

#[async_trait]
impl Admin for ExternalAdmin {
    async fn describe(&mut self) -> Result<Description> {
        let described: Described = self.ask(Request::Describe).await?;
        let (process, library) = self.queue.first().await?;
        // These are words of others that go into files.
        let conceal = |text: &String| process.conceal(text);
        let mut settings: BTreeMap<String, String> =
            described.settings.iter().map(|(name, value)| (conceal(name), conceal(value))).collect();
        settings.insert("adapter.library".to_owned(), library.clone());
        settings.insert("adapter.processes".to_owned(), self.processes.name().to_owned());
        let spread = match self.processes {
            Processes::Shared => "one process holds all producers and workers",
            Processes::Each => "every producer and worker has a process of its own",
        };
        let mut notes = vec![format!(
            "{} runs {library} in adapter processes beside this one ({spread}); their CPU is the role `adapter`, and on other \
             backends the same work is part of `harness`",
            self.queue.manifest.id
        )];
        notes.extend(described.notes.iter().map(conceal));
        Ok(Description {
            engine: described.engine,
            version: conceal(&described.version),
            queue_type: self.queue.manifest.name,
            durability: described.durability,
            settings,
            objects: described.objects,
            notes,
        })
    }

    async fn setup(&mut self) -> Result<()> {
        self.clear(Request::Setup).await
    }

    async fn reset(&mut self) -> Result<()> {
        self.clear(Request::Reset).await
    }

    async fn settle(&mut self) -> Result<()> {
        self.ask(Request::Settle).await
    }

    async fn depth(&mut self) -> Result<Depth> {
        let Depth { ready, in_flight } = self.ask(Request::Depth).await?;
        let untaken = self.untaken().min(in_flight);
        Ok(Depth { ready: ready + untaken, in_flight: in_flight - untaken })
    }

    async fn census(&mut self) -> Result<Census> {
        let census: Census = self.ask(Request::Census).await?;
        let untaken = self.untaken().min(census.in_flight);
        Ok(Census { ready: census.ready + untaken, in_flight: census.in_flight - untaken, ..census })
    }

    async fn teardown(&mut self) -> Result<()> {
        self.clear(Request::Teardown).await
    }
}
