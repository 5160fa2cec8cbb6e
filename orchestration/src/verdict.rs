//! `result.json` as the matrix sees it: read back, and written for a run that could not do so itself.

use std::fs;
use std::io;
use std::path::Path;

use qbench_schema::result::{RunIdentity, RunResult, RunStatus, Validity};
use serde::Serialize;

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

/// Makes sure that a run which ended without a verdict has one. A verdict that says `running` is kept with its status
/// changed; one that is missing or damaged is replaced.
pub(crate) fn conclude(path: &Path, identity: RunIdentity, status: RunStatus, reason: &str) -> io::Result<()> {
    let result = match read(path) {
        Some(result) if result.status != RunStatus::Running => return Ok(()),
        Some(result) => RunResult {
            status,
            error: (status == RunStatus::Failed).then(|| reason.to_owned()),
            validity: Validity { valid: false, reasons: vec![reason.to_owned()], blame: Vec::new() },
            ..result
        },
        None => RunResult::without_figures(identity, status, reason),
    };
    write_whole(path, &result)
}
