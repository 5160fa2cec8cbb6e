//! Carries out one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qbench_backends::registry::EngineKind;
use qbench_backends::{Admin, Backend, Description};
use qbench_scenarios::ServerState;
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::ServerDescription;
use qbench_schema::result::{Activity, LoadMode, RunIdentity, RunResult, RunStatus};

use super::background::{self, BackgroundRun};
use super::servers::RunServers;
use super::{Progress, RunRequest, figures, files, manifest, opening};
use crate::clock::{PhaseCell, RunClock, RunPhase};
use crate::driver::incidents::Incidents;
use crate::driver::phases::{LoadRun, Observer};
use crate::monitor::{MonitorConfig, Monitors, Roles, ServerTarget};
use crate::services::drop_page_cache;

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
    // Before anything is started or written: options, limits and the user's address are checked by opening.
    let unconnected = opening::open(request, request.given_url())?;
    let mut identity = identify(request, unconnected.as_ref());
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

fn identify(request: &RunRequest, backend: &dyn Backend) -> RunIdentity {
    let plan = &request.plan;
    let now = jiff::Timestamp::now();
    RunIdentity {
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
        mode: LoadMode::OpenLoop,
        activity: Activity::Both,
        host: super::host::name(),
        configuration_hash: String::new(),
        configuration: String::new(),
        block: request.block,
        started_at: now.to_string(),
        measured_s: plan.workload.duration.as_secs_f64(),
        offered_jobs_s: plan.workload.rate.get(),
    }
}

async fn carry_out(
    request: &RunRequest,
    files: &RunFiles,
    identity: &mut RunIdentity,
    interrupt: &Arc<AtomicBool>,
    progress: &mut dyn Progress,
) -> anyhow::Result<RunResult> {
    let go_on = || if interrupt.load(Ordering::Acquire) { Err(InterruptedEarly) } else { Ok(()) };
    let clock = RunClock::start();
    let mut notes = Vec::new();

    progress.step("starting servers");
    let servers = RunServers::start(request).await?;
    go_on()?;
    let backend = opening::open(request, servers.url_under_test(request.entry.engine))?;
    let mut admin = backend.admin().await?;
    admin.describe().await?;
    progress.step("creating tables");
    admin.setup().await?;
    go_on()?;
    let description = admin.describe().await?;
    identity.engine.clone_from(&description.engine);
    identity.queue_type = description.queue_type.to_owned();
    identity.durability = description.durability;
    if description.durability != request.durability {
        notes.push(format!(
            "durability {:?} was asked for, and the live server gives {:?}",
            request.durability, description.durability
        ));
    }

    let background = match &request.plan.scenario.background {
        None => None,
        Some(pgbench) => {
            progress.step("preparing pgbench");
            Some(background::prepare(&servers, *pgbench).await?)
        }
    };
    go_on()?;
    let manifest = manifest::build(
        request,
        &identity.run_id,
        &backend.capabilities(),
        describe_servers(request, &servers, &description),
        &servers.data_dir(),
    );
    files::write_json(&files.manifest(), &manifest)?;

    if request.plan.scenario.server == ServerState::Fresh {
        notes.extend(cool_down(request, &servers));
    }
    progress.step("opening connections");
    let background = match background {
        None => None,
        Some(prepared) => Some(BackgroundRun::start(prepared, clock).await?),
    };
    let phase = PhaseCell::default();
    let (roles, role_notes) = roles(request, &servers, background.as_ref());
    notes.extend(role_notes);
    let monitors = Monitors::start(MonitorConfig {
        clock,
        phase: phase.clone(),
        files: files.clone(),
        roles,
        target: target(request, &servers, &description),
        admin: Some(backend.admin().await?),
        interval: MONITOR_INTERVAL,
    });

    let plan = opening::load_plan(&request.plan.workload);
    let incidents = Arc::new(Incidents::default());
    let load = LoadRun {
        plan: &plan,
        backend,
        clock,
        phase,
        incidents: Arc::clone(&incidents),
        interrupt: Arc::clone(interrupt),
    };
    let capabilities = load.backend.capabilities();
    let mut observer = RunObserver { monitors: &monitors, progress: &mut *progress };
    let outcome = load.drive(admin.as_mut(), Some(&files.metrics()), &mut observer).await;
    progress.step("stopping");
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
    notes.extend(servers.obituaries());
    let outcome = outcome?;
    clean_up(admin.as_mut(), servers, &mut notes).await;
    Ok(figures::conclude(
        identity.clone(),
        figures::Evidences {
            capabilities: &capabilities,
            incidents: &incidents,
            load: outcome,
            monitors,
            background,
            notes,
        },
    ))
}

/// Removes what the run made. Trouble here changes no figure, so it becomes a note.
async fn clean_up(admin: &mut dyn Admin, servers: RunServers, notes: &mut Vec<String>) {
    if let Err(error) = admin.teardown().await {
        notes.push(format!("the run's objects could not be removed: {error}"));
    }
    if let Err(error) = servers.stop().await {
        notes.push(format!("a private server made trouble when it was stopped: {error}"));
    }
}

/// Makes a cold start cold, as far as the system lets us; says in a sentence how cold it is.
fn cool_down(request: &RunRequest, servers: &RunServers) -> Vec<String> {
    if request.entry.engine == EngineKind::InProcess {
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
    if let Some(pid) = servers.pid_under_test(request.entry.engine) {
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

fn target(request: &RunRequest, servers: &RunServers, description: &Description) -> ServerTarget {
    let objects = description.objects.clone();
    match (request.entry.engine, servers.url_under_test(request.entry.engine)) {
        (EngineKind::Postgres, Some(url)) => ServerTarget::Postgres { url, objects },
        (EngineKind::Valkey, Some(url)) => ServerTarget::Valkey { url, objects },
        _ => ServerTarget::None,
    }
}

fn describe_servers(request: &RunRequest, servers: &RunServers, description: &Description) -> Vec<ServerDescription> {
    let engine = request.entry.engine;
    let mut described = Vec::new();
    if engine != EngineKind::InProcess {
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
