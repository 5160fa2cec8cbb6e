//! Two floors, just before the run: the harness's own, which is the `null` backend through the identical path (METHODOLOGY M5), and
//! that of the wire, which is requests that do nothing (M8).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use qbench_backends::{Backend, ClientCounters, ProducerId, registry};
use qbench_scenarios::workload::Percent;
use qbench_schema::result::{Activity, Durability, WireFloor};

use super::request::RunRequest;
use super::{load, opening};
use qbench_driver::incidents::Incidents;
use qbench_driver::phases::{LoadRun, Observer};
use qbench_driver::plan::LoadPlan;
use qbench_driver::record::RecordFiles;
use qbench_driver::schedule::{MeasuredLoad, Schedule};
use qbench_driver::shards::Shards;
use qbench_engines::servers::GivenServers;
use qbench_ground::clock::{PhaseCell, RunClock, RunPhase};

/// How long the floor is measured: long enough for tens of thousands of jobs, short enough to be done before every run.
const DURATION: Duration = Duration::from_millis(300);

/// Most jobs of the measurement; more than any machine gets through in its time.
const JOBS_MAX: u64 = 4_000_000;

/// Records are made into text and thrown away: writing real files here would leave the run a disk that is still busy.
const NOWHERE: &str = "/dev/null";

/// Jobs per second that this harness can send, claim, ack, record and audit with the producers, workers and batches of
/// `request` when the queue costs nothing and the work takes no time; or why that is not known.
pub(super) async fn measure(request: &RunRequest) -> (Option<f64>, Option<String>) {
    match attempt(request).await {
        Ok(ceiling_jobs_s) => (Some(ceiling_jobs_s), None),
        Err(error) => (None, Some(format!("the harness's own floor could not be measured: {error:#}"))),
    }
}

async fn attempt(request: &RunRequest) -> anyhow::Result<f64> {
    let entry = registry::find("null").ok_or_else(|| anyhow::anyhow!("there is no null backend"))?;
    let mut floor = RunRequest {
        entry,
        options: BTreeMap::new(),
        durability: Durability::D0,
        given: GivenServers::default(),
        observer: None,
        ..request.clone()
    };
    // There is no way to it.
    floor.plan.workload.delay = Duration::ZERO;
    // The floor is that of jobs which succeed, and null knows no others.
    (floor.plan.workload.fail_pct, floor.plan.workload.panic_pct) = (Percent::NONE, Percent::NONE);
    // Null wakes by what it can do, and a pause between two looks is no cost of the harness.
    (floor.plan.workload.wake, floor.plan.workload.poll_interval) = (None, None);
    floor.plan.workload.notify_limit = Duration::ZERO;
    let (backend, capabilities) = opening::open(&floor, None, &ClientCounters::default())?;
    let plan = LoadPlan {
        schedule: Arc::new(Schedule::new(None, 0, MeasuredLoad::FlatOut { duration: DURATION, jobs_max: JOBS_MAX })),
        activity: Activity::Both,
        work: Duration::ZERO,
        ..load::plan_of(&floor.plan, floor.block, &capabilities)
    };
    let mut admin = backend.admin().await?;
    admin.setup().await?;
    let incidents = Arc::new(Incidents::default());
    let run = LoadRun {
        plan: &plan,
        threads: request.threads(),
        backend,
        capabilities: &capabilities,
        counters: ClientCounters::default(),
        clock: RunClock::start(),
        phase: PhaseCell::default(),
        incidents: Arc::clone(&incidents),
        interrupt: Arc::new(AtomicBool::new(false)),
    };
    let files = RecordFiles { metrics: Some(Path::new(NOWHERE)), latency_log: Some(Path::new(NOWHERE)) };
    let outcome = run.drive(admin.as_mut(), files, &mut Nobody).await?;
    anyhow::ensure!(incidents.fatal().is_none(), "{}", incidents.fatal().unwrap_or_default());
    Ok(outcome.rates.completed_jobs_s)
}

/// How long the floor of the wire is measured.
const WIRE_DURATION: Duration = Duration::from_millis(300);

/// What the producers of `request` get of the server behind `backend` when they ask for nothing; `None` where they cannot.
///
/// # Errors
/// Those of connecting and asking.
pub(super) async fn measure_wire(
    request: &RunRequest,
    backend: &Arc<dyn Backend>,
) -> anyhow::Result<Option<WireFloor>> {
    if !request.entry.engine.has_server {
        return Ok(None);
    }
    let connections = request.plan.workload.producers.get();
    let shards = Shards::start(request.threads())?;
    let mut producers = Vec::new();
    for id in 0..connections {
        let backend = Arc::clone(backend);
        producers.push(shards.spawn(id as usize, async move { backend.producer(ProducerId(id)).await }).await??);
    }
    // Nothing else of the harness runs yet.
    let (begin, cpu_s_before) = (Instant::now(), cpu_s()?);
    let asking: Vec<_> = producers
        .into_iter()
        .enumerate()
        .map(|(id, mut producer)| {
            shards.spawn(id, async move {
                let mut answers: u64 = 0;
                while begin.elapsed() < WIRE_DURATION && producer.ask_for_nothing().await? {
                    answers += 1;
                }
                Ok::<_, qbench_backends::Error>(answers)
            })
        })
        .collect();
    let mut answers = 0;
    for asking in asking {
        answers += asking.await??;
    }
    let (elapsed_s, used_s) = (begin.elapsed().as_secs_f64(), cpu_s()? - cpu_s_before);
    Ok((answers > 0).then(|| WireFloor {
        connections,
        requests_s: answers as f64 / elapsed_s,
        request_us: f64::from(connections) * elapsed_s * 1e6 / answers as f64,
        harness_cpu_us_per_request: used_s * 1e6 / answers as f64,
    }))
}

/// CPU time of this process so far.
fn cpu_s() -> anyhow::Result<f64> {
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(used.user_time()) + seconds(used.system_time()))
}

struct Nobody;

impl Observer for Nobody {
    fn progress(&mut self, _: RunPhase, _: Duration, _: Duration, _: u64) {}
    fn measured_start(&mut self) {}
    fn measured_end(&mut self) {}
}
