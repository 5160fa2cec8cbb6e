//! `qbench capacity`: the highest rate that each queue carries within a limit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use qbench_ground::usage::Usage;
use qbench_orchestration::capacity::{self, Candidate, FailedEnd, Found, Plan, ProbeSize, Slo};
use qbench_orchestration::{Progress, RunCommand};
use qbench_scenarios::{OVERLOAD_UTILISATION, Pairs, RunPlan, Scenario};
use qbench_schema::capacity::CapacityRow;
use qbench_schema::manifest::ConfiguredValue;

use super::Status;
use super::layers::{SettingsArgs, prepare_out};
use super::matrix;
use super::palette::palette;
use super::selection;
use super::variation::SettledVariant;
use crate::run;

/// Settings that the search decides itself.
const OWN: [&str; 3] = ["rate", "duration", "saturate"];

/// First rate where work takes no time, so that nothing bounds it, in jobs per second.
const START_JOBS_S: f64 = 100.0;

/// Find the highest rate that each queue carries within a latency limit and without a growing backlog
///
/// Climbs by half, bisects until both ends are within 5 %, and tries both again. Each probe is a run of its own on an empty queue: 30 s and 10,000
/// jobs at least, with --profile quick 10 s and 1,000. All probes together are the curve in graphs/rate_latency.png. For instance:
/// qbench capacity --backends skip_locked,valkey_streams --slo p99=50ms --profile standard --out results/capacity
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// Backends, as for `qbench matrix`
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    backends: Vec<String>,
    /// The limit: p50, p95, p99 or p999 of the end-to-end latency
    #[arg(long, value_name = "p99=50ms", default_value = "p99=100ms")]
    slo: String,
    /// Scenario by id or path
    #[arg(long, value_name = "ID", default_value = "warm")]
    scenario: String,
    /// Go on with a search that was interrupted: probes that finished are kept
    #[arg(long)]
    resume: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    /// Folder for everything (default: `results/capacity_<time>`)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn main(args: CapacityArgs, revision: &str) -> anyhow::Result<Status> {
    if let Some(name) = args.settings.given_names().find(|name| OWN.contains(name)) {
        return Err(Usage(format!("--{name}: the search decides it; leave it out")).into());
    }
    let out = args.out.or(args.settings.read()?.out).unwrap_or_else(|| {
        PathBuf::from(format!("results/capacity_{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S")))
    });
    let search = CapacitySearch {
        backends: args.backends,
        slo: args.slo,
        scenario: args.scenario,
        settings: args.settings,
        out,
        arguments: Vec::new(),
    };
    let found = search.run(args.resume, revision)?;
    let pictures = qbench_analysis::graph_capacity(&found.rows, &search.out.join("graphs"), &palette())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found.rows)?);
    } else {
        print!("{}", qbench_analysis::render_capacity(&found.rows));
    }
    eprintln!("The files are in {}; pictures: {}", search.out.display(), names(&pictures));
    if found.interrupted {
        eprintln!("Interrupted; the same command with --resume --out {} goes on from here.", search.out.display());
        return Ok(Status::Failed);
    }
    let is_settled = |row: &CapacityRow| row.confirmed;
    Ok(if found.rows.iter().all(is_settled) { Status::Done } else { Status::NotValid })
}

/// A search as it is asked for.
pub(super) struct CapacitySearch {
    pub(super) backends: Vec<String>,
    pub(super) slo: String,
    pub(super) scenario: String,
    pub(super) settings: SettingsArgs,
    pub(super) out: PathBuf,
    /// Arguments of every run beside those that follow from the settings.
    pub(super) arguments: Vec<String>,
}

impl CapacitySearch {
    /// Carries it out.
    ///
    /// # Errors
    /// As [`CapacitySearch::plan`] and [`capacity::find`].
    pub(super) fn run(&self, resume: bool, revision: &str) -> anyhow::Result<Found> {
        let (plan, command) = self.plan(revision)?;
        if plan.size.duration < STANDARD_PROBE.duration {
            eprintln!(
                "Profile quick: probes of {} s and {} jobs, which place a capacity roughly; --profile standard makes them of {} s and {} \
                 jobs.",
                plan.size.duration.as_secs(),
                plan.size.jobs,
                STANDARD_PROBE.duration.as_secs(),
                STANDARD_PROBE.jobs
            );
        }
        prepare_out(&self.out)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(capacity::find(&plan, resume, &command, &mut Progress::on_stderr()))?)
    }

    /// Everything that is to be done; nothing is written yet.
    ///
    /// # Errors
    /// [`Usage`] for what cannot be, and settings, scenarios or backends that there are not.
    pub(super) fn plan(&self, revision: &str) -> anyhow::Result<(Plan, RunCommand)> {
        let slo: Slo = self.slo.parse().map_err(|reason| Usage(format!("--slo {reason}")))?;
        let settings = self.settings.read()?;
        let scenario = Scenario::load(&self.scenario)?;
        let run_plan = settings.plan(&scenario)?;
        // Of fewer than ten seconds the slope of a backlog that only scatters has too wide an interval to be told from one that grows.
        let size = if run_plan.profile == QUICK { QUICK_PROBE } else { STANDARD_PROBE };
        let mut configuration = BTreeMap::from([("slo".to_owned(), slo.to_string())]);
        for (key, value) in run_plan.configuration.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
            configuration.insert(key.clone(), value.value.clone());
        }
        configuration.insert("qbench".to_owned(), run::program(revision));
        let mut arguments = self.settings.to_arguments();
        arguments.extend(self.arguments.iter().cloned());
        // From 90 % of what the workers can do a run must be allowed; the search does not go there, and a scenario's warm-up may.
        arguments.extend(["--set".to_owned(), "allow-overload=true".to_owned()]);
        if is_default(run_plan.configuration.get("arrivals")) {
            arguments.extend(["--set".to_owned(), "arrivals=poisson".to_owned()]);
            configuration.insert("arrivals".to_owned(), "poisson".to_owned());
        }
        let mut candidates = Vec::new();
        let nothing_varies = Pairs::new();
        for entry in selection::select_backends(&self.backends)? {
            let variant = SettledVariant { identity: None, pairs: &nothing_varies, settings: settings.clone() };
            let mut cell = matrix::cell(entry, &self.scenario, &scenario, &run_plan, &variant)?;
            cell.estimate = cell.estimate.saturating_sub(run_plan.workload.duration);
            for (key, setting) in settings.configuration_of(entry) {
                configuration.insert(format!("{}.{key}", entry.id), setting.value);
            }
            candidates.push(candidate(cell, &run_plan));
        }
        let seed = run_plan.workload.seed;
        let plan = Plan { candidates, slo, size, out: self.out.clone(), seed, configuration };
        Ok((plan, RunCommand { program: std::env::current_exe()?, arguments, retries: 0, calibrate: false }))
    }
}

/// The profile whose probes are small.
const QUICK: &str = "quick";
const QUICK_PROBE: ProbeSize = ProbeSize { duration: Duration::from_secs(10), jobs: 1_000 };
const STANDARD_PROBE: ProbeSize = ProbeSize { duration: Duration::from_secs(30), jobs: 10_000 };

fn is_default(value: Option<&ConfiguredValue>) -> bool {
    value.is_none_or(|value| !matches!(value.source.as_str(), "flag" | "environment" | "file"))
}

/// From a tenth of what the workers can do up to where they are the bottleneck themselves (METHODOLOGY L5).
fn candidate(cell: qbench_orchestration::Cell, plan: &RunPlan) -> Candidate {
    let little_jobs_s = plan.capacity.capacity_jobs_s;
    let bound = little_jobs_s.map(|jobs_s| FailedEnd {
        rate_jobs_s: jobs_s * OVERLOAD_UTILISATION,
        because: format!(
            "not the queue: {} workers x {} / {:?} carry {jobs_s:.0} jobs/s, and from {:.0} % of that they are what is measured; try more \
             workers",
            plan.workload.workers,
            plan.workload.worker.concurrency,
            plan.workload.work,
            100.0 * OVERLOAD_UTILISATION
        ),
    });
    Candidate { cell, start_jobs_s: little_jobs_s.map_or(START_JOBS_S, |jobs_s| jobs_s / 10.0), bound }
}

fn names(pictures: &[PathBuf]) -> String {
    match pictures {
        [] => "none, as no probe finished".to_owned(),
        some => some.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}
