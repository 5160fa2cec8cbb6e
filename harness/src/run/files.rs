//! Writing a run's verdict and manifest.

use std::path::Path;

use anyhow::{Context, bail};
use qbench_schema::files::RunFiles;
use qbench_schema::result::{RunResult, RunStatus};
use serde::Serialize;

use super::request::RunRequest;
use qbench_ground::usage::Usage;

/// Writes `value` as indented JSON under a temporary name and renames it, so that a reader never sees half a file.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let attempt = || -> anyhow::Result<()> {
        let dir = path.parent().context("the path has no folder")?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        std::io::Write::write_all(&mut file, b"\n")?;
        // A temporary file is private by default; a result is for everybody who may read the folder.
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}

/// Says in the verdict of `request` that the user stopped the run at once, unless it stands there already how it ended.
///
/// # Errors
/// When the verdict cannot be read or written.
pub fn record_stop(request: &RunRequest) -> anyhow::Result<()> {
    let path = request.files().result();
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut verdict: RunResult =
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?;
    if verdict.status != RunStatus::Running {
        return Ok(());
    }
    let reason = "stopped at once: the user did not wait for the end of the run".to_owned();
    verdict.status = RunStatus::Interrupted;
    verdict.audit.reasons = vec![reason.clone()];
    verdict.validity.reasons = vec![reason];
    write_json(&path, &verdict)
}

/// The part of a verdict that decides whether it may be replaced; other versions of the format have it too.
#[derive(serde::Deserialize)]
struct Fate {
    status: RunStatus,
}

/// A finished recording is never overwritten. What an unfinished run left is removed, so that no file of it can be taken
/// for a part of the new one.
///
/// # Errors
/// When a finished recording of the same run stands in the folder, or leftovers cannot be removed.
pub(crate) fn refuse_to_overwrite(files: &RunFiles) -> anyhow::Result<()> {
    let path = files.result();
    match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        Ok(text) => match serde_json::from_slice::<Fate>(&text) {
            Ok(Fate { status: RunStatus::Finished }) => bail!(Usage(format!(
                "{} holds a finished recording, which is never overwritten: choose another folder with --out, or use \
                 --resume in a matrix",
                path.display()
            ))),
            Ok(_) => {}
            Err(error) => bail!(Usage(format!(
                "{} is not a verdict that this version can read ({error}), so it is not overwritten: choose another \
                 folder with --out",
                path.display()
            ))),
        },
    }
    for leftover in files.all() {
        match std::fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot replace {}", leftover.display())),
        }
    }
    Ok(())
}
