//! Result folders that no run wrote: consistent verdicts and job records, made through the types of `qbench-schema`.
#![allow(dead_code)] // Every test file compiles this module and uses its own part of it.

use std::fs;
use std::io::Write;
use std::path::Path;

use qbench_analysis::{BackendStyle, Palette};
use qbench_schema::SCHEMA_VERSION;
use qbench_schema::calibration::{Calibration, Round};
use qbench_schema::files::RunFiles;
use qbench_schema::record::{JobRecord, Outcome, Phase, Stage};
use qbench_schema::result::{
    Activity, Audit, BackgroundLoad, Backlog, Blame, CostPerJob, CpuPct, CpuUsPerJob, Delivery, Durability, JobCounts,
    LoadMode, Percentiles, Rates, Regime, RunIdentity, RunResult, RunStatus, TimelineRow, Validity, Verdict, Waiting,
    WorkerShare,
};

/// The four backends of the quick run, with engine, queue type, delivery and typical queueing in milliseconds.
pub const QUICK: [(&str, &str, &str, Delivery, f64); 4] = [
    ("skip_locked", "postgresql", "skip_locked", Delivery::AtLeastOnce, 1.8),
    ("delete_returning", "postgresql", "delete_returning", Delivery::AtMostOnce, 1.4),
    ("partitioned", "postgresql", "partitioned", Delivery::AtLeastOnce, 1.1),
    ("valkey_streams", "valkey", "streams", Delivery::AtLeastOnce, 0.4),
];

/// The three scenarios, with the factor that they slow a queue down by.
pub const SCENARIOS: [(&str, f64); 3] = [("cold", 2.5), ("warm", 1.0), ("load", 6.0)];

/// What the command line would hand in: the backends of [`QUICK`] and a few that live in the harness's own process.
pub fn palette() -> Palette {
    let quick = QUICK.map(|(id, engine, ..)| (id, engine));
    let all = quick.into_iter().chain([("sqlite", "sqlite"), ("memory", "in_process"), ("null", "in_process")]);
    let colour = |place: usize| Some([30 * place as u8, 114, 178]);
    Palette::new(all.enumerate().map(|(place, (id, engine))| BackendStyle {
        id: id.to_owned(),
        engine: engine.to_owned(),
        colour: colour(place),
    }))
}

/// Ten rounds, which scatter by a percent, of a machine whose CPU does `cpu` million steps per second and whose `fdatasync` takes `disk_us`.
pub fn calibration(host_id: &str, cpu: f64, disk_us: f64) -> Calibration {
    let scatter = [0.3, -0.7, 0.9, -0.4, 0.1, 0.8, -0.9, -0.1, 0.5, -0.5];
    let round = |scatter: &f64| {
        let by = 1.0 + scatter / 100.0;
        Round {
            cpu_one_core: cpu * by,
            cpu_all_cores: 2.0 * cpu * by,
            memory_mb_s: 9_000.0 * by,
            fdatasync_us: disk_us * by,
            fsync_us: 2.0 * disk_us * by,
            loopback_us: 20.0 * by,
        }
    };
    Calibration { host_id: host_id.to_owned(), rounds: scatter.iter().map(round).collect(), ..Calibration::default() }
}

/// Seconds at 500 jobs/s in which nothing happens.
pub fn seconds(length: u32, p50_ms: f64) -> Vec<TimelineRow> {
    let second = |at_s| TimelineRow {
        at_s,
        intended: 500,
        completed: 500,
        backlog: 7,
        end_to_end_p50_ms: p50_ms,
        end_to_end_p99_ms: 2.0 * p50_ms,
        end_to_end_max_ms: 3.0 * p50_ms,
        ..TimelineRow::default()
    };
    (0..length).map(second).collect()
}

/// One run to be written.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its verdict; figures that follow from the job records are filled in by [`Run::write`].
    pub result: RunResult,
    /// Typical time in the queue.
    pub wait_ms: f64,
    /// Changes the job records.
    pub seed: u64,
    /// Whether job records are written.
    pub with_metrics: bool,
}

impl Run {
    /// A valid run of one of the backends of [`QUICK`], or of an unknown one in PostgreSQL.
    pub fn new(backend: &str, scenario: &str) -> Self {
        let (_, engine, queue_type, delivery, wait_ms) = QUICK
            .into_iter()
            .find(|quick| quick.0 == backend)
            .unwrap_or((backend, "postgresql", backend, Delivery::AtLeastOnce, 3.0));
        let slower = SCENARIOS.into_iter().find(|known| known.0 == scenario).map_or(1.0, |known| known.1);
        let is_load = scenario == "load";
        let cpu = if engine == "valkey" { 9.0 } else { 41.0 } * (1.0 + wait_ms / 10.0);
        let cpu_background = is_load.then_some(93.0);
        Run {
            result: RunResult {
                schema_version: SCHEMA_VERSION,
                status: RunStatus::Finished,
                identity: RunIdentity {
                    run_id: format!("{backend}-{scenario}-1"),
                    backend: backend.to_owned(),
                    engine: engine.to_owned(),
                    queue_type: queue_type.to_owned(),
                    scenario: scenario.to_owned(),
                    profile: "quick".to_owned(),
                    durability: Durability::D2,
                    delivery,
                    regime: Regime::Normal,
                    utilisation: Some(0.25),
                    mode: LoadMode::OpenLoop,
                    activity: Activity::Both,
                    host: "vm1".to_owned(),
                    configuration_hash: "1f2e3d4c".to_owned(),
                    configuration: "rate=500 workers=20".to_owned(),
                    variant: None,
                    block: 1,
                    started_at: "2026-01-02T03:04:05Z".to_owned(),
                    measured_s: 10.0,
                    offered_jobs_s: 500.0,
                    host_id: "3f2a91c0".to_owned(),
                    engine_version: if engine == "valkey" { "8.0.1" } else { "15.18 (Debian 15.18-0+deb12u1)" }
                        .to_owned(),
                    server_settings: [("fsync".to_owned(), "on".to_owned())].into(),
                    git_revision: "c0ffee000000".to_owned(),
                    topology: "private".to_owned(),
                    server_host_id: String::new(),
                    waiting: Waiting::Poll,
                    poll_interval_ms: Some(10.0),
                    connections_per_worker: Some(2),
                },
                throughput_jobs_s: 499.6,
                rates: Rates {
                    sent_jobs_s: 500.0,
                    enqueued_jobs_s: 500.0,
                    completed_jobs_s: 499.6,
                    ..Rates::default()
                },
                audit: Audit { verdict: Verdict::Ok, ..Audit::default() },
                validity: Validity { valid: true, ..Validity::default() },
                backlog: Backlog { start: 5, end: 6, max: 31, slope_jobs_s: 0.01 },
                drain_s: 0.02,
                cpu_pct: CpuPct {
                    host: Some(cpu + 30.0 + cpu_background.unwrap_or(0.0) + 8.0),
                    server: Some(cpu),
                    harness: Some(30.0),
                    meter: Some(3.0),
                    adapter: None,
                    background: cpu_background,
                    kernel: None,
                },
                cpu_us_per_job: CpuUsPerJob { server: Some(cpu * 1e4 / 500.0), harness: Some(600.0), adapter: None },
                cpu_roles_of_host_pct: Some(97.0),
                cost_per_job: CostPerJob {
                    server_cpu_us: Some(cpu * 1e4 / 500.0),
                    harness_cpu_us: Some(600.0),
                    log_bytes: Some(1_362.0),
                    fsyncs: (engine == "postgresql").then_some(2.5),
                    round_trips: Some(3.0),
                    dead_tuples: (engine == "postgresql").then_some(2.0),
                    server_memory_bytes: (engine == "valkey").then_some(9.0),
                    server_ctx_switches: Some(11.0),
                    harness_ctx_switches: Some(6.0),
                },
                rss_server_bytes: Some(96_000_000),
                rss_harness_bytes: Some(41_000_000),
                workers: vec![WorkerShare { worker: 0, completed: 0 }],
                deadlocks: (engine == "postgresql").then_some(0),
                background: is_load.then(|| BackgroundLoad {
                    program: "pgbench (PostgreSQL) 15.18".to_owned(),
                    clients: 10,
                    scale: 10,
                    tps: 812.5,
                    latency_mean_ms: 12.3,
                    covered_s: 9.0,
                }),
                ..RunResult::default()
            },
            wait_ms: wait_ms * slower,
            seed: backend.bytes().chain(scenario.bytes()).map(u64::from).sum(),
            with_metrics: true,
        }
    }

    /// The run as repeat `block`, a little different from the others.
    pub fn block(mut self, block: u32) -> Self {
        self.result.identity.block = block;
        self.result.identity.run_id =
            format!("{}-{}-{block}", self.result.identity.backend, self.result.identity.scenario);
        self.result.throughput_jobs_s -= f64::from(block) * 0.1;
        self.wait_ms *= 1.0 + f64::from(block) * 0.1;
        self.seed += u64::from(block) * 1_000;
        self
    }

    /// The run with its verdict changed.
    pub fn with(mut self, change: impl FnOnce(&mut RunResult)) -> Self {
        change(&mut self.result);
        self
    }

    /// The run with a gate tripped.
    pub fn invalid(self, reason: &str) -> Self {
        self.with(|result| result.validity = Validity::of([(Blame::Queue, reason.to_owned())]))
    }

    /// The run as one that only the machine spoiled.
    pub fn spoiled_by_the_host(self, reason: &str) -> Self {
        self.with(|result| result.validity = Validity::of([(Blame::Host, reason.to_owned())]))
    }

    /// The run as one that broke.
    pub fn failed(self, error: &str) -> Self {
        self.with(|result| {
            result.status = RunStatus::Failed;
            result.error = Some(error.to_owned());
            result.validity = Validity::of([(Blame::Harness, error.to_owned())]);
            result.audit.verdict = Verdict::Inconclusive;
            result.throughput_jobs_s = 0.0;
        })
    }

    /// The run above capacity: jobs wait ever longer.
    pub fn overloaded(mut self) -> Self {
        self.wait_ms *= 2_000.0;
        self.with(|result| {
            result.identity.regime = Regime::Overload;
            result.identity.utilisation = Some(1.4);
            result.throughput_jobs_s = 357.0;
        })
    }

    /// The run without its job records.
    pub fn without_metrics(mut self) -> Self {
        self.with_metrics = false;
        self
    }

    /// The job records: exponential stages from a fixed seed.
    pub fn records(&self) -> Vec<JobRecord> {
        let count = (self.result.identity.offered_jobs_s * self.result.identity.measured_s) as u64;
        let mut random = Exponential(self.seed);
        (0..count)
            .map(|job| {
                let intended_us = 3_000_000 + (job as f64 * 1e6 / self.result.identity.offered_jobs_s) as u64;
                let sent_us = intended_us + random.next_us(0.05);
                let enqueued_us = sent_us + random.next_us(0.4);
                let claimed_us = enqueued_us + random.next_us(self.wait_ms);
                let started_us = claimed_us + 3;
                let finished_us = started_us + 11_000;
                let acked_us = finished_us + random.next_us(0.5);
                JobRecord {
                    job: 1_500 + job,
                    worker: (job % 20) as u32,
                    attempt: 1,
                    intended_us,
                    released_us: intended_us,
                    sent_us,
                    enqueued_us,
                    claimed_us,
                    started_us,
                    finished_us,
                    acked_us,
                    phase: Phase::Measured,
                    outcome: Outcome::Acked,
                }
            })
            .collect()
    }

    /// Writes the verdict, and the job records of a run that finished.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        let files = RunFiles::new(dir, &self.result.identity.backend, &self.result.identity.scenario);
        let mut result = self.result.clone();
        if result.status == RunStatus::Finished {
            let records = self.records();
            let count = records.len() as u64;
            result.jobs =
                JobCounts { intended: count, sent: count, enqueued: count, completed: count, ..JobCounts::default() };
            result.workers[0].completed = count;
            for stage in Stage::ALL {
                let percentiles = exact_percentiles(&records, stage);
                *match stage {
                    Stage::EndToEnd => &mut result.end_to_end_ms,
                    Stage::ScheduleLag => &mut result.schedule_lag_ms,
                    Stage::ReleaseLag => &mut result.release_lag_ms,
                    Stage::ProducerWait => &mut result.producer_wait_ms,
                    Stage::EnqueueTime => &mut result.enqueue_time_ms,
                    Stage::QueueWait => &mut result.queue_wait_ms,
                    Stage::LocalWait => &mut result.local_wait_ms,
                    Stage::WorkTime => &mut result.work_time_ms,
                    Stage::AckTime => &mut result.ack_time_ms,
                } = percentiles;
            }
            if self.with_metrics {
                write_metrics(&files.metrics(), &records);
            }
        }
        fs::write(files.result(), serde_json::to_vec_pretty(&result).unwrap()).unwrap();
    }
}

/// Writes the twelve cells of the quick run.
pub fn write_matrix(dir: &Path) {
    for (backend, ..) in QUICK {
        for (scenario, _) in SCENARIOS {
            Run::new(backend, scenario).write(dir);
        }
    }
}

/// Writes a `metrics.jsonl`.
pub fn write_metrics(path: &Path, records: &[JobRecord]) {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record).unwrap();
        lines.push(b'\n');
    }
    fs::File::create(path).unwrap().write_all(&lines).unwrap();
}

/// The value that a share `quantile` of `sorted` does not exceed, without any histogram.
pub fn exact_quantile_ms(sorted: &[u64], quantile: f64) -> f64 {
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank - 1] as f64 / 1_000.0
}

/// Lengths of one stage, sorted.
pub fn sorted_us(records: &[JobRecord], stage: Stage) -> Vec<u64> {
    let mut values: Vec<u64> = records.iter().map(|record| record.stage_us(stage)).collect();
    values.sort_unstable();
    values
}

fn exact_percentiles(records: &[JobRecord], stage: Stage) -> Percentiles {
    let sorted = sorted_us(records, stage);
    let at = |quantile| exact_quantile_ms(&sorted, quantile);
    Percentiles {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
        mean: sorted.iter().sum::<u64>() as f64 / sorted.len() as f64 / 1_000.0,
    }
}

/// Exponentially distributed durations from a seed (splitmix64).
struct Exponential(u64);

impl Exponential {
    fn next_us(&mut self, mean_ms: f64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        let uniform = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean_ms * 1_000.0) as u64
    }
}
