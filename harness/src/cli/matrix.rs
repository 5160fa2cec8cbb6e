//! `qbench matrix`: every cell, in blocks, each run in a fresh process.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use qbench_backends::Entry;
use qbench_orchestration::{Action, Cell, MatrixOutcome, MatrixPlan, Progress, RunCommand, execute, survey};
use qbench_scenarios::Scenario;
use qbench_schema::progress::PROGRESS_VARIABLE;
use qbench_schema::result::RunIdentity;

use super::Status;
use super::layers::{Settings, SettingsArgs, option_keys, prepare_out};
use super::matrix_on_hosts::{OnHosts, OnHostsArgs};
use super::selection::{ALL, backends_help, select_backends};
use super::variation::{SettledVariant, Variation, VariationArgs};
use crate::run::{self, RunRequest};
use qbench_ground::usage::Usage;

/// Time for initdb, tables and connections of one run; only used to estimate.
const SETUP_ESTIMATE: Duration = Duration::from_secs(5);

/// Time for filling pgbench's tables; likewise.
const BACKGROUND_ESTIMATE: Duration = Duration::from_secs(8);

/// What is run where neither a flag nor a plan says.
const DEFAULT_BACKENDS: [&str; 1] = [ALL];
const DEFAULT_SCENARIOS: [&str; 3] = ["cold", "warm", "load"];

/// Run every backend in every scenario, in randomised blocks, each run in a fresh process
///
/// A run that fails is a row that says why. Ctrl-C lets the present run end; --resume goes on later.
/// For instance: qbench matrix --backends pg --scenarios warm --vary workers=2,4,8 --vary claim-batch=1,10 --out DIR
#[derive(Debug, Args)]
pub struct MatrixArgs {
    #[command(flatten)]
    pub cells: CellArgs,
    #[command(flatten)]
    variation: VariationArgs,
    /// Blocks: how often every cell is run
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroU32,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Go on with a matrix that was interrupted: runs that finished are kept, unless this machine alone spoiled them
    #[arg(long)]
    resume: bool,
    /// Print the plan and the time that it will take, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Folder for the result files
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    on_hosts: OnHostsArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What is done about the machine: runs that it spoiled, and what it can do.
#[derive(Debug, Clone, Copy, Args)]
pub struct MachineArgs {
    /// How often a run is tried again that this machine alone spoiled: a hiccup, stolen time, a late generator. The attempts before
    /// are kept and counted. A run that the queue spoiled is never tried again
    #[arg(long, value_name = "N", default_value = "1")]
    retries: u32,
    /// Calibrate this machine before and after each block (15 s each), so that machines can be compared
    #[arg(long)]
    calibrate: bool,
}

/// Which cells there are.
#[derive(Debug, Clone, Args)]
pub struct CellArgs {
    #[arg(long, value_name = "LIST", value_delimiter = ',', help = backends_help())]
    pub backends: Option<Vec<String>>,
    /// Scenarios by id or path, separated by commas (default: those of the plan, else cold,warm,load)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub scenarios: Option<Vec<String>>,
}

pub fn main(args: MatrixArgs, revision: &str) -> anyhow::Result<Status> {
    let settings = args.settings.read()?;
    let out = args.out.or(settings.out.clone()).ok_or_else(|| {
        Usage("a matrix needs a folder for its results: --out DIR, for instance --out results/matrix".into())
    })?;
    let variation = args.variation.read(&args.settings)?;
    let matrix = Matrix::new(&args.cells, &variation, &args.settings, settings, args.repeat, &out, revision)?;
    if args.on_hosts.is_asked() && !args.dry_run {
        let backends = selected(&args.cells, &variation)?;
        let (arguments, may_be_files) =
            on_host_arguments(&args.cells, &args.variation, args.repeat, args.machine, &variation);
        let on_hosts = OnHosts {
            args: &args.on_hosts,
            settings: &args.settings,
            backends,
            arguments,
            may_be_files,
            out: &out,
            resume: args.resume,
            revision,
        };
        return on_hosts.run();
    }
    args.on_hosts.refuse_without_hosts()?;
    if args.dry_run {
        let survey = survey(&matrix.plan, args.resume, &matrix.configuration)?;
        print!("{}", matrix.plan.render(&survey));
        return Ok(Status::Done);
    }
    prepare_out(&out)?;
    let outcome = matrix.run(args.resume, args.machine)?;
    println!("{outcome}");
    if outcome.interrupted {
        eprintln!("Interrupted; the same command with --resume goes on from here.");
    } else if std::env::var_os(PROGRESS_VARIABLE).is_none() {
        // Another program goes on with them where one listens.
        eprintln!("The files are in {0}; next: qbench analyze {0} --output {0}/analysis", out.display());
    }
    Ok(status(&outcome))
}

/// The backends that are asked for, by flags or by a plan.
fn selected(cells: &CellArgs, variation: &Variation) -> anyhow::Result<Vec<&'static Entry>> {
    Ok(select_backends(&given_or(&cells.backends, variation.backends(), &DEFAULT_BACKENDS))?)
}

/// What is given, else what a plan says, else the default.
fn given_or(given: &Option<Vec<String>>, planned: Option<Vec<String>>, default: &[&str]) -> Vec<String> {
    given.clone().or(planned).unwrap_or_else(|| default.iter().map(|name| (*name).to_owned()).collect())
}

/// Arguments of the same matrix on a host, but for backends and settings, and the names among them that may be files.
fn on_host_arguments(
    cells: &CellArgs,
    variation_args: &VariationArgs,
    repeat: NonZeroU32,
    machine: MachineArgs,
    variation: &Variation,
) -> (Vec<String>, Vec<String>) {
    let mut arguments = variation_args.to_arguments();
    let mut may_be_files: Vec<String> =
        variation_args.plan().into_iter().chain(variation.scenarios().into_iter().flatten()).collect();
    if let Some(scenarios) = &cells.scenarios {
        arguments.extend(["--scenarios".to_owned(), scenarios.join(",")]);
        may_be_files.extend(scenarios.iter().cloned());
    }
    arguments.extend(["--repeat".to_owned(), repeat.to_string(), "--retries".to_owned(), machine.retries.to_string()]);
    if machine.calibrate {
        arguments.push("--calibrate".to_owned());
    }
    (arguments, may_be_files)
}

/// Exit status of a matrix.
pub(super) fn status(outcome: &MatrixOutcome) -> Status {
    if outcome.interrupted || !outcome.failed.is_empty() {
        Status::Failed
    } else if !outcome.invalid.is_empty() {
        Status::NotValid
    } else {
        Status::Done
    }
}

/// A matrix, checked: every cell is possible.
pub(super) struct Matrix {
    pub(super) plan: MatrixPlan,
    /// Every setting that the runs share, for resuming.
    configuration: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Matrix {
    pub(super) fn new(
        cells: &CellArgs,
        variation: &Variation,
        args: &SettingsArgs,
        settings: Settings,
        repeat: NonZeroU32,
        out: &Path,
        revision: &str,
    ) -> anyhow::Result<Self> {
        let entries = selected(cells, variation)?;
        let names = given_or(&cells.scenarios, variation.scenarios(), &DEFAULT_SCENARIOS);
        let scenarios =
            names.iter().map(|name| Ok((name, Scenario::load(name)?))).collect::<anyhow::Result<Vec<_>>>()?;
        refuse_unknown_options(variation, &entries)?;

        let mut planned = Vec::new();
        let mut configuration = BTreeMap::new();
        let mut seed = None;
        for variant in variation.variants(&settings)? {
            let in_variant = |error: anyhow::Error| match &variant.identity {
                Some(identity) => error.context(identity.name.clone()),
                None => error,
            };
            // What the variant does not set it shares with every other one that does not.
            let sets = |key: &str| variant.pairs.iter().any(|(known, _)| known == key);
            for (name, scenario) in &scenarios {
                let plan = variant.settings.plan(scenario).map_err(in_variant)?;
                seed = seed.or(Some(plan.workload.seed));
                for (key, value) in plan.configuration.iter().filter(|(key, _)| !sets(key)) {
                    configuration.insert(format!("{}.{key}", scenario.id), value.value.clone());
                }
                for entry in &entries {
                    planned.push(cell(entry, name, scenario, &plan, &variant).map_err(in_variant)?);
                }
            }
            for entry in &entries {
                for (key, setting) in variant.settings.configuration_of(entry) {
                    if !sets(key.strip_prefix("set.").unwrap_or(&key)) {
                        configuration.insert(format!("{}.{key}", entry.id), setting.value);
                    }
                }
            }
        }
        if let Some(variants) = variation.in_words() {
            configuration.insert("variants".to_owned(), variants);
        }
        // Two revisions are two programs: what one of them finished is not pooled with what the other one goes on with.
        configuration.insert("qbench".to_owned(), run::program(revision));
        let plan = MatrixPlan::new(&planned, repeat, seed.unwrap_or_default(), out)?;
        Ok(Matrix { plan, configuration, arguments: args.to_arguments() })
    }

    /// The same with `arguments` for every run beside what is there.
    pub(super) fn with_arguments(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// Runs that are there already, and all.
    pub(super) fn progress(&self) -> anyhow::Result<(usize, usize)> {
        let survey = survey(&self.plan, true, &self.configuration)?;
        let finished = survey.actions.iter().filter(|action| **action == Action::Skip).count();
        Ok((finished, survey.actions.len()))
    }

    pub(super) fn run(&self, resume: bool, machine: MachineArgs) -> anyhow::Result<MatrixOutcome> {
        let survey = survey(&self.plan, resume, &self.configuration)?;
        let command = RunCommand {
            program: std::env::current_exe()?,
            arguments: self.arguments.clone(),
            retries: machine.retries,
            calibrate: machine.calibrate,
        };
        // The children are tied to this very thread, so the runtime must not have others.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(execute(&self.plan, &survey, &command, &mut Progress::on_stderr()))?)
    }
}

/// An option that is varied must be one of every backend: the runs of the others would be the same one over and over.
fn refuse_unknown_options(variation: &Variation, entries: &[&'static Entry]) -> Result<(), Usage> {
    let options = option_keys();
    for key in variation.varied_keys().into_iter().filter(|key| options.contains(key)) {
        if let Some(entry) = entries.iter().find(|entry| !entry.options.iter().any(|option| option.key == key)) {
            return Err(Usage(format!(
                "{key} is varied, and backend {} has no such option: name the backends that have it with --backends",
                entry.id
            )));
        }
    }
    Ok(())
}

/// The cell of a queue in a scenario, checked: it can be opened.
pub(super) fn cell(
    entry: &'static Entry,
    scenario_argument: &str,
    scenario: &Scenario,
    plan: &qbench_scenarios::RunPlan,
    variant: &SettledVariant,
) -> anyhow::Result<Cell> {
    let settings = &variant.settings;
    let request = RunRequest { variant: variant.identity.clone(), ..settings.request(entry, plan.clone()) };
    // Opening without a server checks the options and tells the contract; the run itself opens it again.
    let identity = run::identify(&request)?;
    let mut arguments = settings.own_arguments(entry, plan);
    let varied = variant.pairs.iter().filter(|(key, _)| !option_keys().contains(&key.as_str()));
    arguments.extend(varied.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]));
    if let Some(identity) = &variant.identity {
        arguments.extend(["--variant".to_owned(), serde_json::to_string(identity)?]);
    }
    let background = if scenario.background.is_some() { BACKGROUND_ESTIMATE } else { Duration::ZERO };
    Ok(Cell {
        identity: RunIdentity { run_id: String::new(), started_at: String::new(), ..identity },
        scenario_argument: scenario_argument.to_owned(),
        arguments,
        estimate: plan.capacity.wall + SETUP_ESTIMATE + background,
    })
}
