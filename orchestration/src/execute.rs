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
/// With [`RunCommand::calibrate`] the machine is calibrated before the first run that a block has left to do, and after the last. A block of
/// which nothing is left is not calibrated again: its runs are over.
///
/// On Ctrl-C or SIGTERM the present run is asked to end, no other is started, nothing is calibrated any more, and the outcome says `interrupted`.
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
    let steps: Vec<(&PlannedRun, Action)> = plan.steps(survey).collect();
    for (place, (planned, action)) in steps.iter().enumerate() {
        match action {
            Action::Skip => {
                outcome.skipped += 1;
                continue;
            }
            _ if outcome.interrupted => {
                outcome.remaining += 1;
                continue;
            }
            Action::Run | Action::Repeat => {}
        }
        // A calibration belongs to the runs that are made now, wherever in their block they stand.
        let has_run = |steps: &[(&PlannedRun, Action)]| {
            steps.iter().any(|(other, action)| other.block == planned.block && *action != Action::Skip)
        };
        let (is_first, is_last) = (!has_run(&steps[..place]), !has_run(&steps[place + 1..]));
        let in_block = |name: &str| block_dir(&plan.out, planned.block, plan.blocks).join(name);
        if command.calibrate && is_first {
            // Those of an earlier session say what the machine did then, and are kept beside.
            resume::set_aside(&[CALIBRATION_BEFORE_JSON, CALIBRATION_AFTER_JSON].map(in_block))?;
            if calibrate(&in_block(CALIBRATION_BEFORE_JSON), command, &mut stop, progress).await? {
                outcome.interrupted = true;
                outcome.remaining += 1;
                continue;
            }
        }
        if *action == Action::Repeat {
            resume::set_aside(&planned.files.all())?;
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
                    resume::set_aside(&planned.files.all())?;
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
        if command.calibrate && is_last && !outcome.interrupted {
            outcome.interrupted = calibrate(&in_block(CALIBRATION_AFTER_JSON), command, &mut stop, progress).await?;
        }
    }
    progress.end();
    Ok(outcome)
}

/// Calibrates the machine into `path`. A calibration that fails costs no run: it is said, and missing. True when the user stopped it.
async fn calibrate(path: &Path, command: &RunCommand, stop: &mut StopSignals, progress: &mut Progress) -> Result<bool> {
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
