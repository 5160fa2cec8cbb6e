//! What a run costs: samples of the host, of the roles and of the server, once a second, on the run's clock.
//!
//! Monitors watch; they never take a run down. What they cannot do becomes a sentence in [`MonitorSummary::notes`], and
//! each goes on without the others. They live on one thread of their own with a runtime of its own, so that neither
//! their work nor their waiting disturbs the measured one. The meters of hiccups ([`hiccups`]) are threads and a process of
//! their own.
//!
//! What is asked of a server stands in its product's room; [`server`] says what the monitors ask of that.

mod book;
mod cpu;
mod depth;
mod footprint;
pub mod hiccups;
mod host;
mod notes;
mod roles;
pub(crate) mod rows;
pub mod server;
mod system;
mod ticks;
pub(crate) mod totals;
pub mod window;

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use qbench_backends::{Admin, ServerUrl};
use qbench_schema::result::CpuPct;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::engine::Engine;
use crate::helper::HelperProgram;
use qbench_ground::clock::{PhaseCell, RunClock};

pub use cpu::CpuSeconds;
pub use hiccups::{HiccupMeters, Hiccups};
pub use host::HostCpu;
pub use roles::Roles;
pub use rows::{RowsOf, RowsTo};
pub use window::WindowCost;

use book::{RoleBook, Snapshot};
use cpu::CpuSpan;
use depth::DepthProbe;
use notes::Notes;
use rows::RowFile;
use server::{SamplerContext, ServerFindings};
use system::{PeakMemory, SystemMonitor};
use ticks::Ticks;
use window::{Edge, WindowCounters, WindowProbe};

/// The least share of the host's busy time that the roles should have (METHODOLOGY M4), in percent. Below it a note says
/// where the rest went.
const ENOUGH_OF_HOST_PCT: f64 = 95.0;

/// Less busy time than this is not worth a note: the kernel tells idle time in ticks of 10 ms per core.
const WORTH_DIVIDING_S: f64 = 0.5;

/// The server under test.
#[derive(Clone)]
pub struct ServerTarget {
    /// Its product.
    pub engine: &'static dyn Engine,
    /// Where it is.
    pub url: ServerUrl,
    /// What the backend keeps there ([`qbench_backends::Description::objects`]).
    pub objects: Vec<String>,
    /// Whether a background load works on it, too, where there is one.
    pub serves_background: bool,
}

/// What to watch, and where to write it.
pub struct MonitorConfig {
    /// The run's clock; every `at_us` comes from it.
    pub clock: RunClock,
    /// The phase that the run is in, for the rows.
    pub phase: PhaseCell,
    /// Where the rows go.
    pub rows: RowsTo,
    /// Processes to account for.
    pub roles: Roles,
    /// The server to ask; `None` where the queue lives in this process.
    pub target: Option<ServerTarget>,
    /// Control side of the backend with a connection of its own, for the backlog columns of a server that does not tell it. It is used on
    /// the monitors' thread, and the runtime that opened it must go on running until [`Monitors::finish`].
    pub admin: Option<Box<dyn Admin>>,
    /// Time between two rows; a second in every run.
    pub interval: Duration,
    /// The meter of hiccups that is a process of its own; without it only the thread's figures are there.
    pub meter: Option<HelperProgram>,
}

/// What the monitors say about a run. Everything of the measured window comes from two exact snapshots at its ends
/// ([`Monitors::measured_start`], [`Monitors::measured_end`]), not from averaging rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MonitorSummary {
    /// Mean CPU over the measured window.
    pub cpu_pct: CpuPct,
    /// CPU time used within the measured window.
    pub cpu_s: CpuSeconds,
    /// CPU of all roles together as a share of the host's busy time in the measured window. Below 95 a note says where the
    /// rest went.
    pub cpu_roles_of_host_pct: Option<f64>,
    /// What the measured window cost beside CPU.
    pub cost: WindowCost,
    /// Largest memory of the server in any row, pages that its processes share counted once.
    pub rss_server_bytes: Option<u64>,
    /// Largest memory of the harness in any row.
    pub rss_harness_bytes: Option<u64>,
    /// Deadlocks that the server counted while it was watched; absent for products without them and where it never answered.
    pub deadlocks: Option<u64>,
    /// Share of the cores' time in the measured window that the hypervisor took; 100 is all cores.
    pub steal_pct: Option<f64>,
    /// How late the host and the harness woke up in the measured window.
    pub hiccups: Hiccups,
    /// What could not be watched, one sentence each.
    pub notes: Vec<String>,
}

/// The running monitors of one run. Dropping them stops them; every row written so far is in its file.
pub struct Monitors {
    book: RoleBook,
    notes: Notes,
    meters: Option<HiccupMeters>,
    window: Mutex<Window>,
    edges: mpsc::UnboundedSender<Edge>,
    /// Whether the background load works on the server under test.
    shared: bool,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Findings>>,
}

#[derive(Default)]
struct Window {
    start: Option<Snapshot>,
    end: Option<Snapshot>,
}

/// What the thread of the monitors found out by its end.
#[derive(Default)]
struct Findings {
    peak: PeakMemory,
    server: ServerFindings,
    counters: WindowCounters,
}

impl Monitors {
    /// Starts watching. Never fails: what does not work becomes a note.
    pub fn start(config: MonitorConfig) -> Self {
        let notes = Notes::default();
        let meters = HiccupMeters::start(config.meter.clone());
        let book = RoleBook::new(config.clock, &config.roles, &meters, &notes);
        let serves_both = config.target.as_ref().is_some_and(|target| target.serves_background);
        let shared = serves_both && !config.roles.background.is_empty();
        let (stop, stopped) = watch::channel(false);
        let (edges, marked) = mpsc::unbounded_channel();
        let thread = {
            let (book, notes) = (book.clone(), notes.clone());
            std::thread::Builder::new()
                .name("qbench-monitor".to_owned())
                .spawn(move || watch_all(config, book, marked, &notes, &stopped))
        };
        let thread = thread.map_err(|error| notes.add("start the thread of the monitors", error)).ok();
        Monitors { book, notes, meters: Some(meters), window: Mutex::default(), edges, shared, stop, thread }
    }

    /// Marks the start of the measured window. Synchronous; takes a few milliseconds at most, so the driver calls it
    /// just before the first measured arrival, from a thread that paces nothing. The server is asked for its counters at
    /// the same time, by the monitors' thread.
    pub fn measured_start(&self) {
        self.mark(Edge::Start);
    }

    /// Marks the end of the measured window; costs the same.
    pub fn measured_end(&self) {
        self.mark(Edge::End);
    }

    fn mark(&self, edge: Edge) {
        // Without the thread there is nobody to ask the server, which a note says already.
        let _ = self.edges.send(edge);
        // What this costs lies outside the window of the meters.
        if edge == Edge::End {
            self.meters.iter().for_each(HiccupMeters::end);
        }
        let snapshot = self.book.snapshot();
        match edge {
            Edge::Start => self.window().start = Some(snapshot),
            Edge::End => self.window().end = Some(snapshot),
        }
        if edge == Edge::Start {
            self.meters.iter().for_each(HiccupMeters::begin);
        }
    }

    /// Takes the last samples, stops, and sums up. A measured window that was never closed ends here; one that was never
    /// opened leaves its figures empty. Blocks, for some milliseconds as a rule and for some seconds when a server has
    /// stopped answering: not for a thread of the measured runtime while it still has work.
    pub fn finish(mut self) -> MonitorSummary {
        if self.window().start.is_some() && self.window().end.is_none() {
            self.measured_end();
        }
        let findings = self.stop_and_join();
        let hiccups = self.meters.take().map(HiccupMeters::finish).unwrap_or_default();
        let window = self.window();
        let mut summary = MonitorSummary {
            rss_server_bytes: findings.peak.server_bytes,
            rss_harness_bytes: findings.peak.harness_bytes,
            deadlocks: findings.server.deadlocks,
            ..MonitorSummary::default()
        };
        if let (Some(start), Some(end)) = (&window.start, &window.end) {
            let span = CpuSpan::between(&start.cpu, &end.cpu);
            summary.cpu_s = span.cpu_s;
            summary.cpu_pct = CpuPct {
                host: span.pct_of_a_core(span.cpu_s.host),
                server: span.pct_of_a_core(span.cpu_s.server),
                harness: span.pct_of_a_core(span.cpu_s.harness),
                meter: span.pct_of_a_core(span.cpu_s.meter),
                adapter: span.pct_of_a_core(span.cpu_s.adapter),
                background: span.pct_of_a_core(span.cpu_s.background),
                kernel: span.pct_of_a_core(span.cpu_s.of_kernel()),
            };
            summary.steal_pct = (span.all_s > 0.0).then(|| 100.0 * span.steal_s / span.all_s);
            summary.cpu_roles_of_host_pct = span.cpu_s.roles_of_host_pct();
            summary.cost =
                WindowCost::between((start, end), &findings.counters, &findings.server.log, self.shared, &self.notes);
            let lacking = summary.cpu_roles_of_host_pct.is_some_and(|share| share < ENOUGH_OF_HOST_PCT);
            if lacking && span.cpu_s.host.is_some_and(|host_s| host_s >= WORTH_DIVIDING_S) {
                summary.notes.extend(span.cpu_s.remainder());
            }
        }
        summary.notes.extend(self.notes.sentences());
        summary.notes.extend(hiccups.notes.iter().cloned());
        summary.hiccups = hiccups;
        summary
    }

    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_and_join(&mut self) -> Findings {
        self.stop.send_replace(true);
        let Some(thread) = self.thread.take() else { return Findings::default() };
        thread.join().unwrap_or_else(|_| {
            self.notes.add("run the monitors", "their thread panicked; its message stands in the log");
            Findings::default()
        })
    }
}

impl Drop for Monitors {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

/// The thread of the monitors.
fn watch_all(
    config: MonitorConfig,
    book: RoleBook,
    marked: mpsc::UnboundedReceiver<Edge>,
    notes: &Notes,
    stopped: &watch::Receiver<bool>,
) -> Findings {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            notes.add("start the runtime of the monitors", error);
            return Findings::default();
        }
    };
    let MonitorConfig { clock, phase, rows, target, admin, interval, roles: _, meter: _ } = config;
    let ticks = || Ticks::new(clock, interval, stopped.clone());
    let findings = runtime.block_on(async {
        let reader = target.as_ref().and_then(|server| server.engine.window_reader(&server.url, &server.objects));
        let counters = tokio::spawn(WindowProbe::new(clock, reader, marked, notes).run(stopped.clone()));
        let system = SystemMonitor::new(book.clone(), phase, &rows, notes).run(ticks());
        let system = tokio::spawn(system);
        let sampler = target.and_then(|ServerTarget { engine, url, objects, .. }| {
            let file = RowFile::create(&rows, RowsOf::Server, engine.statistics()?, notes);
            let depth = DepthProbe::new(admin, notes);
            engine.sampler(SamplerContext { clock, url, objects, depth, book, notes: notes.clone(), file })
        });
        let ticks = ticks();
        let server = tokio::spawn(async move {
            match sampler {
                Some(sampler) => server::run(sampler, ticks).await,
                None => ServerFindings::default(),
            }
        });
        // A task that panicked must not take the other ones' findings along.
        let (system, server, counters) = tokio::join!(system, server, counters);
        let peak = system.map_err(|error| notes.add("run the monitor of the host", error)).unwrap_or_default();
        let server = server.map_err(|error| notes.add("run the monitor of the server", error)).unwrap_or_default();
        let counters = counters.map_err(|error| notes.add("run the probe of the window", error)).unwrap_or_default();
        Findings { peak, server, counters }
    });
    // A backlog question that is still open is dropped here instead of being waited for.
    runtime.shutdown_background();
    findings
}
