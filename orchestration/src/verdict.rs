//! `result.json` as the matrix sees it: read back, and written for a run that could not do so itself.

use std::fs;
use std::io;
use std::path::Path;

use qbench_schema::result::{Blame, RunIdentity, RunResult, RunStatus, Validity};
use serde::Serialize;

use crate::child::Ended;
use crate::error::{Error, Result};
use crate::plan::PlannedRun;

/// The verdict in `path`; `None` when there is none or it does not parse.
pub(crate) fn read(path: &Path) -> Option<RunResult> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes JSON so that no reader ever sees half of it.
pub(crate) fn write_whole(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut text = serde_json::to_vec_pretty(content)?;
    text.push(b'\n');
    fs::write(&name, text)?;
    fs::rename(&name, path)
}

/// How a run ended, as its result file says now.
pub(crate) enum Settled {
    /// It finished; its verdict.
    Finished(Box<RunResult>),
    /// It did not, and why.
    Broken(String),
}

/// Takes the result file's word where there is one, and writes one where there is none.
///
/// # Errors
/// [`Error::Unsettled`] when it cannot be written.
pub(crate) fn settle(planned: &PlannedRun, ended: &Ended, started_at: String) -> Result<Settled> {
    let path = planned.files.result();
    let (status, reason) = match read(&path) {
        Some(result) if result.status == RunStatus::Finished && ended.has_result() => {
            return Ok(Settled::Finished(Box::new(result)));
        }
        _ if ended.interrupted => (RunStatus::Interrupted, "stopped by the user".to_owned()),
        // The run's own word is worth more than its last lines.
        written => {
            let own = written.filter(|result| result.status == RunStatus::Failed).and_then(|result| result.error);
            (RunStatus::Failed, own.unwrap_or_else(|| ended.reason()))
        }
    };
    let identity = RunIdentity {
        run_id: format!("{}-b{}-{started_at}", planned.files.run(), planned.block),
        block: planned.block,
        started_at,
        ..planned.cell.identity.clone()
    };
    match conclude(&path, identity, status, &reason) {
        Ok(()) => Ok(Settled::Broken(reason)),
        Err(source) => Err(Error::Unsettled { reason, path, source }),
    }
}

/// Makes sure that a run which ended without a verdict has one. A verdict that says `running` is kept with its status
/// changed; one that is missing or damaged is replaced.
fn conclude(path: &Path, identity: RunIdentity, status: RunStatus, reason: &str) -> io::Result<()> {
    let result = match read(path) {
        Some(result) if result.status != RunStatus::Running => return Ok(()),
        Some(result) => RunResult {
            status,
            error: (status == RunStatus::Failed).then(|| reason.to_owned()),
            validity: Validity::of([(Blame::Harness, reason.to_owned())]),
            ..result
        },
        None => RunResult::without_figures(identity, status, reason),
    };
    write_whole(path, &result)
}
