//! What the harness itself can do when the queue costs nothing, and what every latency stage is then.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use qbench_backends::ClientCounters;
use qbench_driver::incidents::Incidents;
use qbench_driver::phases::{LoadRun, Observer};
use qbench_driver::plan::LoadPlan;
use qbench_driver::record::RecordFiles;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::shards::threads_beside;
use qbench_driver::work::Failures;
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};
use qbench_schema::load::WorkerSettings;
use qbench_schema::result::{Activity, Durability, Percentiles};

use super::allocations;
use super::peer;
use super::table::{Table, judged, median};

/// What a ceiling should be, in jobs per second.
const WANTED_JOBS_S: f64 = 500_000.0;

pub fn measure() -> anyhow::Result<Vec<Table>> {
    let mut ceiling = Table::new(
        "null ceiling: 2 producers and 2 workers flat out, every job recorded and audited",
        "medians; allocations are those of the driver in this process, start and end included",
        &["batch of every kind", "jobs/s", "harness CPU us/job", "allocations/job", ""],
    );
    for batch in ["1", "10", "100"] {
        let flags = ["--producers", "2", "--workers", "2", "--concurrency", batch, "--duration", "3s", "--work", "0ms"];
        let batches = ["--enqueue-batch", batch, "--claim-batch", batch, "--ack-batch", batch, "--saturate"];
        let turns = peer::three_turns(&[&["--backend", "null", "--scenario", "cold"], &flags, &batches])?;
        let rate = median(turns.iter().map(|result| result.throughput_jobs_s));
        let cpu = median(turns.iter().filter_map(|result| result.cost_per_job.harness_cpu_us));
        ceiling.row([
            batch.to_owned(),
            format!("{rate:.0}"),
            format!("{cpu:.2}"),
            format!("{:.3}", allocations_per_job(batch.parse()?)?),
            judged(rate / WANTED_JOBS_S, ">= 1.0 of 500,000", rate >= WANTED_JOBS_S),
        ]);
    }
    let mut floor = Table::new(
        "null floor: latency stages in ms at 5,000 jobs/s, 20 workers x 4, no work",
        "the run with the median p99 of end_to_end",
        &["", "p50", "p99", "p99.9", "max"],
    );
    let flags = ["--backend", "null", "--scenario", "cold", "--rate", "5000", "--duration", "5s", "--work", "0ms"];
    let shape = ["--workers", "20", "--concurrency", "4", "--producers", "128"];
    let mut turns = peer::three_turns(&[&flags, &shape])?;
    turns.sort_by(|a, b| a.end_to_end_ms.p99.total_cmp(&b.end_to_end_ms.p99));
    let run = &turns[1];
    let stages: [(&str, Percentiles); 7] = [
        ("end_to_end", run.end_to_end_ms),
        ("release_lag", run.release_lag_ms),
        ("producer_wait", run.producer_wait_ms),
        ("enqueue_time", run.enqueue_time_ms),
        ("queue_wait", run.queue_wait_ms),
        ("local_wait", run.local_wait_ms),
        ("ack_time", run.ack_time_ms),
    ];
    for (stage, of) in stages {
        floor.row([
            stage.to_owned(),
            format!("{:.3}", of.p50),
            format!("{:.3}", of.p99),
            format!("{:.3}", of.p999),
            format!("{:.3}", of.max),
        ]);
    }
    Ok(vec![ceiling, floor])
}

/// Allocations of the whole process over jobs, for one second flat out.
fn allocations_per_job(batch: u32) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let jobs = NonZeroU32::new(batch).context("a batch of no jobs")?;
    runtime.block_on(async {
        let backend = peer::backend("null", None, Durability::D0, &[])?;
        let plan = LoadPlan {
            schedule: Arc::new(Schedule::new(
                None,
                0,
                MeasuredLoad::FlatOut { duration: Duration::from_secs(1), jobs_max: 4_000_000 },
            )),
            activity: Activity::Both,
            max_backlog: 20_000,
            producers: 2,
            enqueue_batch: batch,
            prefill_batch: batch,
            workers: 2,
            worker: WorkerSettings {
                concurrency: jobs,
                claim_batch: jobs,
                ack_batch: Some(jobs),
                ..WorkerSettings::default()
            },
            work: Duration::ZERO,
            failures: Failures::default(),
            payload: Bytes::from(vec![0; 512]),
            lease: Duration::from_secs(60),
            drain_deadline: Duration::from_secs(30),
        };
        let mut admin = backend.admin().await?;
        admin.setup().await?;
        let capabilities = peer::capabilities("null")?;
        let run = LoadRun {
            plan: &plan,
            threads: threads_beside(false),
            backend,
            capabilities: &capabilities,
            counters: ClientCounters::default(),
            clock: RunClock::start(),
            phase: PhaseCell::default(),
            incidents: Arc::new(Incidents::default()),
            interrupt: Arc::new(AtomicBool::new(false)),
            company: None,
        };
        let before = allocations::so_far();
        let nowhere = Some(Path::new("/dev/null"));
        let files = RecordFiles { metrics: nowhere, latency_log: nowhere, ..RecordFiles::default() };
        let outcome = run.drive(admin.as_mut(), files, &mut Nobody).await?;
        Ok((allocations::so_far() - before) as f64 / outcome.totals.completed as f64)
    })
}

/// Watches nothing.
pub struct Nobody;

impl Observer for Nobody {
    fn progress(&mut self, _: RunPhase, _: Duration, _: Duration, _: u64) {}
    fn measured_start(&mut self) {}
    fn measured_end(&mut self) {}
}
