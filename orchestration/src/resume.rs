//! What is in the output folder already: skipped, repeated or refused, never overwritten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use qbench_schema::SCHEMA_VERSION;
use qbench_schema::files::MATRIX_JSON;
use qbench_schema::matrix::MatrixRecord;
use qbench_schema::result::RunStatus;

use crate::error::{Error, Result};
use crate::plan::{Action, MatrixPlan, Survey};
use crate::verdict;

/// Looks at the output folder and changes nothing. `configuration` is every setting that all runs share, and what is varied.
///
/// # Errors
/// [`Error::Occupied`] when files are in the way and `resume` is false; [`Error::Changed`] when the folder belongs to a matrix
/// with other settings, [`Error::Unknown`] when nobody knows what its files were made with.
pub fn survey(plan: &MatrixPlan, resume: bool, configuration: &BTreeMap<String, String>) -> Result<Survey> {
    let mut actions = Vec::with_capacity(plan.runs.len());
    for run in &plan.runs {
        let started = run.files.all().iter().any(|path| path.exists());
        actions.push(match verdict::read(&run.files.result()) {
            _ if !started => Action::Run,
            _ if !resume => {
                return Err(Error::Occupied { dir: run.files.dir().to_path_buf(), run: run.files.run().to_owned() });
            }
            // What the machine alone spoiled says nothing about the queue: it is as good as missing.
            Some(result) if result.validity.is_spoiled_by_the_host_alone() => Action::Repeat,
            Some(result) if result.status == RunStatus::Finished => Action::Skip,
            _ => Action::Repeat,
        });
    }

    let mut record = MatrixRecord {
        schema_version: SCHEMA_VERSION,
        seed: plan.seed,
        blocks: plan.blocks,
        configuration: configuration.clone(),
    };
    // Whatever was asked for: results of two configurations in one folder could not be told apart.
    match read_record(&plan.out)? {
        Some(before) => {
            let differences = differences(&before, &record);
            if !differences.is_empty() {
                return Err(Error::Changed { dir: plan.out.clone(), differences });
            }
            record.blocks = record.blocks.max(before.blocks);
        }
        None if actions.iter().any(|action| *action != Action::Run) => {
            return Err(Error::Unknown { dir: plan.out.clone() });
        }
        None => {}
    }
    Ok(Survey { actions, record })
}

/// Makes the folders and writes `matrix.json`.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn prepare(plan: &MatrixPlan, survey: &Survey) -> Result<()> {
    for run in &plan.runs {
        fs::create_dir_all(run.files.dir()).map_err(Error::file("create the folder", run.files.dir()))?;
    }
    let path = plan.out.join(MATRIX_JSON);
    verdict::write_whole(&path, &survey.record).map_err(Error::file("write", &path))
}

/// Gives those of `files` that are there names of an attempt, as `…_result.json.attempt-1`, which no reader takes for a run.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn set_aside(files: &[PathBuf]) -> Result<()> {
    let aside = |path: &Path, attempt: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".attempt-{attempt}"));
        PathBuf::from(name)
    };
    // One number for the whole set, so that files of one attempt are found together.
    let free = (1..).find(|attempt| files.iter().all(|path| !aside(path, *attempt).exists())).unwrap_or(u32::MAX);
    for path in files.iter().filter(|path| path.exists()) {
        fs::rename(path, aside(path, free)).map_err(Error::file("set aside", path))?;
    }
    Ok(())
}

fn read_record(out: &Path) -> Result<Option<MatrixRecord>> {
    let path = out.join(MATRIX_JSON);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Record { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { what: "read", path, source }),
    }
}

/// Refuses a folder that was begun with other settings than `record` has.
///
/// # Errors
/// [`Error::Changed`], and [`Error::Record`] or [`Error::File`] where what was written down cannot be read.
pub(crate) fn check_record(out: &Path, record: &MatrixRecord) -> Result<()> {
    let Some(before) = read_record(out)? else { return Ok(()) };
    let differences = differences(&before, record);
    if differences.is_empty() { Ok(()) } else { Err(Error::Changed { dir: out.to_path_buf(), differences }) }
}

/// Every difference that matters, as `rate was 500 and is 1000`. More blocks than before are none, unless the files of
/// the single block there was would have to move into a folder of their own.
fn differences(before: &MatrixRecord, now: &MatrixRecord) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |name: &str, before: Option<&str>, now: Option<&str>| {
        if before != now {
            let text = |value: Option<&str>| value.unwrap_or("not set").to_owned();
            differences.push(format!("{name} was {} and is {}", text(before), text(now)));
        }
    };
    compare("schema version", Some(&before.schema_version.to_string()), Some(&now.schema_version.to_string()));
    compare("seed", Some(&before.seed.to_string()), Some(&now.seed.to_string()));
    if (before.blocks == 1) != (now.blocks == 1) {
        compare("repeat", Some(&before.blocks.to_string()), Some(&now.blocks.to_string()));
    }
    let names: BTreeSet<&String> = before.configuration.keys().chain(now.configuration.keys()).collect();
    for name in names {
        compare(
            name,
            before.configuration.get(name).map(String::as_str),
            now.configuration.get(name).map(String::as_str),
        );
    }
    differences
}
