//! The steps of one run, each within the one before: what a step sets up it takes down again, whatever happens within.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qbench_backends::{Admin, Backend, Capabilities, ClientCounters, Description, Wake};
use qbench_driver::incidents::Incidents;
use qbench_driver::phases::{LoadRun, Observer};
use qbench_driver::record::RecordFiles;
use qbench_engines::background::PreparedPgbench;
use qbench_engines::monitor::{MonitorConfig, Monitors, RowsTo};
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_ground::pinning::Role;
use qbench_scenarios::ServerState;
use qbench_schema::files::RunFiles;
use qbench_schema::load::Tuning;
use qbench_schema::result::{RoundTrip, RoundTrips, RunIdentity, RunResult, ServerHost, WireFloor};

use super::apart::Apart;
use super::background::{self, BackgroundRun};
use super::measured::Measured;
use super::progress::Progress;
use super::request::RunRequest;
use super::servers::RunServers;
use super::{figures, files, floor, hiccups, load, manifest, opening, round_trip};

/// Time between two rows of the monitors.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);

/// The user stopped the run while it was being prepared.
#[derive(Debug, thiserror::Error)]
#[error("interrupted before the load began")]
pub(super) struct InterruptedEarly;

/// A run on its way: what every step of it needs.
struct RunContext<'a> {
    request: &'a RunRequest,
    files: &'a RunFiles,
    interrupt: &'a Arc<AtomicBool>,
    /// What the run is, corrected by what the live server says.
    identity: &'a mut RunIdentity,
    progress: &'a mut dyn Progress,
    clock: RunClock,
    wire_floor: Option<WireFloor>,
    round_trips: RoundTrips,
    /// The host of the server, where an observer is there.
    server_host: Option<ServerHost>,
    notes: Vec<String>,
}

impl RunContext<'_> {
    /// Begins a step, unless the user wants no more of them.
    fn begin(&mut self, step: &str) -> Result<(), InterruptedEarly> {
        if self.interrupt.load(Ordering::Acquire) {
            return Err(InterruptedEarly);
        }
        self.progress.step(step);
        Ok(())
    }

    /// Trouble that changes no figure becomes a note.
    fn note_trouble<E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.notes.push(format!("{what}: {error}"));
        }
    }
}

/// The queue under test, ready for its load.
struct Queue<'a> {
    servers: &'a RunServers,
    backend: Arc<dyn Backend>,
    admin: Box<dyn Admin>,
    counters: ClientCounters,
    capabilities: Capabilities,
    wake: Wake,
    description: Description,
}

/// All steps, and the verdict. `identity` then says what the live server said.
///
/// # Errors
/// When a step failed; [`InterruptedEarly`] when the user stopped the run before its load.
pub(super) async fn carry_out(
    request: &RunRequest,
    files: &RunFiles,
    identity: &mut RunIdentity,
    interrupt: &Arc<AtomicBool>,
    progress: &mut dyn Progress,
) -> anyhow::Result<RunResult> {
    progress.step("measuring the harness's own floor");
    let (ceiling_jobs_s, floor_note) = floor::measure(request).await;
    let notes = floor_note.into_iter().collect();
    let mut run = RunContext {
        request,
        files,
        interrupt,
        identity,
        progress,
        clock: RunClock::start(),
        wire_floor: None,
        round_trips: RoundTrips::default(),
        server_host: None,
        notes,
    };
    let (capabilities, measured) = with_servers(&mut run).await?;
    Ok(figures::conclude(
        run.identity.clone(),
        figures::Evidences {
            in_process: !request.entry.engine.has_server,
            capabilities: &capabilities,
            ceiling_jobs_s,
            wire_floor: run.wire_floor,
            round_trips: run.round_trips,
            server_host: run.server_host,
            notes: run.notes,
            measured,
        },
    ))
}

/// Starts the servers, and ends them.
async fn with_servers(run: &mut RunContext<'_>) -> anyhow::Result<(Capabilities, Measured)> {
    run.begin("starting servers")?;
    let servers = RunServers::start(run.request).await?;
    if let Some(apart) = servers.apart() {
        let host = apart.describe(run.request);
        run.identity.topology = run.request.with_delay(apart.topology(run.request));
        run.identity.server_host_id.clone_from(&host.host_id);
        run.server_host = Some(host);
        run.notes.extend(apart.note_on_program(&run.request.revision));
    }
    let outcome = with_queue(run, &servers).await;
    if let (Some(apart), Some(host)) = (servers.apart(), &mut run.server_host) {
        let looked = apart.look_at_clock_again(host).await;
        run.note_trouble("the clock of the server's host could not be read again", looked);
    }
    run.progress.step("stopping");
    let stopped = servers.stop().await;
    run.note_trouble("a private server made trouble when it was stopped", stopped);
    outcome
}

/// Makes the backend's objects on the server, and removes them.
async fn with_queue(run: &mut RunContext<'_>, servers: &RunServers) -> anyhow::Result<(Capabilities, Measured)> {
    run.begin("creating tables")?;
    let counters = ClientCounters::default();
    let (capabilities, wake) = opening::check(run.request)?;
    let backend = opening::open_as(run.request, servers.url(), wake, &counters)?;
    let mut admin = backend.admin().await?;
    admin.describe().await?;
    admin.setup().await?;
    let described = admin.describe().await;
    let mut queue = match described {
        Ok(description) => {
            Queue { servers, backend, admin, counters, capabilities: capabilities.clone(), wake, description }
        }
        Err(error) => {
            let removed = admin.teardown().await;
            run.note_trouble("the run's objects could not be removed", removed);
            return Err(error.into());
        }
    };
    match floor::measure_wire(run.request, &queue.backend).await {
        Ok(wire_floor) => run.wire_floor = wire_floor,
        Err(error) => run.notes.push(format!("the floor of the wire could not be measured: {error:#}")),
    }
    run.round_trips.before = look_at_round_trip(run, &queue.backend).await;
    let outcome = with_background(run, &mut queue).await;
    // A server that is gone would be waited for.
    if outcome.as_ref().is_ok_and(|measured| measured.incidents.fatal().is_none()) {
        run.round_trips.after = look_at_round_trip(run, &queue.backend).await;
    }
    let removed = queue.admin.teardown().await;
    run.note_trouble("the run's objects could not be removed", removed);
    Ok((capabilities, outcome?))
}

/// How far away the server is now; where that cannot be measured, a note.
async fn look_at_round_trip(run: &mut RunContext<'_>, backend: &Arc<dyn Backend>) -> Option<RoundTrip> {
    // What the library behind an adapter can be asked for is not known, and starting it takes long.
    if !run.request.entry.engine.has_server || backend.works_in_processes() {
        return None;
    }
    match round_trip::measure(backend).await {
        Ok(round_trip) => round_trip,
        Err(error) => {
            run.notes.push(format!("the round trip to the server could not be measured: {error}"));
            None
        }
    }
}

/// Prepares the scenario's background load, where there is one, and removes what an outcome in disorder left of it.
async fn with_background(run: &mut RunContext<'_>, queue: &mut Queue<'_>) -> anyhow::Result<Measured> {
    correct_identity(run, &queue.description);
    let request = run.request;
    let Some(size) = request.plan.scenario.background else { return drive(run, queue, None).await };
    run.begin("preparing pgbench")?;
    let prepared = background::prepare(queue.servers, size, request.pinning.for_child(Role::Background)).await;
    let outcome = match prepared {
        Ok(prepared) => drive(run, queue, Some(prepared)).await,
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        let removed = background::remove_leftovers(queue.servers).await;
        run.note_trouble("the tables of the background load could not be removed", removed);
    }
    outcome
}

/// What the live server says counts.
fn correct_identity(run: &mut RunContext<'_>, description: &Description) {
    run.notes.extend(description.notes.iter().cloned());
    run.identity.engine.clone_from(&description.engine);
    run.identity.engine_version.clone_from(&description.version);
    run.identity.server_settings.clone_from(&description.settings);
    run.identity.queue_type = description.queue_type.to_owned();
    run.identity.durability = description.durability;
    if run.request.given_url().is_some() && run.request.plan.workload.tuning == Tuning::Tuned {
        let changed = run.request.entry.engine.tuned_objects.unwrap_or("nothing");
        run.notes.push(format!("tuned: {changed}; the server was given, and nothing of it is changed"));
    }
    let asked = run.request.durability;
    if description.durability != asked {
        run.notes.push(format!(
            "durability {asked:?} was asked for, and the live server gives {:?}",
            description.durability
        ));
    }
}

/// Manifest, monitors and the load itself.
async fn drive(
    run: &mut RunContext<'_>,
    queue: &mut Queue<'_>,
    background: Option<PreparedPgbench>,
) -> anyhow::Result<Measured> {
    run.begin("opening connections")?;
    let (request, clock, files, servers) = (run.request, run.clock, run.files, queue.servers);
    let described = servers.describe(&queue.description);
    let manifest = manifest::build(request, &run.identity.run_id, &queue.capabilities, described, servers);
    files::write_json(&files.manifest(), &manifest)?;

    if request.plan.scenario.server == ServerState::Fresh {
        run.notes.extend(servers.cool_down().await);
    }
    let background = match background {
        None => None,
        Some(prepared) => Some(BackgroundRun::start(prepared, clock).await?),
    };
    let phase = PhaseCell::default();
    let (mut roles, role_notes) = servers.roles(background.as_ref().map(BackgroundRun::pid));
    roles.adapter = queue.backend.works_in_processes();
    run.notes.extend(role_notes);
    let monitors = Monitors::start(MonitorConfig {
        clock,
        phase: phase.clone(),
        rows: RowsTo::Files(files.clone()),
        roles,
        target: servers.target(&queue.description.objects),
        admin: Some(queue.backend.admin().await?),
        interval: MONITOR_INTERVAL,
        meter: Some(hiccups::meter_program()),
    });

    if let Some(apart) = servers.apart() {
        apart.watch(request, queue.wake, &queue.description, files, (clock, MONITOR_INTERVAL)).await?;
    }

    let plan = load::plan_of(&request.plan, request.block, &queue.capabilities);
    let incidents = Arc::new(Incidents::default());
    let load_run = LoadRun {
        plan: &plan,
        threads: request.threads(),
        backend: Arc::clone(&queue.backend),
        capabilities: &queue.capabilities,
        counters: queue.counters.clone(),
        clock,
        phase,
        incidents: Arc::clone(&incidents),
        interrupt: Arc::clone(run.interrupt),
    };
    let mut observer = RunObserver {
        monitors: &monitors,
        apart: servers.apart(),
        told: RunPhase::Setup,
        incidents: &incidents,
        progress: &mut *run.progress,
    };
    let (metrics, latency_log) = (files.metrics(), files.latency_log());
    let records = RecordFiles { metrics: Some(&metrics), latency_log: Some(&latency_log) };
    let outcome = load_run.drive(queue.admin.as_mut(), records, &mut observer).await;
    // First, so that the end of the background load is not noticed as a process that vanished.
    let mut monitors = monitors.finish();
    if let (Some(apart), Some(host)) = (servers.apart(), &mut run.server_host) {
        monitors = apart.unwatch(monitors, host).await;
    }
    let background = match background {
        None => None,
        Some(background) => {
            let window_us =
                outcome.as_ref().ok().and_then(|load| Some((load.measured_start_us?, load.measured_end_us)));
            Some(background.finish(window_us).await)
        }
    };
    run.notes.extend(servers.that_died());
    Ok(Measured { incidents, load: outcome?, monitors, background })
}

/// Tells monitors, the server's host and the user how far the load is.
struct RunObserver<'a> {
    monitors: &'a Monitors,
    apart: Option<&'a Apart>,
    /// The phase that the server's host knows of.
    told: RunPhase,
    incidents: &'a Incidents,
    progress: &'a mut dyn Progress,
}

impl Observer for RunObserver<'_> {
    fn progress(&mut self, phase: RunPhase, done: Duration, total: Duration, backlog: u64) {
        if let Some(apart) = self.apart {
            if self.told != phase {
                self.told = phase;
                apart.host().enter(phase);
            }
            if let Some(reason) = apart.lost() {
                self.incidents.fail(reason);
            }
        }
        self.progress.load(phase, done.as_secs_f64(), total.as_secs_f64(), backlog);
    }

    fn measured_start(&mut self) {
        if let Some(apart) = self.apart {
            apart.host().measured_start();
        }
        self.monitors.measured_start();
    }

    fn measured_end(&mut self) {
        if let Some(apart) = self.apart {
            apart.host().measured_end();
        }
        self.monitors.measured_end();
    }
}
