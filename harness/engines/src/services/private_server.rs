//! What private servers have in common: how one is started on a free port, awaited, asked about, and ended.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::sys::signal::Signal;
use qbench_backends::{EngineKind, ServerUrl};

use super::child::{ChildSpec, GuardedChild, spawn_under};
use super::error::{Error, Result};
use super::private_dir::PrivateDir;
use super::programs::{Programs, Version};
use super::server::{OwnServer, Server, StartOptions};

/// Starts are repeated this often when somebody took the chosen port first.
const PORT_ATTEMPTS: u32 = 5;
/// Pause between two attempts to connect to a server that starts.
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Limit on one attempt. Whoever took our port first may accept a connection and stay silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// A server that did not answer until now does not start.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// Part of a log that an error shows.
const LOG_TAIL_LINES: usize = 20;
/// Bytes read for it.
const LOG_TAIL_BYTES: u64 = 16 * 1024;

/// Ways to end a server, politest first, with the time that each is given.
pub(crate) type StopSteps = &'static [(Signal, Duration)];

/// A running private server. Dropping it ends it and removes its data; [`PrivateServer::stop`] also says whether that
/// worked, and does not block an async runtime.
pub struct PrivateServer<P> {
    running: Running,
    url: ServerUrl,
    settings: BTreeMap<String, String>,
    programs: P,
}

impl<P> PrivateServer<P> {
    /// What was started, with what a user of it wants to know.
    pub(crate) fn new(running: Running, url: ServerUrl, settings: BTreeMap<String, String>, programs: P) -> Self {
        PrivateServer { running, url, settings, programs }
    }

    /// How to connect, password included.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Its main process; every other process of the server is a child of it.
    pub fn pid(&self) -> u32 {
        self.running.child.pid()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.running.launch.dir.data()
    }

    /// Every setting that it was started with on top of its own defaults, but for the password.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The programs that it was started from.
    pub fn programs(&self) -> &P {
        &self.programs
    }

    /// Ends it and removes its directory.
    ///
    /// # Errors
    /// [`Error::System`] when the directory could not be removed.
    pub async fn stop(self) -> Result<()> {
        let running = self.running;
        beside_the_runtime(move || running.end()).await
    }
}

impl<P: Programs> PrivateServer<P> {
    /// Its version, for instance `15.18`.
    pub fn version(&self) -> &Version {
        self.programs.version()
    }
}

#[async_trait]
impl<P: Programs> Server for PrivateServer<P> {
    fn url(&self) -> &ServerUrl {
        self.url()
    }

    fn address(&self) -> String {
        address(self.running.launch.listen, self.running.port)
    }

    fn pid(&self) -> Result<u32, &str> {
        Ok(self.pid())
    }

    fn private(&self) -> Option<OwnServer> {
        Some(OwnServer {
            version: self.version().to_string(),
            settings: self.settings.clone(),
            data_dir: self.data_dir(),
            program: self.programs.server().to_owned(),
        })
    }

    fn died(&self) -> Option<Error> {
        died(self.running.launch.name, &self.running.child, &self.running.log)
    }

    async fn stop(self: Box<Self>) -> Result<()> {
        (*self).stop().await
    }
}

/// A running server and everything of it. Dropping it ends the server and removes its directory.
pub(crate) struct Running {
    launch: Launch,
    child: GuardedChild,
    port: u16,
    log: PathBuf,
}

/// What a server is started from and ended by.
pub(crate) struct Launch {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// Its directory.
    pub(crate) dir: PrivateDir,
    /// The address of this host that it listens on.
    pub(crate) listen: IpAddr,
    /// How it is ended.
    pub(crate) stop_steps: StopSteps,
    /// Words in its log that tell of a port in use.
    pub(crate) port_taken: &'static str,
}

impl Running {
    /// Starts `command(directory, port)` on the port that `choose_port` gives and waits until `ready(port, pid)` succeeds. Until then
    /// `ready` says why not and is asked again.
    ///
    /// # Errors
    /// [`Error::Server`] when it ends or does not answer in time; nothing is left of it then.
    pub(crate) async fn start<R>(
        launch: Launch,
        mut choose_port: impl FnMut() -> Result<u16>,
        command: impl Fn(&PrivateDir, u16) -> Result<ChildSpec>,
        ready: impl Fn(u16, u32) -> R,
    ) -> Result<Self>
    where
        R: Future<Output = Result<(), String>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let port = choose_port()?;
            let spec = command(&launch.dir, port)?;
            let (log, spec) = launch.dir.log_output(&format!("server-{attempt}.log"), spec)?;
            let child = spawn_under(spec, launch.dir.guard())?;
            match await_ready(&launch, &child, port, &log, &ready).await {
                Ok(()) => return Ok(Running { launch, child, port, log }),
                Err(error) => {
                    // Our choice of a port and the server's use of it are two moments; somebody may have come between.
                    let taken = child.try_wait().is_some() && log_tail(&log).contains(launch.port_taken);
                    if !taken || attempt == PORT_ATTEMPTS {
                        return Err(error);
                    }
                }
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn dir(&self) -> &PrivateDir {
        &self.launch.dir
    }

    /// Ends it and removes its directory. Blocks.
    fn end(&self) -> Result<()> {
        for (signal, limit) in self.launch.stop_steps {
            self.child.kill(*signal);
            // A stopped process sees no other signal.
            self.child.kill(Signal::SIGCONT);
            if self.child.wait_timeout(*limit).is_some() {
                break;
            }
        }
        self.launch.dir.remove()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error}");
        }
    }
}

/// Does what blocks on a thread beside those of the async runtime.
pub(crate) async fn beside_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Settings by name.
pub(crate) fn named<const COUNT: usize>(settings: [(&str, String); COUNT]) -> BTreeMap<String, String> {
    settings.map(|(key, value)| (key.to_owned(), value)).into()
}

/// `ours`, and on top of them what a user `asked` for. `reserved` holds settings that nobody may change, with the reason of each.
/// Names are compared without case.
///
/// # Errors
/// [`Error::Config`] naming setting, `product` and reason.
pub(crate) fn with_asked(
    product: &str,
    engine: EngineKind,
    reserved: &[(&str, &str)],
    mut ours: BTreeMap<String, String>,
    options: &StartOptions,
) -> Result<BTreeMap<String, String>> {
    let cores = match &options.cores {
        Some(cores) => cores.singly().count(),
        None => available_parallelism().map_or(1, usize::from),
    };
    ours.extend(engine.tuned(options.tuning, cores).map(|(key, value)| (key.to_owned(), value)));
    for (key, value) in &options.settings {
        if let Some((key, reason)) = reserved.iter().find(|(reserved, _)| key.eq_ignore_ascii_case(reserved)) {
            return Err(Error::Config(format!("the setting {key} of a private {product} cannot be changed: {reason}")));
        }
        ours.insert(key.to_ascii_lowercase(), value.clone());
    }
    Ok(ours)
}

/// Where a private server listens, as addresses of it are written.
pub(crate) fn address(listen: IpAddr, port: u16) -> String {
    SocketAddr::new(listen, port).to_string()
}

/// A password of 128 random bits, in characters that need no escaping anywhere.
pub(crate) fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

async fn await_ready<R>(
    launch: &Launch,
    child: &GuardedChild,
    port: u16,
    log: &Path,
    ready: &impl Fn(u16, u32) -> R,
) -> Result<()>
where
    R: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let answer = match tokio::time::timeout(ANSWER_LIMIT, ready(port, child.pid())).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs())),
        };
        // Asked first: somebody else may answer on the port that ours could not get.
        if let Some(error) = died(launch.name, child, log) {
            return Err(error);
        }
        let Err(reason) = answer else { return Ok(()) };
        if Instant::now() >= deadline {
            let limit_s = READY_LIMIT.as_secs();
            let at = address(launch.listen, port);
            let what = format!("{} did not answer on {at} within {limit_s} s ({reason})", launch.name);
            return Err(Error::Server { what, log: log_tail(log) });
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
}

fn died(name: &str, child: &GuardedChild, log: &Path) -> Option<Error> {
    let status = child.try_wait()?;
    Some(Error::Server { what: format!("{name} {}", how_it_ended(status)), log: log_tail(log) })
}

/// `ended with exit status 1`, `was killed by SIGKILL`.
pub(crate) fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// The last lines of a log.
pub(crate) fn log_tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        file.read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("(its log {} cannot be read: {error})", log.display());
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0 => "(it wrote nothing)".to_owned(),
        count => lines[count.saturating_sub(LOG_TAIL_LINES)..].join("\n"),
    }
}

/// A port of `listen`, an address of this host, that nobody listens on at this moment.
pub(crate) fn free_port(listen: IpAddr) -> Result<u16> {
    TcpListener::bind((listen, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(Error::system(format!("find a free port on {listen}")))
}
