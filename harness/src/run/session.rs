//! Carries out one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qbench_backends::EngineKind;
use qbench_backends::{Admin, Backend, Capabilities, ClientCounters, Description};
use qbench_scenarios::ServerState;
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::ServerDescription;
use qbench_schema::result::{BackgroundLoad, LoadMode, RunIdentity, RunResult, RunStatus};

use super::background::{self, BackgroundRun};
use super::servers::RunServers;
use super::{Progress, RunRequest, configuration, figures, files, floor, host, load, manifest, opening};
use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_driver::phases::{LoadRun, Observer};
use qbench_driver::record::RecordFiles;
use qbench_engines::background::PreparedPgbench;
use qbench_engines::monitor::{MonitorConfig, MonitorSummary, Monitors, Roles, ServerTarget};
use qbench_engines::services::drop_page_cache;
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_ground::pinning::Role;

/// Time between two rows of the monitors.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);

/// The user stopped the run while it was being prepared.
#[derive(Debug, thiserror::Error)]
#[error("interrupted before the load began")]
struct InterruptedEarly;

/// Carries out `request` and leaves its files. The verdict stands in the folder from the first moment on, as `running`,
/// and is replaced at the end, whatever happens: a run that breaks says so there.
///
/// # Errors
/// When the run could not be carried out; the verdict in the folder then says why, too.
pub async fn execute(
    request: &RunRequest,
    interrupt: Arc<AtomicBool>,
    progress: &mut dyn Progress,
) -> anyhow::Result<RunResult> {
    let files = RunFiles::new(&request.out, request.entry.id, &request.plan.scenario.id);
    // Before anything is started, written or removed: options, limits and the user's address are checked by opening.
    let mut identity = identify(request)?;
    files::refuse_to_overwrite(&files)?;
    let begun = RunResult::without_figures(identity.clone(), RunStatus::Running, "the run has not finished");
    files::write_json(&files.result(), &begun)?;
    let result = match carry_out(request, &files, &mut identity, &interrupt, progress).await {
        Ok(result) => result,
        Err(error) => {
            let status = match error.is::<InterruptedEarly>() {
                true => RunStatus::Interrupted,
                false => RunStatus::Failed,
            };
            let broken = RunResult::without_figures(identity, status, &format!("{error:#}"));
            files::write_json(&files.result(), &broken)?;
            return if status == RunStatus::Interrupted { Ok(broken) } else { Err(error) };
        }
    };
    files::write_json(&files.result(), &result)?;
    Ok(result)
}

/// What the run is, before anything of it is started. Opens the backend without connecting, which checks its options, the
/// limits of the load and the user's address.
///
/// # Errors
/// The backend's refusals, and [`qbench_ground::usage::Usage`] for a load that it cannot take.
pub fn identify(request: &RunRequest) -> anyhow::Result<RunIdentity> {
    let backend = opening::open(request, request.given_url(), &ClientCounters::default())?;
    let plan = &request.plan;
    let (configuration, configuration_hash) = configuration::describe(&request.all_settings());
    let now = jiff::Timestamp::now();
    Ok(RunIdentity {
        run_id: format!(
            "{}_{}_{}_{:x}",
            request.entry.id.replace(':', "-"),
            plan.scenario.id,
            now.strftime("%Y%m%dT%H%M%SZ"),
            std::process::id()
        ),
        backend: request.entry.id.to_owned(),
        engine: request.entry.engine.name().to_owned(),
        queue_type: request.entry.id.to_owned(),
        scenario: plan.scenario.id.clone(),
        profile: plan.profile.clone(),
        durability: request.durability,
        delivery: backend.capabilities().delivery,
        regime: plan.capacity.regime,
        utilisation: plan.capacity.utilisation,
        mode: if plan.workload.saturate { LoadMode::Saturation } else { LoadMode::OpenLoop },
        activity: plan.scenario.activity,
        host: host::name(),
        configuration_hash,
        configuration,
        variant: request.variant.clone(),
        block: request.block,
        started_at: now.to_string(),
        measured_s: plan.workload.duration.as_secs_f64(),
        offered_jobs_s: plan.workload.rate.get(),
    })
}

/// A run on its way: what every step of it needs.
struct Session<'a> {
    request: &'a RunRequest,
    files: &'a RunFiles,
    interrupt: &'a Arc<AtomicBool>,
    clock: RunClock,
    notes: Vec<String>,
}

impl Session<'_> {
    fn go_on(&self) -> Result<(), InterruptedEarly> {
        if self.interrupt.load(Ordering::Acquire) { Err(InterruptedEarly) } else { Ok(()) }
    }

    /// Trouble that changes no figure becomes a note.
    fn note_trouble<E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.notes.push(format!("{what}: {error}"));
        }
    }
}

/// Servers, and on them everything else; they are ended whatever happens.
async fn carry_out(
    request: &RunRequest,
    files: &RunFiles,
    identity: &mut RunIdentity,
    interrupt: &Arc<AtomicBool>,
    progress: &mut dyn Progress,
) -> anyhow::Result<RunResult> {
    progress.step("measuring the harness's own floor");
    let (ceiling_jobs_s, floor_note) = floor::measure(request).await;
    let mut session = Session { request, files, interrupt, clock: RunClock::start(), notes: Vec::new() };
    session.notes.extend(floor_note);
    session.go_on()?;
    progress.step("starting servers");
    let servers = RunServers::start(request).await?;
    let outcome = on_servers(&mut session, &servers, identity, progress).await;
    progress.step("stopping");
    let stopped = servers.stop().await;
    session.note_trouble("a private server made trouble when it was stopped", stopped);
    let (capabilities, measured) = outcome?;
    Ok(figures::conclude(
        identity.clone(),
        figures::Evidences {
            in_process: !request.entry.engine.has_server(),
            capabilities: &capabilities,
            ceiling_jobs_s,
            notes: session.notes,
            measured,
        },
    ))
}

/// The backend's objects, and with them everything else; they are removed whatever happens.
async fn on_servers(
    session: &mut Session<'_>,
    servers: &RunServers,
    identity: &mut RunIdentity,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Capabilities, Measured)> {
    session.go_on()?;
    let request = session.request;
    let counters = ClientCounters::default();
    let backend = opening::open(request, servers.url_under_test(request.entry.engine), &counters)?;
    let mut admin = backend.admin().await?;
    admin.describe().await?;
    progress.step("creating tables");
    admin.setup().await?;
    let capabilities = backend.capabilities();
    let description = admin.describe().await;
    let outcome = match description {
        Ok(description) => {
            let setting = Setting { servers, backend, counters, description, background: None };
            with_tables(session, setting, admin.as_mut(), identity, progress).await
        }
        Err(error) => Err(error.into()),
    };
    let removed = admin.teardown().await;
    session.note_trouble("the run's objects could not be removed", removed);
    Ok((capabilities, outcome?))
}

/// The background load, and beside it everything else; it is removed whatever happens.
async fn with_tables(
    session: &mut Session<'_>,
    mut setting: Setting<'_>,
    admin: &mut dyn Admin,
    identity: &mut RunIdentity,
    progress: &mut dyn Progress,
) -> anyhow::Result<Measured> {
    session.go_on()?;
    let request = session.request;
    let servers = setting.servers;
    let description = &setting.description;
    session.notes.extend(description.notes.iter().cloned());
    identity.engine.clone_from(&description.engine);
    identity.queue_type = description.queue_type.to_owned();
    identity.durability = description.durability;
    if description.durability != request.durability {
        session.notes.push(format!(
            "durability {:?} was asked for, and the live server gives {:?}",
            request.durability, description.durability
        ));
    }
    let outcome = match &request.plan.scenario.background {
        None => drive(session, &mut setting, admin, identity, progress).await,
        Some(size) => {
            progress.step("preparing pgbench");
            match background::prepare(servers, *size, request.pinning.for_child(Role::Background)).await {
                Ok(prepared) => {
                    setting.background = Some(prepared);
                    drive(session, &mut setting, admin, identity, progress).await
                }
                Err(error) => Err(error),
            }
        }
    };
    if outcome.is_err() && request.plan.scenario.background.is_some() {
        let removed = background::remove_leftovers(servers).await;
        session.note_trouble("the tables of the background load could not be removed", removed);
    }
    outcome
}

/// What stands when the load begins.
struct Setting<'a> {
    servers: &'a RunServers,
    backend: Arc<dyn Backend>,
    counters: ClientCounters,
    description: Description,
    background: Option<PreparedPgbench>,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) incidents: Arc<Incidents>,
    pub(super) load: LoadOutcome,
    pub(super) monitors: MonitorSummary,
    /// For scenarios with background load: its report, or why there is none.
    pub(super) background: Option<Result<BackgroundLoad, String>>,
}

/// Manifest, monitors and the load itself.
async fn drive(
    session: &mut Session<'_>,
    setting: &mut Setting<'_>,
    admin: &mut dyn Admin,
    identity: &RunIdentity,
    progress: &mut dyn Progress,
) -> anyhow::Result<Measured> {
    session.go_on()?;
    let (request, clock, files) = (session.request, session.clock, session.files);
    let capabilities = setting.backend.capabilities();
    let manifest = manifest::build(
        request,
        &identity.run_id,
        &capabilities,
        describe_servers(request, setting.servers, &setting.description),
        &setting.servers.data_dir(),
    );
    files::write_json(&files.manifest(), &manifest)?;

    if request.plan.scenario.server == ServerState::Fresh {
        session.notes.extend(cool_down(request, setting.servers));
    }
    progress.step("opening connections");
    let background = match setting.background.take() {
        None => None,
        Some(prepared) => Some(BackgroundRun::start(prepared, clock).await?),
    };
    let phase = PhaseCell::default();
    let (mut roles, role_notes) = roles(request, setting.servers, background.as_ref());
    roles.adapter = setting.backend.works_in_processes();
    session.notes.extend(role_notes);
    let monitors = Monitors::start(MonitorConfig {
        clock,
        phase: phase.clone(),
        files: files.clone(),
        roles,
        target: target(request, setting.servers, &setting.description),
        admin: Some(setting.backend.admin().await?),
        interval: MONITOR_INTERVAL,
    });

    let plan = load::plan_of(&request.plan, &capabilities);
    let incidents = Arc::new(Incidents::default());
    let run = LoadRun {
        plan: &plan,
        threads: request.threads(),
        backend: Arc::clone(&setting.backend),
        counters: setting.counters.clone(),
        clock,
        phase,
        incidents: Arc::clone(&incidents),
        interrupt: Arc::clone(session.interrupt),
    };
    let mut observer = RunObserver { monitors: &monitors, progress: &mut *progress };
    let (metrics, latency_log) = (files.metrics(), files.latency_log());
    let records = RecordFiles { metrics: Some(&metrics), latency_log: Some(&latency_log) };
    let outcome = run.drive(admin, records, &mut observer).await;
    // First, so that the end of the background load is not noticed as a process that vanished.
    let monitors = monitors.finish();
    let background = match background {
        None => None,
        Some(background) => {
            let window_us =
                outcome.as_ref().ok().and_then(|load| Some((load.measured_start_us?, load.measured_end_us)));
            Some(background.finish(window_us).await)
        }
    };
    session.notes.extend(setting.servers.that_died());
    Ok(Measured { incidents, load: outcome?, monitors, background })
}

/// Makes a cold start cold, as far as the system lets us; says in a sentence how cold it is.
fn cool_down(request: &RunRequest, servers: &RunServers) -> Vec<String> {
    if !qbench_engines::of(request.entry.engine).needs_a_place() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    if !servers.under_test_is_private(request.entry.engine) {
        notes.push("cold start: the server ran before, so its own caches may be warm".to_owned());
    }
    notes.push(match drop_page_cache() {
        Ok(()) => "cold start: the host's page cache was dropped".to_owned(),
        Err(reason) => format!("cold start: the host's page cache was not dropped: {reason}"),
    });
    notes
}

fn roles(request: &RunRequest, servers: &RunServers, background: Option<&BackgroundRun>) -> (Roles, Vec<String>) {
    let mut roles = Roles::default();
    let mut notes = Vec::new();
    let mut add = |list: &mut Vec<u32>, pid: Result<u32, String>| match pid {
        Ok(pid) => list.push(pid),
        Err(reason) => notes.push(reason),
    };
    if request.entry.engine.has_server()
        && let Some(pid) = servers.pid_under_test(request.entry.engine)
    {
        add(&mut roles.server, pid);
    }
    if let Some(background) = background {
        add(&mut roles.background, Ok(background.pid()));
        // On a host whose queue is elsewhere, PostgreSQL only serves the background load.
        if request.entry.engine != EngineKind::Postgres
            && let Some(pid) = servers.pid_under_test(EngineKind::Postgres)
        {
            add(&mut roles.background, pid);
        }
    }
    (roles, notes)
}

fn target(request: &RunRequest, servers: &RunServers, description: &Description) -> Option<ServerTarget> {
    let engine = qbench_engines::of(request.entry.engine);
    let url = servers.url_under_test(engine.kind())?;
    Some(ServerTarget { engine, url, objects: description.objects.clone() })
}

fn describe_servers(request: &RunRequest, servers: &RunServers, description: &Description) -> Vec<ServerDescription> {
    let engine = request.entry.engine;
    let mut described = Vec::new();
    if qbench_engines::of(engine).needs_a_place() {
        let private = servers.under_test_is_private(engine);
        described.push(manifest::server("server", description, private, servers.address(engine)));
    }
    if engine != EngineKind::Postgres && request.plan.scenario.background.is_some() {
        described.extend(servers.describe_background());
    }
    described
}

/// Tells monitors and user how far the load is.
struct RunObserver<'a> {
    monitors: &'a Monitors,
    progress: &'a mut dyn Progress,
}

impl Observer for RunObserver<'_> {
    fn progress(&mut self, phase: RunPhase, done: Duration, total: Duration, backlog: u64) {
        self.progress.load(phase, done.as_secs_f64(), total.as_secs_f64(), backlog);
    }

    fn measured_start(&mut self) {
        self.monitors.measured_start();
    }

    fn measured_end(&mut self) {
        self.monitors.measured_end();
    }
}
