//! The run's side: a host that is reached by way of its observer.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_ground::clock::{RunClock, RunPhase, monotonic_ns};
use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;

use super::channel::{Channel, END_LIMIT, RowFiles};
use super::command::ObserverCommand;
use super::offset::{ClockOffset, Exchange};
use super::protocol::{Ask, BackendAsked, Clocks, Hello, PROTOCOL, Say, ServerSaid, StartAsked, WatchAsked};
use crate::engine::Engine;
use crate::monitor::MonitorSummary;
use crate::services::{OwnServer, Server};

/// Longest wait for the observer to say who it is: ssh may have to ask for a name, and a host to wake up.
const HELLO_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a private server; it has a limit of its own, which is shorter.
const START_LIMIT: Duration = Duration::from_secs(240);
/// Longest wait for anything else.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Exchanges of clock readings: some milliseconds on a local network.
const EXCHANGES: usize = 32;

/// A host with an observer on it. Dropping it ends the observer, and that what it started.
pub struct RemoteHost {
    hello: Hello,
    channel: Channel,
}

/// What the observer saw of a run.
#[derive(Debug)]
pub struct Observed {
    /// Everything of the measured phase.
    pub summary: MonitorSummary,
    /// How a private server ended, where it did.
    pub died: Option<String>,
}

impl RemoteHost {
    /// Starts an observer and waits until it has said who it is. `hidden` variables of our environment are kept from the command.
    ///
    /// # Errors
    /// A sentence: it does not start, says nothing, is no observer, or speaks another version.
    pub async fn connect(command: ObserverCommand, hidden: &[&str]) -> Result<Self, String> {
        let shown = match command.is_here() {
            true => "on this host".to_owned(),
            false => format!("behind `{command}`"),
        };
        let in_words = |reason: String| format!("the observer {shown} cannot be used: {reason}");
        let mut command = command.into_command();
        for name in hidden {
            command.env_remove(name);
        }
        let mut channel = Channel::open(command).map_err(&in_words)?;
        let hello = match channel.hear(HELLO_LIMIT).await.map_err(&in_words)? {
            Say::Hello(hello) => *hello,
            _ => return Err(in_words("it did not say who it is".to_owned())),
        };
        if hello.protocol != PROTOCOL {
            return Err(in_words(format!(
                "it speaks version {} of what is said between run and observer, and this program version {PROTOCOL}: put the same \
                 qbench on both hosts (there {}, {}; here {})",
                hello.protocol,
                hello.version,
                hello.revision,
                env!("CARGO_PKG_VERSION")
            )));
        }
        channel.be_patient();
        Ok(RemoteHost { hello, channel })
    }

    /// Who is there.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Why the observer is not there any more, where it is not.
    pub fn lost(&self) -> Option<String> {
        self.channel.lost()
    }

    /// Their clocks less ours, now.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn clock_offset(&self) -> Result<ClockOffset, String> {
        let mut exchanges = Vec::with_capacity(EXCHANGES);
        for _ in 0..EXCHANGES {
            let asked = Clocks::now();
            match self.channel.ask(Ask::Clock, ANSWER_LIMIT).await? {
                Say::Clock(told) => {
                    exchanges.push(Exchange { asked, told, heard_ns: monotonic_ns().unwrap_or(asked.monotonic_ns) });
                }
                _ => return Err(unexpected()),
            }
        }
        ClockOffset::of(&exchanges).ok_or_else(unexpected)
    }

    /// Starts a private server there, which listens on `listen`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn start_server(
        &self,
        engine: &dyn Engine,
        durability: Durability,
        tuning: Tuning,
        connections: u32,
        listen: IpAddr,
    ) -> Result<RemoteServer, String> {
        let asked = StartAsked {
            engine: engine.kind().id.to_owned(),
            durability,
            tuning: tuning.name().to_owned(),
            connections,
            listen,
        };
        self.server(Ask::Start(asked)).await
    }

    /// Lets it watch a server that runs there already.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn adopt_server(&self, engine: &dyn Engine, url: &ServerUrl) -> Result<RemoteServer, String> {
        // The observer does not see our environment.
        let told = (engine.kind().for_other_processes)(url.clone());
        let ask = Ask::Adopt { engine: engine.kind().id.to_owned(), url: told.expose().to_owned() };
        Ok(RemoteServer { url: url.clone(), ..self.server(ask).await? })
    }

    async fn server(&self, ask: Ask) -> Result<RemoteServer, String> {
        match self.channel.ask(ask, START_LIMIT).await? {
            Say::Server(said) => Ok(RemoteServer::of(*said)),
            _ => Err(unexpected()),
        }
    }

    /// Drops the host's page cache; what came of it, a sentence.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn cool_down(&self) -> Result<String, String> {
        match self.channel.ask(Ask::Cool, ANSWER_LIMIT).await? {
            Say::Cooled { sentence } => Ok(sentence),
            _ => Err(unexpected()),
        }
    }

    /// Starts the monitors there. Their rows carry instants of `clock`, as far as `offset` is known, and go to two files of ours.
    ///
    /// # Errors
    /// When they do not start, or a file cannot be made.
    pub async fn watch(&self, plan: WatchPlan<'_>) -> Result<(), String> {
        let create =
            |path: &Path| File::create(path).map_err(|error| format!("cannot create {}: {error}", path.display()));
        self.channel.send_rows_to(Some(RowFiles { system: create(plan.system)?, server: create(plan.server)? }));
        let began_ns = plan.clock.start_ns().ok_or("this host does not tell its time")?;
        let asked = WatchAsked {
            began_ns: plan.offset.theirs(began_ns),
            phase: RunPhase::Setup.name().to_owned(),
            objects: plan.objects.to_vec(),
            interval_us: u64::try_from(plan.interval.as_micros()).unwrap_or(u64::MAX),
            backend: plan.backend,
        };
        match self.channel.ask(Ask::Watch(Box::new(asked)), ANSWER_LIMIT).await? {
            Say::Watching => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// The run is in another phase. Does not block.
    pub fn enter(&self, phase: RunPhase) {
        self.channel.tell(Ask::Phase { name: phase.name().to_owned() });
    }

    /// The measured phase begins now: the observer marks it as soon as it hears of it, half a round trip later. Does not block.
    pub fn measured_start(&self) {
        self.channel.tell(Ask::MeasuredStart);
    }

    /// The measured phase ends now; likewise.
    pub fn measured_end(&self) {
        self.channel.tell(Ask::MeasuredEnd);
    }

    /// Ends the monitors there; what they saw.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn unwatch(&self) -> Result<Observed, String> {
        match self.channel.ask(Ask::Unwatch, ANSWER_LIMIT).await? {
            Say::Watched { summary, died } => {
                self.channel.send_rows_to(None);
                Ok(Observed { summary: *summary, died })
            }
            _ => Err(unexpected()),
        }
    }

    /// Ends the server there, and the observer.
    ///
    /// # Errors
    /// What made trouble.
    pub async fn stop(&self) -> Result<(), String> {
        let stopped = self.channel.ask(Ask::Stop, END_LIMIT).await;
        self.channel.close().await;
        match stopped? {
            Say::Stopped { trouble: None } => Ok(()),
            Say::Stopped { trouble: Some(trouble) } => Err(trouble),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> String {
    "it said something else than what it was asked for".to_owned()
}

/// What a run lets be watched.
pub struct WatchPlan<'a> {
    /// The run's clock.
    pub clock: RunClock,
    /// How far theirs is from ours.
    pub offset: ClockOffset,
    /// The file for the rows of host and roles.
    pub system: &'a Path,
    /// The file for the rows of the server.
    pub server: &'a Path,
    /// What the backend keeps on the server.
    pub objects: &'a [String],
    /// Time between two rows.
    pub interval: Duration,
    /// The backend.
    pub backend: BackendAsked,
}

/// A server on a host with an observer, which watches it and ends it.
pub struct RemoteServer {
    url: ServerUrl,
    own: Option<OwnServer>,
    /// Why its process is not accounted for there.
    unaccounted: Option<String>,
}

impl RemoteServer {
    fn of(said: ServerSaid) -> Self {
        let settings = said.settings;
        let own = said.version.map(|version| OwnServer { version, settings, ..OwnServer::default() });
        RemoteServer { url: ServerUrl::new(said.url), own, unaccounted: said.unaccounted }
    }

    /// Why its process is not accounted for by the observer, where it is not.
    pub fn unaccounted(&self) -> Option<&str> {
        self.unaccounted.as_deref()
    }
}

#[async_trait]
impl Server for RemoteServer {
    fn url(&self) -> &ServerUrl {
        &self.url
    }

    fn pid(&self) -> Result<u32, &str> {
        Err("its process is on another host")
    }

    fn private(&self) -> Option<OwnServer> {
        self.own.clone()
    }
}
