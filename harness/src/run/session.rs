//! Carries out one run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use qbench_backends::{ClientCounters, Wake};
use qbench_schema::files::RunFiles;
use qbench_schema::result::{LoadMode, RunIdentity, RunResult, RunStatus};

use super::progress::Progress;
use super::request::RunRequest;
use super::steps::{InterruptedEarly, carry_out};
use super::{configuration, files, opening};
use crate::machine;

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

/// What the run is, before anything of it is started. Checks the backend's options, the limits of the load and
/// the user's address.
///
/// # Errors
/// The backend's refusals, and [`qbench_ground::usage::Usage`] for a load that it cannot take.
pub fn identify(request: &RunRequest) -> anyhow::Result<RunIdentity> {
    let (capabilities, wake) = opening::check(request)?;
    if let Some(url) = request.given_url() {
        // For the sake of the address.
        opening::open_as(request, Some(url), wake, &ClientCounters::default())?;
    }
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
        engine: request.entry.engine.id.to_owned(),
        queue_type: request.entry.id.to_owned(),
        scenario: plan.scenario.id.clone(),
        profile: plan.profile.clone(),
        durability: request.durability,
        delivery: capabilities.delivery,
        regime: plan.capacity.regime,
        utilisation: plan.capacity.utilisation,
        mode: if plan.workload.saturate { LoadMode::Saturation } else { LoadMode::OpenLoop },
        activity: plan.scenario.activity,
        host: machine::name(),
        host_id: machine::id(),
        git_revision: request.revision.clone(),
        topology: request.topology(),
        waiting: wake.waiting(),
        poll_interval_ms: (wake == Wake::Poll).then(|| opening::poll_interval(request, wake).as_secs_f64() * 1e3),
        configuration_hash,
        configuration,
        variant: request.variant.clone(),
        block: request.block,
        started_at: now.to_string(),
        measured_s: plan.workload.duration.as_secs_f64(),
        offered_jobs_s: plan.workload.rate.get(),
        connections_per_worker: capabilities
            .connections
            .map(|connections| connections.of_worker(plan.workload.worker.concurrency.get()).into()),
        // Known once the observer, and the server, have been asked.
        server_host_id: String::new(),
        engine_version: String::new(),
        server_settings: BTreeMap::new(),
    })
}
