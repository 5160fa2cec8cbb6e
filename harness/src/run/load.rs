//! The load that a plan describes, as the driver takes it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::Capabilities;
use qbench_scenarios::{RunPlan, Workload};
use qbench_schema::load::WorkerSettings;
use qbench_schema::result::Activity;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use qbench_driver::plan::LoadPlan;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::share::Share;
use qbench_driver::work::Failures;

/// Most jobs in one call where the size of the batch is not under test: filling a queue, and emptying it after a phase
/// without workers.
const LARGE_BATCH: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// Jobs per second that no queue reaches: how many numbers a flat-out load may need.
const FLAT_OUT_CEILING_JOBS_S: f64 = 4e6;

/// The part `share` of the load of `plan` in one block of its matrix, against a backend of these `capabilities`.
pub(super) fn plan_of(plan: &RunPlan, block: u32, share: Share, capabilities: &Capabilities) -> LoadPlan {
    let workload = &plan.workload;
    let seed = block_seed(workload.seed, block);
    let activity = plan.scenario.activity;
    let own = capabilities.ack_buffer;
    let load = LoadPlan {
        schedule: Arc::new(schedule(workload, activity, seed).shared(share)),
        activity,
        max_backlog: workload.max_backlog,
        producers: workload.producers.get(),
        enqueue_batch: workload.enqueue_batch.get(),
        prefill_batch: capabilities.max_enqueue_batch.min(LARGE_BATCH).get(),
        workers: workload.workers.get(),
        worker: workload.worker.decided(own.jobs, own.linger),
        work: workload.work,
        failures: Failures {
            failed_share: workload.fail_pct.share(),
            panicked_share: workload.panic_pct.share(),
            seed,
        },
        payload: payload(workload),
        lease: workload.lease,
        drain_deadline: workload.drain_deadline,
    };
    match activity {
        Activity::Both | Activity::Drain => load,
        // Workers only empty the queue afterwards, for the audit: that is not measured, and should not take long.
        Activity::Enqueue => {
            let claim_batch = capabilities.max_claim_batch.min(LARGE_BATCH).max(load.worker.claim_batch);
            let ack_batch = Some(capabilities.max_ack_batch.min(LARGE_BATCH)).max(load.worker.ack_batch);
            let worker = WorkerSettings { claim_batch, ack_batch, ..load.worker };
            LoadPlan { worker, work: Duration::ZERO, ..load }
        }
    }
}

/// What arrivals and failing jobs of a block are drawn from: other draws in every block, the same for all its cells
/// (METHODOLOGY S9).
pub(super) fn block_seed(seed: u64, block: u32) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(block));
    random.random()
}

fn schedule(workload: &Workload, activity: Activity, seed: u64) -> Schedule {
    let warmup = (!workload.warmup.is_zero()).then_some((workload.warmup_rate.get(), workload.warmup));
    let duration = workload.duration;
    let measured = match (workload.saturate, activity) {
        (_, Activity::Drain) => MeasuredLoad::FlatOut { duration, jobs_max: workload.prefill },
        (true, _) => {
            let most = (FLAT_OUT_CEILING_JOBS_S * duration.as_secs_f64()) as u64;
            MeasuredLoad::FlatOut { duration, jobs_max: most.clamp(1, qbench_scenarios::workload::MAX_JOBS) }
        }
        (false, _) => {
            MeasuredLoad::OnSchedule { rate_jobs_s: workload.rate.get(), duration, arrivals: workload.arrivals, seed }
        }
    };
    // What is drained is filled in as the jobs of the measured phase.
    let prefill = if activity == Activity::Drain { 0 } else { workload.prefill };
    Schedule::new(warmup, prefill, measured)
}

/// Bytes that do not compress, from the run's seed, so that no engine is flattered by its compression.
fn payload(workload: &Workload) -> Bytes {
    let mut bytes = vec![0; workload.payload_bytes as usize];
    ChaCha8Rng::seed_from_u64(workload.seed).fill(&mut bytes[..]);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_draws_anew_and_a_block_can_be_drawn_again() {
        let draws: Vec<u64> = (1..=10).map(|block| block_seed(1, block)).collect();
        let again: Vec<u64> = (1..=10).map(|block| block_seed(1, block)).collect();
        assert_eq!(draws, again);
        assert!((0..draws.len()).all(|block| !draws[..block].contains(&draws[block])), "{draws:?}");
        assert_ne!(block_seed(1, 1), block_seed(2, 1));
    }
}
