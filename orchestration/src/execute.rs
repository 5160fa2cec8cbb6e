//! Carries out a plan, a fresh process per run.

use std::path::Path;
use std::time::Duration;

use qbench_schema::files::{CALIBRATION_AFTER_JSON, CALIBRATION_BEFORE_JSON, block_dir};

use crate::child::{self, Ended, RunCommand, StopSignals};
use crate::error::Result;
use crate::outcome::{Finding, MatrixOutcome};
use crate::plan::{Action, MatrixPlan, PlannedRun, Survey};
use crate::progress::Progress;
use crate::resume;
use crate::verdict::{self, Settled};

/// Makes every run that `survey` leaves to do. A run that fails does not stop the matrix: it gets a result file that says
/// why, and a row in the outcome. A run that the machine alone spoiled is tried again; its files are kept under other names.
///
/// On Ctrl-C or SIGTERM the present run is asked to end, no other is started, and the outcome says `interrupted`.
///
/// Await it directly from `Runtime::block_on` on the main thread, not from a spawned task: children are tied to the
/// thread that started them (`PR_SET_PDEATHSIG`) and are killed when it ends.
///
/// # Errors
/// When the output folder cannot be written or the program cannot be started.
pub async fn execute(
    plan: &MatrixPlan,
    survey: &Survey,
    command: &RunCommand,
    progress: &mut Progress,
) -> Result<MatrixOutcome> {
    resume::prepare(plan, survey)?;
    let mut stop = StopSignals::watch()?;
    let to_run = || plan.steps(survey).filter(|(_, action)| *action != Action::Skip);
    let estimate: Duration = to_run().map(|(run, _)| run.cell.estimate).sum();
    progress.begin(to_run().count(), estimate);

    let mut outcome = MatrixOutcome::default();
    let mut steps = plan.steps(survey).peekable();
    let mut block = 0;
    while let Some((planned, action)) = steps.next() {
        if command.calibrate && action != Action::Skip && planned.block != block && !outcome.interrupted {
            block = planned.block;
            let path = block_dir(&plan.out, block, plan.blocks).join(CALIBRATION_BEFORE_JSON);
            outcome.interrupted = calibrate(&path, command, &mut stop, progress).await?;
        }
        match action {
            Action::Skip => {
                outcome.skipped += 1;
                continue;
            }
            _ if outcome.interrupted => {
                outcome.remaining += 1;
                continue;
            }
            Action::Repeat => resume::set_aside(&planned.files)?,
            Action::Run => {}
        }
        let finding = |reason| Finding { run: planned.name.clone(), block: planned.block, reason };
        let mut tries_left = command.retries;
        let fate = loop {
            let started_at = jiff::Timestamp::now().to_string();
            progress.run_started(planned);
            let ended = child::run(planned, command, &mut stop, progress).await?;
            outcome.interrupted = ended.interrupted;
            let fate = judge(planned, &ended, started_at);
            progress.run_ended(&fate.to_string());
            match fate {
                Fate::Spoiled(reason) if tries_left > 0 && !outcome.interrupted => {
                    tries_left -= 1;
                    resume::set_aside(&planned.files)?;
                    progress.run_is_repeated(planned);
                    outcome.repeated.push(finding(reason));
                }
                fate => break fate,
            }
        };
        match fate {
            Fate::Valid => outcome.finished += 1,
            Fate::Spoiled(reason) | Fate::Invalid(reason) => outcome.invalid.push(finding(reason)),
            Fate::Failed(reason) => outcome.failed.push(finding(reason)),
            Fate::Interrupted => outcome.remaining += 1,
        }
        let is_last = steps.peek().is_none_or(|(next, _)| next.block != planned.block);
        if command.calibrate && is_last && !outcome.interrupted {
            let path = block_dir(&plan.out, planned.block, plan.blocks).join(CALIBRATION_AFTER_JSON);
            outcome.interrupted = calibrate(&path, command, &mut stop, progress).await?;
        }
    }
    progress.end();
    Ok(outcome)
}

/// Calibrates the machine into `path`, unless that was done before. A calibration that fails costs no run: it is said, and missing. True when
/// the user stopped it.
async fn calibrate(path: &Path, command: &RunCommand, stop: &mut StopSignals, progress: &mut Progress) -> Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    progress.notice("calibrating this machine");
    let ended = child::calibrate(path, command, stop, progress).await?;
    if !ended.interrupted && !path.exists() {
        progress.notice(&format!("this machine was not calibrated: {}", ended.reason()));
    }
    Ok(ended.interrupted)
}

/// What became of one run.
enum Fate {
    Valid,
    /// Not valid, and by the doing of the machine alone.
    Spoiled(String),
    Invalid(String),
    Failed(String),
    Interrupted,
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fate::Valid => f.write_str("valid"),
            Fate::Spoiled(reason) | Fate::Invalid(reason) => write!(f, "not valid ({reason})"),
            Fate::Failed(reason) => write!(f, "failed ({reason})"),
            Fate::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// What a run that ended has come to.
fn judge(planned: &PlannedRun, ended: &Ended, started_at: String) -> Fate {
    match verdict::settle(planned, ended, started_at) {
        Ok(Settled::Finished(result)) => {
            let reasons = || result.validity.reasons.join("; ");
            match &result.validity {
                validity if validity.valid => Fate::Valid,
                validity if validity.is_spoiled_by_the_host_alone() => Fate::Spoiled(reasons()),
                _ => Fate::Invalid(reasons()),
            }
        }
        Ok(Settled::Broken(_)) if ended.interrupted => Fate::Interrupted,
        Ok(Settled::Broken(reason)) => Fate::Failed(reason),
        Err(error) => Fate::Failed(error.to_string()),
    }
}
