//! Opens the backend and checks that it can do what the load asks of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use qbench_backends::{Backend, BackendConfig, BackendOptions, Capabilities, ClientCounters, ServerUrl, Wake};
use qbench_scenarios::Workload;
use qbench_scenarios::units::format_duration;
use qbench_scenarios::workload::Percent;
use qbench_schema::load::AskedWake;

use super::request::RunRequest;
use qbench_ground::pinning::Role;
use qbench_ground::usage::Usage;

/// Limit on one server round trip; longer than any stall that a run should survive.
const ROUND_TRIP_LIMIT: Duration = Duration::from_secs(15);

/// Interval of polling where nobody set one. With 20 workers, at most 2,000 empty claims a second: about as many as the
/// profiles' jobs, so that the server's cost per job is not mainly that of asking; and a mean wait of 10 ms / (idle workers +
/// 1), below a millisecond in every profile, so that polling does not dominate the latency either.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Interval of the fallback beside notifications where nobody set one: an idle worker looks far less than once a second, and a
/// job of which nobody was told waits a few seconds, not for a lease.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(5);

/// What every run has its objects under: a schema, or a prefix of keys.
pub(super) const NAMESPACE: &str = "qbench";

/// What the backend of `request` is opened with.
fn config(request: &RunRequest, url: Option<ServerUrl>, wake: Wake, counters: &ClientCounters) -> BackendConfig {
    let workload = &request.plan.workload;
    BackendConfig {
        url,
        namespace: NAMESPACE.to_owned(),
        durability: request.durability,
        lease: workload.lease,
        wake,
        poll_interval: poll_interval(request, wake),
        notify_limit: workload.notify_limit,
        tuning: workload.tuning,
        workers: workload.workers.get(),
        timeout: ROUND_TRIP_LIMIT,
        options: BackendOptions::new(request.options.clone()),
        counters: counters.clone(),
    }
}

/// How long a worker that waits as `wake` says sleeps between two looks.
pub(super) fn poll_interval(request: &RunRequest, wake: Wake) -> Duration {
    request.plan.workload.poll_interval.unwrap_or(match wake {
        Wake::Poll | Wake::Block => POLL_INTERVAL,
        Wake::Notify => FALLBACK_INTERVAL,
    })
}

/// What the backend of `request` states about itself, and how its workers wait, once it is known that it can do what the load
/// asks of it. Opens nothing.
///
/// # Errors
/// [`Usage`] and the backend's own refusals of its options.
pub(super) fn check(request: &RunRequest) -> anyhow::Result<(Capabilities, Wake)> {
    refuse_to_bind_given(request)?;
    let (entry, workload) = (request.entry, &request.plan.workload);
    let capabilities = entry.capabilities(&BackendOptions::new(request.options.clone()))?;
    let wake = entry.wake(&capabilities, workload.wake).map_err(|error| Usage(error.to_string()))?;
    check_limits(entry.id, workload, &capabilities)?;
    refuse_to_observe(request)?;
    if !workload.delay.is_zero() && !entry.engine.has_server {
        return Err(Usage(format!(
            "--delay {}: backend {} has no server, so there is no way to one to make longer",
            format_duration(workload.delay),
            entry.id
        ))
        .into());
    }
    // With `push`, a comparison also has queues that need no notifications.
    if !workload.notify_limit.is_zero() && wake != Wake::Notify && workload.wake != Some(AskedWake::Push) {
        return Err(Usage(format!(
            "--notify-limit: workers of {} wait by {} here, so there are no notifications to limit; use it with --wake notify \
             or --wake push",
            entry.id,
            wake.name()
        ))
        .into());
    }
    Ok((capabilities, wake))
}

/// Opens the backend of `request` at `url`; its connections count what they ask of the server in `counters`. Does not
/// connect.
///
/// # Errors
/// Those of [`check`], and the backend's own refusals of its address.
pub(super) fn open(
    request: &RunRequest,
    url: Option<ServerUrl>,
    counters: &ClientCounters,
) -> anyhow::Result<(Arc<dyn Backend>, Capabilities)> {
    let (capabilities, wake) = check(request)?;
    Ok((open_as(request, url, wake, counters)?, capabilities))
}

/// The same where all but the address has been checked, and workers wait as `wake` says.
///
/// # Errors
/// The backend's own refusals of its address.
pub(super) fn open_as(
    request: &RunRequest,
    url: Option<ServerUrl>,
    wake: Wake,
    counters: &ClientCounters,
) -> anyhow::Result<Arc<dyn Backend>> {
    Ok(request.entry.open(&config(request, url, wake, counters))?)
}

fn check_limits(id: &str, workload: &Workload, capabilities: &Capabilities) -> Result<(), Usage> {
    for (flag, asked, most) in [
        ("--enqueue-batch", workload.enqueue_batch, capabilities.max_enqueue_batch),
        ("--claim-batch", workload.worker.claim_batch, capabilities.max_claim_batch),
        ("--ack-batch", workload.worker.ack_batch.unwrap_or(NonZeroU32::MIN), capabilities.max_ack_batch),
    ] {
        if asked > most {
            return Err(Usage(format!("{flag} {asked}: backend {id} takes at most {most} in this configuration")));
        }
    }
    if workload.has_failures() && !capabilities.records_failures {
        let flag = if workload.fail_pct > Percent::NONE { "--fail-pct" } else { "--panic-pct" };
        return Err(Usage(format!(
            "{flag}: backend {id} cannot record that the work of a job failed in this configuration; leave it at 0"
        )));
    }
    if capabilities.one_claim_at_a_time && workload.worker.prefetch > 0 {
        return Err(Usage(format!(
            "--prefetch {}: backend {id} must settle a claim before the next one in this configuration; leave it at 0",
            workload.worker.prefetch
        )));
    }
    Ok(())
}

/// Refuses what an observer cannot do.
///
/// # Errors
/// [`Usage`].
fn refuse_to_observe(request: &RunRequest) -> Result<(), Usage> {
    if request.observer.is_none() {
        return Ok(());
    }
    if !request.entry.engine.has_server {
        let id = request.entry.id;
        return Err(Usage(format!("--observer: backend {id} has no server that could be on another host")));
    }
    if request.plan.scenario.background.is_some() {
        return Err(Usage(format!(
            "--observer: scenario {} runs pgbench beside the queue, which an observer cannot do yet: choose a scenario without a background \
             load",
            request.plan.scenario.id
        )));
    }
    if let Some(cores) = request.pinning.of(Role::Server) {
        return Err(Usage(format!(
            "--pin server={cores}: these are cores of this host, and the observer starts the server on its own: put `taskset --cpu-list \
             {cores}` before the program in --observer, and leave the server out of --pin"
        )));
    }
    Ok(())
}

/// Refuses to bind a server that the user gave: nothing of it is changed. pgbench can be bound wherever its server is.
///
/// # Errors
/// [`Usage`] with what to do instead.
fn refuse_to_bind_given(request: &RunRequest) -> Result<(), Usage> {
    match (request.pinning.of(Role::Server), request.given_url()) {
        (Some(cores), Some(url)) => Err(Usage(format!(
            "--pin server={cores}: {url} is a server that qbench did not start, and it changes nothing of such a server: bind \
             it yourself (taskset --all-tasks --cpu-list --pid), and leave the server out of --pin"
        ))),
        _ => Ok(()),
    }
}
