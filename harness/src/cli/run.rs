//! `qbench run`: one cell, once.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use qbench_scenarios::Scenario;
use qbench_schema::result::{RunResult, RunStatus};
use qbench_schema::shard::ShardNumber;
use qbench_schema::variant::RunVariant;

use super::layers::{SettingsArgs, find_backend, prepare_out};
use super::signals::Interrupts;
use super::{Status, progress, secrets, verdict};
use crate::run::{self, RunRequest, ShardRequest};
use qbench_ground::priority;
use qbench_ground::usage::Usage;

/// Run one backend in one scenario, once, and leave its files
///
/// For instance: qbench run --backend skip_locked --scenario warm --rate 1000 --duration 30s
///
/// With --shard it is one of several generators of one run, started with the same flags each, and `qbench merge` puts them together: rate and
/// schedule are those of the whole run, producers and workers those of each shard.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Backend (see `qbench list backends`)
    #[arg(long, value_name = "ID")]
    backend: String,
    /// Scenario (see `qbench list scenarios`), or the path of a scenario file of your own
    #[arg(long, value_name = "ID")]
    scenario: String,
    /// Folder for the result files (default: `results/<backend>_<scenario>_<time>`)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
    /// Block of a matrix that this run belongs to
    #[arg(long, value_name = "N", default_value_t = 1, hide = true)]
    block: u32,
    /// Variant of a matrix that this run belongs to, as JSON
    #[arg(long, value_name = "JSON", value_parser = parse_variant, hide = true)]
    variant: Option<RunVariant>,
    /// Hash of the study that this run belongs to
    #[arg(long, value_name = "HASH", hide = true)]
    study: Option<String>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What makes a run one of several that are started together.
#[derive(Debug, Args)]
#[command(next_help_heading = "More than one generator")]
struct ShardArgs {
    /// Be shard K of N: take every N-th arrival of the schedule, and write files of its own
    #[arg(long, value_name = "K/N", requires = "start_at")]
    shard: Option<ShardNumber>,
    /// When all shards begin, for instance 2026-05-01T12:00:00Z; by the clock of the server where one is given. A shard that is not ready by then
    /// does not run
    #[arg(long, value_name = "TIME", requires = "shard")]
    start_at: Option<Timestamp>,
    /// Give each shard a queue of its own, under a name of its own
    #[arg(long, requires = "shard")]
    queue_per_shard: bool,
}

impl ShardArgs {
    /// What was asked for; `None` for a run of one generator.
    ///
    /// # Errors
    /// [`Usage`] for a start that is past.
    fn read(&self) -> Result<Option<ShardRequest>, Usage> {
        let (Some(which), Some(start_at)) = (self.shard, self.start_at) else { return Ok(None) };
        let now = Timestamp::now();
        if start_at <= now {
            return Err(Usage(format!(
                "--start-at {start_at} is past (it is {}); choose an instant that leaves all shards the time to connect, for instance 30 s from now",
                now.strftime("%Y-%m-%dT%H:%M:%SZ")
            )));
        }
        Ok(Some(ShardRequest { which, start_at, queue_per_shard: self.queue_per_shard }))
    }
}

fn parse_variant(json: &str) -> Result<RunVariant, serde_json::Error> {
    serde_json::from_str(json)
}

pub fn main(args: RunArgs, revision: &str) -> anyhow::Result<Status> {
    let entry = find_backend(&args.backend)?;
    let scenario = Scenario::load(&args.scenario)?;
    let settings = args.settings.read_for(entry)?;
    settings.refuse_foreign_options(entry)?;
    let shard = args.shard.read()?;
    let shards = shard.and_then(|shard| NonZeroU32::new(shard.which.of)).unwrap_or(NonZeroU32::MIN);
    let plan = settings.plan_shared(&scenario, shards)?;
    let out = args.out.or(settings.out.clone()).unwrap_or_else(|| {
        // All shards of a run have the same.
        let time = shard.map_or_else(Timestamp::now, |shard| shard.start_at).strftime("%Y%m%dT%H%M%S");
        PathBuf::from(format!("results/{}_{}_{time}", entry.id, scenario.id))
    });
    let mut request = RunRequest {
        out,
        block: args.block,
        shard,
        variant: args.variant,
        study: args.study,
        command_line: secrets::arguments_as_given(),
        revision: revision.to_owned(),
        ..settings.request(entry, plan)
    };
    // What cannot be is refused before anything is made.
    run::identify(&request)?;
    prepare_out(&request.out)?;
    eprint!("{}", request.plan.capacity.summary(&request.plan.workload));
    // Before any thread exists, so that all of them inherit it.
    request.pinning.bind_harness().context("cannot bind this program to the cores that --pin gives it")?;
    request.scheduling = vec![priority::raise_process(), priority::pacer_priority()];
    request.scheduling.extend(request.pinning.in_words());
    request.scheduling.push(request.threads_in_words());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(carry_out(&request));
    // Aborted connections may still be closing; nobody waits for them.
    runtime.shutdown_background();
    report(&request, &result?, args.json)
}

async fn carry_out(request: &RunRequest) -> anyhow::Result<RunResult> {
    let mut interrupts = Interrupts::listen()?;
    let flag = Arc::clone(&interrupts.flag);
    let mut progress = progress::on_stderr(&format!("{} {}", request.entry.id, request.plan.scenario.id));
    let mut execution = pin!(run::execute(request, flag, progress.as_mut()));
    tokio::select! {
        result = &mut execution => result,
        () = interrupts.second(|| eprintln!("qbench: stopping; a second Ctrl-C stops at once")) => {
            // Before the run is dropped, which ends its servers and may take some seconds.
            run::record_stop(request)?;
            anyhow::bail!("stopped at once; the files in {} hold what happened until then", request.out.display())
        }
    }
}

fn report(request: &RunRequest, result: &RunResult, json: bool) -> anyhow::Result<Status> {
    if json {
        println!("{}", serde_json::to_string_pretty(result)?);
    } else {
        println!("{}", verdict::in_words(result));
    }
    for reason in &result.validity.reasons {
        eprintln!("qbench: not valid: {reason}");
    }
    eprintln!("The files are in {}", request.out.display());
    if let Some(shard) = request.shard {
        eprintln!("This is shard {}; when all of them have ended: qbench merge DIR… --output DIR", shard.which);
    }
    match result.status {
        RunStatus::Finished if result.validity.valid => Ok(Status::Done),
        RunStatus::Finished => Ok(Status::NotValid),
        RunStatus::Interrupted => {
            eprintln!("Interrupted; the same command runs it again from the beginning.");
            Ok(Status::Failed)
        }
        RunStatus::Failed | RunStatus::Running => Ok(Status::Failed),
    }
}
