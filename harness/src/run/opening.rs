//! Opens the backend and checks that it can do what the load asks of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::{Backend, BackendConfig, BackendOptions, Capabilities, RoundTrips, ServerUrl, Wake};
use qbench_scenarios::{Arrivals, WakeUp, Workload};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::RunRequest;
use crate::driver::phases::LoadPlan;
use crate::driver::schedule::{self, Schedule};
use crate::usage::Usage;

/// Limit on one server round trip; longer than any stall that a run should survive.
const ROUND_TRIP_LIMIT: Duration = Duration::from_secs(15);

/// PostgreSQL schema and Valkey key prefix of every run.
const NAMESPACE: &str = "qbench";

/// What the backend of `request` is opened with.
fn config(request: &RunRequest, url: Option<ServerUrl>, wake: Wake) -> BackendConfig {
    let workload = &request.plan.workload;
    BackendConfig {
        url,
        namespace: NAMESPACE.to_owned(),
        durability: request.durability,
        lease: workload.lease,
        wake,
        poll_interval: workload.poll_interval,
        workers: workload.workers.get(),
        timeout: ROUND_TRIP_LIMIT,
        options: BackendOptions::new(request.options.clone()),
        round_trips: RoundTrips::default(),
    }
}

/// Opens the backend of `request` at `url`. Does not connect.
///
/// # Errors
/// [`Usage`] and the backend's own refusals of its options, or of what the load asks.
pub(super) fn open(request: &RunRequest, url: Option<ServerUrl>) -> anyhow::Result<Arc<dyn Backend>> {
    let workload = &request.plan.workload;
    // Which ways of waiting there are may depend on the options, so the backend is asked before it is opened for good.
    let wakes = (request.entry.open)(&config(request, url.clone(), Wake::Poll))?.capabilities().wakes;
    let wake = match workload.wake.map(wake_of) {
        None => wakes[0],
        Some(wake) if wakes.contains(&wake) => wake,
        Some(wake) => {
            let names: Vec<&str> = wakes.iter().map(|wake| wake.name()).collect();
            return Err(Usage(format!(
                "--wake {}: backend {} cannot wait so; it can {}",
                wake.name(),
                request.entry.id,
                names.join(", ")
            ))
            .into());
        }
    };
    let backend = (request.entry.open)(&config(request, url, wake))?;
    check_limits(request.entry.id, workload, &backend.capabilities())?;
    Ok(backend)
}

fn wake_of(wake: WakeUp) -> Wake {
    match wake {
        WakeUp::Poll => Wake::Poll,
        WakeUp::Notify => Wake::Notify,
        WakeUp::Block => Wake::Block,
    }
}

fn check_limits(id: &str, workload: &Workload, capabilities: &Capabilities) -> Result<(), Usage> {
    for (flag, asked, most) in [
        ("--enqueue-batch", workload.enqueue_batch, capabilities.max_enqueue_batch),
        ("--claim-batch", workload.claim_batch, capabilities.max_claim_batch),
        ("--ack-batch", workload.ack_batch, capabilities.max_ack_batch),
    ] {
        if asked > most {
            return Err(Usage(format!("{flag} {asked}: backend {id} takes at most {most} in this configuration")));
        }
    }
    if capabilities.one_claim_at_a_time && workload.prefetch > 0 {
        return Err(Usage(format!(
            "--prefetch {}: backend {id} must settle a claim before the next one in this configuration; leave it at 0",
            workload.prefetch
        )));
    }
    Ok(())
}

/// The load that `workload` describes.
pub(super) fn load_plan(workload: &Workload) -> LoadPlan {
    let arrivals = match workload.arrivals {
        Arrivals::Constant => schedule::Arrivals::Constant,
        Arrivals::Poisson => schedule::Arrivals::Poisson { seed: workload.seed },
    };
    let warmup = (!workload.warmup.is_zero()).then_some((workload.warmup_rate.get(), workload.warmup));
    LoadPlan {
        schedule: Arc::new(Schedule::new(warmup, workload.rate.get(), workload.duration, arrivals)),
        producers: workload.producers.get(),
        enqueue_batch: workload.enqueue_batch.get(),
        workers: workload.workers.get(),
        concurrency: workload.concurrency.get(),
        claim_batch: workload.claim_batch.get(),
        prefetch: workload.prefetch,
        ack_batch: workload.ack_batch.get(),
        ack_linger: workload.ack_linger,
        work: workload.work,
        payload: payload(workload),
        lease: workload.lease,
        drain_deadline: workload.drain_deadline,
    }
}

/// Bytes that do not compress, from the run's seed, so that no engine is flattered by its compression.
fn payload(workload: &Workload) -> Bytes {
    let mut bytes = vec![0; workload.payload_bytes as usize];
    ChaCha8Rng::seed_from_u64(workload.seed).fill(&mut bytes[..]);
    Bytes::from(bytes)
}
