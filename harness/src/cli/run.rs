//! `qbench run`: one cell, once.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use qbench_scenarios::Scenario;
use qbench_schema::result::{RunResult, RunStatus};
use qbench_schema::variant::RunVariant;

use super::layers::{SettingsArgs, find_backend, prepare_out};
use super::signals::Interrupts;
use super::{Status, progress, secrets, verdict};
use crate::run::{self, RunRequest};
use qbench_ground::priority;

/// Run one backend in one scenario, once, and leave its files
///
/// For instance: qbench run --backend skip_locked --scenario warm --rate 1000 --duration 30s
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
    settings: SettingsArgs,
}

fn parse_variant(json: &str) -> Result<RunVariant, serde_json::Error> {
    serde_json::from_str(json)
}

pub fn main(args: RunArgs, revision: &str) -> anyhow::Result<Status> {
    let entry = find_backend(&args.backend)?;
    let scenario = Scenario::load(&args.scenario)?;
    let settings = args.settings.read_for(entry)?;
    settings.refuse_foreign_options(entry)?;
    let plan = settings.plan(&scenario)?;
    let out = args.out.or(settings.out.clone()).unwrap_or_else(|| {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S");
        PathBuf::from(format!("results/{}_{}_{time}", entry.id, scenario.id))
    });
    let mut request = RunRequest {
        out,
        block: args.block,
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
