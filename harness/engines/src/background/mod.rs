//! pgbench as real background load: what the load does to the queue, and what the queue does to the load (METHODOLOGY F4).
//!
//! In order: [`Pgbench::prepare`] makes and fills the tables, [`PreparedPgbench::start`] runs the clients, the caller waits for
//! [`Pgbench::wait_until_running`] before it measures, then [`Pgbench::stop`], [`Pgbench::report`], [`Pgbench::remove`].

mod error;
mod libpq;
mod own_schema;
mod progress;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use qbench_backends::ServerUrl;
use qbench_schema::result::BackgroundLoad;

use crate::engine::Engine;
use crate::postgres::PostgresEngine;
use crate::services::{ChildSpec, GuardedChild, spawn_guarded};
use progress::{Progress, Timeline};
use qbench_ground::clock::RunClock;
use qbench_ground::pinning::Cores;

pub use error::Error;
pub use libpq::{APPLICATION_NAME, Libpq, SCHEMA};

/// The product that pgbench works on.
pub static ENGINE: &dyn Engine = &PostgresEngine;

/// Lines of pgbench's own words that are kept for an error.
const KEPT_LINES: usize = 8;

/// Time that filling the tables may take: a base, and a share per unit of scale (100,000 rows).
const FILL_LIMIT_BASE: Duration = Duration::from_secs(60);
const FILL_LIMIT_PER_SCALE: Duration = Duration::from_secs(3);

/// Longer than any run; pgbench is ended, it does not end by itself.
const RUN_SECONDS: u32 = 7 * 24 * 3600;

/// How often a waiting caller looks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What to run, and against what.
#[derive(Debug, Clone)]
pub struct PgbenchConfig {
    /// Path of the program.
    pub program: PathBuf,
    /// The database to load.
    pub server: ServerUrl,
    /// Concurrent clients.
    pub clients: u32,
    /// pgbench's scale factor: 100,000 rows, about 15 MB, each.
    pub scale: u32,
    /// Cores that the program is bound to; `None`: those of this process.
    pub cores: Option<Cores>,
}

impl PgbenchConfig {
    /// Checks it without touching anything.
    ///
    /// # Errors
    /// [`Error::Config`]: no clients, or a scale below the number of clients, where pgbench would measure the contention
    /// of its own `pgbench_branches` rows (one per unit of scale, updated by every transaction).
    pub fn validate(&self) -> Result<(), Error> {
        if self.clients == 0 {
            return Err(Error::Config("the background load has no clients: ask for at least 1".to_owned()));
        }
        if self.scale < self.clients {
            return Err(Error::Config(format!(
                "pgbench with {} clients needs a scale of at least {}, not {}: below that it measures the contention of \
                 its own rows",
                self.clients, self.clients, self.scale
            )));
        }
        Ok(())
    }
}

/// pgbench's tables, filled.
#[derive(Debug)]
pub struct PreparedPgbench {
    config: PgbenchConfig,
    libpq: Libpq,
    version: String,
}

/// A running, or ended, pgbench. Dropping it ends the program; its tables stay until [`Pgbench::remove`], or until the
/// next [`Pgbench::prepare`] on that database.
pub struct Pgbench {
    config: PgbenchConfig,
    version: String,
    child: GuardedChild,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
    /// How it had ended by itself when it was to be stopped.
    early_end: Option<ExitStatus>,
}

/// What pgbench has said so far.
#[derive(Debug, Default)]
struct Heard {
    timeline: Timeline,
    last_lines: VecDeque<String>,
    /// Clients that gave up; pgbench goes on with the others.
    aborted_clients: u32,
}

/// Removes the tables of a background load that could not be started or ended in order; does nothing where there are none.
///
/// # Errors
/// [`Error::Database`].
pub async fn remove_leftovers(server: &ServerUrl) -> Result<(), Error> {
    own_schema::remove(server).await
}

impl Pgbench {
    /// Makes the schema [`SCHEMA`] and fills it with fresh tables (`pgbench -i`), whatever an earlier run of ours left
    /// there. No table outside that schema is touched.
    ///
    /// # Errors
    /// [`Error::Config`] as in [`PgbenchConfig::validate`]; [`Error::Foreign`]; [`Error::Database`]; [`Error::Start`];
    /// [`Error::Pgbench`] when it failed or took longer than a minute and 3 s per unit of scale.
    pub async fn prepare(config: PgbenchConfig) -> Result<PreparedPgbench, Error> {
        config.validate()?;
        let version = version(&config.program).await?;
        let libpq = Libpq::of(&config.server).map_err(|source| Error::Database {
            attempted: "read the address of the background load",
            server: config.server.redacted(),
            source,
        })?;
        own_schema::make(&config.server).await?;
        let spec = libpq.apply(ChildSpec::new(&config.program)).args([
            "--initialize",
            "--quiet",
            "--scale",
            &config.scale.to_string(),
        ]);
        let limit = FILL_LIMIT_BASE + FILL_LIMIT_PER_SCALE * config.scale;
        let (ended, lines) = run_to_end(spec, limit).await?;
        let trouble = match ended {
            Some(status) if status.success() => return Ok(PreparedPgbench { config, libpq, version }),
            Some(status) => format!("filling pgbench's tables on {} failed ({status})", config.server),
            None => format!("filling pgbench's tables on {} took longer than {limit:?} and was ended", config.server),
        };
        Err(Error::Pgbench { what: trouble, last_lines: last(lines) })
    }
}

impl PreparedPgbench {
    /// Starts the clients. Blocks for about a millisecond. Progress is timed on `clock` as it is read.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(self, clock: RunClock) -> Result<Pgbench, Error> {
        let PreparedPgbench { config, libpq, version } = self;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        // No vacuum at the start: the tables are fresh, and it would fall into the warm-up.
        let spec = libpq
            .apply(ChildSpec::new(&config.program))
            .cores(config.cores.clone())
            .args(["--no-vacuum", "--protocol=prepared", "--progress=1"])
            .args(["--client", &config.clients.to_string()])
            .args(["--jobs", &config.clients.min(cores).to_string()])
            .args(["--time", &RUN_SECONDS.to_string()])
            .stderr(Stdio::piped());
        let mut child = spawn_guarded(spec)?;
        let heard = Arc::new(Mutex::new(Heard { timeline: Timeline::from(clock.now_us()), ..Heard::default() }));
        let reader = child.take_stderr().and_then(|stderr| {
            let heard = Arc::clone(&heard);
            std::thread::Builder::new()
                .name("qbench-pgbench".to_owned())
                .spawn(move || listen(stderr, clock, &heard))
                .ok()
        });
        Ok(Pgbench { config, version, child, heard, reader, early_end: None })
    }

    /// Drops the tables without having run, with their schema.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn remove(self) -> Result<(), Error> {
        own_schema::remove(&self.config.server).await
    }
}

impl Pgbench {
    /// Its process id, for the accounting of roles.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Whether the program runs.
    pub fn is_running(&self) -> bool {
        self.child.try_wait().is_none()
    }

    /// Waits until it has reported its first second of transactions, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Pgbench`] when it ended or said nothing until then.
    pub async fn wait_until_running(&self, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        loop {
            if self.heard().timeline.has_transactions() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait() {
                return Err(self.trouble(format!("pgbench ended before its first report ({status})")));
            }
            if Instant::now() >= deadline {
                return Err(self.trouble(format!("pgbench reported no transaction within {limit:?}")));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Ends it, and waits until it has ended. It reports whole seconds only, so what it did since its last report is not
    /// known: called a second or more after the measured window, the report covers all of it. A second call does
    /// nothing.
    pub fn stop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        self.early_end = self.child.try_wait();
        self.child.kill(Signal::SIGTERM);
        if self.child.wait_timeout(Duration::from_secs(2)).is_none() {
            self.child.kill(Signal::SIGKILL);
            self.child.wait();
        }
        // Its output has ended with it.
        let _ = reader.join();
    }

    /// What it measured of itself between two instants of the run, in microseconds: transactions per second over the part
    /// that its reports cover, and the mean latency over the transactions of that part.
    ///
    /// # Errors
    /// [`Error::Pgbench`] when it ended by itself, when a client of it gave up (the load was not what was asked for), or
    /// when no report lies within the window.
    pub fn report(&self, measured_from_us: u64, measured_to_us: u64) -> Result<BackgroundLoad, Error> {
        let early_end = if self.reader.is_some() { self.child.try_wait() } else { self.early_end };
        if let Some(status) = early_end {
            return Err(self.trouble(format!("pgbench ended by itself during the run ({status})")));
        }
        let aborted = self.heard().aborted_clients;
        if aborted > 0 {
            return Err(self.trouble(format!("{aborted} of {} pgbench clients gave up", self.config.clients)));
        }
        let Some(window) = self.heard().timeline.window(measured_from_us, measured_to_us) else {
            return Err(self.trouble("pgbench reported nothing within the measured window".to_owned()));
        };
        Ok(BackgroundLoad {
            program: self.version.clone(),
            clients: self.config.clients,
            scale: self.config.scale,
            tps: window.tps,
            latency_mean_ms: window.latency_mean_ms,
            covered_s: window.covered_s,
        })
    }

    /// Stops it and drops its tables with their schema. Not needed on a private server, which goes as a whole.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn remove(mut self) -> Result<(), Error> {
        self.stop();
        own_schema::remove(&self.config.server).await
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self, what: String) -> Error {
        Error::Pgbench { what, last_lines: self.heard().last_lines.iter().cloned().collect() }
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads what pgbench says until it ends.
fn listen(stderr: ChildStderr, clock: RunClock, heard: &Mutex<Heard>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let at_us = clock.now_us();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = Progress::parse(&line) {
            heard.timeline.push(at_us, progress);
            continue;
        }
        if line.contains("client") && line.contains("aborted") {
            heard.aborted_clients += 1;
        }
        if heard.last_lines.len() == KEPT_LINES {
            heard.last_lines.pop_front();
        }
        heard.last_lines.push_back(line);
    }
}

/// `pgbench (PostgreSQL) 15.18`: the first three words of what it says to `--version`, without the packager's addition.
async fn version(program: &Path) -> Result<String, Error> {
    let spec = ChildSpec::new(program).arg("--version");
    let (ended, lines) = run_to_end(spec, FILL_LIMIT_BASE).await?;
    let words: Vec<&str> = lines.first().into_iter().flat_map(|line| line.split_whitespace()).take(3).collect();
    if ended.is_some_and(|status| status.success()) && words.len() == 3 {
        Ok(words.join(" "))
    } else {
        let what = format!("{} did not tell its version", program.display());
        Err(Error::Pgbench { what, last_lines: last(lines) })
    }
}

/// Runs a program to its end; `None` when it took longer than `limit` and was killed. Also returns what it printed on
/// both outputs. A caller that is dropped ends the program.
async fn run_to_end(spec: ChildSpec, limit: Duration) -> Result<(Option<ExitStatus>, Vec<String>), Error> {
    let deadline = Instant::now() + limit;
    let mut child = spawn_guarded(spec.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let readers = [child.take_stdout().map(read_lines), child.take_stderr().map(read_lines)];
    let ended = loop {
        match child.try_wait() {
            None if Instant::now() < deadline => tokio::time::sleep(LOOK_INTERVAL).await,
            None => {
                child.kill(Signal::SIGKILL);
                child.wait();
                break None;
            }
            ended => break ended,
        }
    };
    let lines = readers.into_iter().flatten().flat_map(|reader| reader.join().unwrap_or_default()).collect();
    Ok((ended, lines))
}

fn read_lines(output: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect())
}

/// The end of `lines`.
fn last(mut lines: Vec<String>) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(KEPT_LINES))
}
