//! Whether recording disturbs what it records (METHODOLOGY M3): job file, latency log and monitors, against histograms only.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use qbench_backends::ClientCounters;
use qbench_driver::incidents::Incidents;
use qbench_driver::outcome::LoadOutcome;
use qbench_driver::phases::LoadRun;
use qbench_driver::plan::LoadPlan;
use qbench_driver::record::RecordFiles;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::shards::threads_beside;
use qbench_driver::work::Failures;
use qbench_engines::helper::HelperProgram;
use qbench_engines::monitor::{MonitorConfig, Monitors, Roles, RowsTo, ServerTarget};
use qbench_engines::postgres::{PostgresEngine, PostgresServer};
use qbench_engines::services::StartOptions;
use qbench_ground::clock::{PhaseCell, RunClock};
use qbench_schema::files::RunFiles;
use qbench_schema::load::{Arrivals, WorkerSettings};
use qbench_schema::record::Stage;
use qbench_schema::result::{Activity, Durability};

use super::ceiling::Nobody;
use super::peer;
use super::table::{Table, judged, median};

const TURNS: usize = 7;
const LENGTH: Duration = Duration::from_secs(4);
const RATE_JOBS_S: f64 = 1_000.0;
/// How far full recording may be from none.
const TOLERANCE: f64 = 0.02;

pub fn compare() -> anyhow::Result<Vec<Table>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = PostgresServer::start(StartOptions::new(Durability::D1)).await?;
        let outcome = compare_on(&server).await;
        server.stop().await?;
        outcome
    })
}

async fn compare_on(server: &PostgresServer) -> anyhow::Result<Vec<Table>> {
    let mut table = Table::new(
        "full recording (job file, latency log, monitors) against histograms only, skip_locked, 10 workers",
        "medians of alternating turns; within 2 % is wanted, and the spread of one side's turns says what 2 % is worth here",
        &["", "full", "histograms only", "ratio", "spread of histograms only"],
    );
    let mut row = |what: &str, full: Vec<f64>, bare: Vec<f64>, digits: usize, wanted: &str, is_met: fn(f64) -> bool| {
        let (least, most) =
            bare.iter().fold((f64::MAX, f64::MIN), |(least, most), figure| (least.min(*figure), most.max(*figure)));
        let (full, bare) = (median(full), median(bare));
        let ratio = full / bare;
        table.row([
            what.to_owned(),
            format!("{full:.digits$}"),
            format!("{bare:.digits$}"),
            judged(ratio, wanted, is_met(ratio)),
            format!("{least:.digits$} to {most:.digits$}"),
        ]);
    };
    let flat_out = MeasuredLoad::FlatOut { duration: LENGTH, jobs_max: 1_000_000 };
    let (mut full, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        full.push(drive(server, flat_out, true).await?.rates.completed_jobs_s);
        bare.push(drive(server, flat_out, false).await?.rates.completed_jobs_s);
    }
    row("jobs/s flat out", full, bare, 0, ">= 0.98", |ratio| ratio >= 1.0 - TOLERANCE);
    let on_schedule =
        MeasuredLoad::OnSchedule { rate_jobs_s: RATE_JOBS_S, duration: LENGTH, arrivals: Arrivals::Constant, seed: 0 };
    let p99 = |outcome: &LoadOutcome| outcome.recording.histograms.percentiles_ms(Stage::EndToEnd).p99;
    let (mut full, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        full.push(p99(&drive(server, on_schedule, true).await?));
        bare.push(p99(&drive(server, on_schedule, false).await?));
    }
    row("end_to_end p99 in ms at 1,000 jobs/s", full, bare, 3, "<= 1.02", |ratio| ratio <= 1.0 + TOLERANCE);
    Ok(vec![table])
}

async fn drive(server: &PostgresServer, measured: MeasuredLoad, is_full: bool) -> anyhow::Result<LoadOutcome> {
    let backend = peer::backend("skip_locked", Some(server.url()), Durability::D1, &[])?;
    let mut admin = backend.admin().await?;
    admin.setup().await?;
    let plan = LoadPlan {
        // A short warm-up in the same shape of load, so that no turn pays for the first plans.
        schedule: Arc::new(Schedule::new(Some((RATE_JOBS_S, Duration::from_secs(1))), 0, measured)),
        activity: Activity::Both,
        max_backlog: 2_000,
        producers: 16,
        enqueue_batch: 1,
        prefill_batch: 1,
        workers: 10,
        worker: WorkerSettings { concurrency: NonZeroU32::MIN.saturating_add(1), ..WorkerSettings::default() },
        work: Duration::from_millis(1),
        failures: Failures::default(),
        payload: Bytes::from(vec![0xA5; 512]),
        lease: Duration::from_secs(60),
        drain_deadline: Duration::from_secs(30),
    };
    let dir = tempfile::TempDir::new()?;
    let files = RunFiles::new(dir.path(), "skip_locked", "bench");
    let (clock, phase) = (RunClock::start(), PhaseCell::default());
    let description = admin.describe().await?;
    let monitors = match is_full {
        false => None,
        true => Some(Monitors::start(MonitorConfig {
            clock,
            phase: phase.clone(),
            rows: RowsTo::Files(files.clone()),
            roles: Roles { server: vec![server.pid()], ..Roles::default() },
            target: Some(ServerTarget {
                engine: &PostgresEngine,
                url: server.url().clone(),
                objects: description.objects,
                serves_background: false,
            }),
            admin: Some(backend.admin().await?),
            interval: Duration::from_secs(1),
            meter: Some(HelperProgram::other(env!("CARGO_BIN_EXE_qbench"), &["hiccup-meter"])),
        })),
    };
    let (metrics, latency_log) = (files.metrics(), files.latency_log());
    let records = match is_full {
        true => RecordFiles { metrics: Some(&metrics), latency_log: Some(&latency_log) },
        false => RecordFiles::default(),
    };
    let capabilities = peer::capabilities("skip_locked")?;
    let run = LoadRun {
        plan: &plan,
        threads: threads_beside(true),
        backend,
        capabilities: &capabilities,
        counters: ClientCounters::default(),
        clock,
        phase,
        incidents: Arc::new(Incidents::default()),
        interrupt: Arc::new(AtomicBool::new(false)),
    };
    let outcome = run.drive(admin.as_mut(), records, &mut Nobody).await?;
    drop(monitors.map(Monitors::finish));
    admin.teardown().await?;
    Ok(outcome)
}
