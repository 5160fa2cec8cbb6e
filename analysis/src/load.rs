//! Finds runs in result folders and reads their verdicts and job records.
//!
//! A result folder may come from another machine, another version or a run that was killed, so every file is doubted:
//! one that cannot be used becomes a [`Problem`] and the rest is still analyzed.

mod calibrations;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use qbench_schema::SCHEMA_VERSION;
use qbench_schema::calibration::Calibration;
use qbench_schema::files::{HOSTS_JSON, RESULT_SUFFIX, RunFiles, block_of, is_block_folder};
use qbench_schema::hosts::HostsRecord;
use qbench_schema::result::{RunResult, RunStatus};
use qbench_schema::variant::is_variant_folder;
use rayon::prelude::*;
use serde::Deserialize;

use calibrations::OfBlock;

use crate::error::{Error, Problem, Result};
use crate::latency_log;
use crate::metrics::{self, Metrics};

/// Share of a run's jobs that its metrics file may lack before the file is set aside: percentiles of fewer records could
/// differ from the run's own by more than reports round to.
const MISSING_RECORDS_MAX: f64 = 0.01;

/// One run as its files tell it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where it was read from.
    pub files: RunFiles,
    /// Its verdict.
    pub result: RunResult,
    /// Its latencies; absent for runs that did not finish, where neither log nor job records are there and usable, and where only verdicts were
    /// asked for.
    pub metrics: Option<Metrics>,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Runs in no particular order.
    pub runs: Vec<Run>,
    /// What the machines could do, before and after blocks.
    pub calibrations: Vec<Calibration>,
    /// Files that could not be used, or only in part.
    pub problems: Vec<Problem>,
}

/// Reads every run in `inputs`, in the `rep-NN` folders below them, and in the folders of variants below these. A folder
/// that is given twice, or a run that was copied to a second folder, counts once.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read; [`Error::NothingToAnalyze`] when there is not one readable run.
pub fn load(inputs: &[PathBuf]) -> Result<Loaded> {
    let mut loaded = load_verdicts(inputs)?;
    // The job files of a long run have over a million lines: all cores read, a file each.
    let problems: Vec<Vec<Problem>> = loaded
        .runs
        .par_iter_mut()
        .map(|run| {
            let mut problems = Vec::new();
            run.metrics = read_latencies(&run.files, &run.result, &mut problems);
            problems
        })
        .collect();
    loaded.problems.extend(problems.into_iter().flatten());
    Ok(loaded)
}

/// The same runs without their latencies, for whoever needs verdicts alone.
///
/// # Errors
/// Those of [`load`].
pub fn load_verdicts(inputs: &[PathBuf]) -> Result<Loaded> {
    let mut loaded = find(inputs)?;
    let mut run_ids = HashSet::new();
    let Loaded { runs, problems, .. } = &mut loaded;
    runs.retain(|run| {
        let identity = &run.result.identity;
        let message = match &identity.shard {
            Some(shard) => format!(
                "is shard {} of a run, and no run by itself; put the shards together: qbench merge",
                shard.which()
            ),
            // Two hosts may have made a run of one name in one second.
            None if !run_ids.insert((identity.run_id.clone(), identity.host_id.clone())) => {
                format!("is a second copy of run {} and is left out", identity.run_id)
            }
            None => return true,
        };
        problems.push(Problem::new(run.files.result(), message));
        false
    });
    if loaded.runs.is_empty() {
        let hint = inputs.iter().flat_map(|input| result_dirs_below(input)).collect();
        return Err(Error::NothingToAnalyze { looked_in: inputs.to_vec(), problems: loaded.problems, hint });
    }
    Ok(loaded)
}

/// The shards in `inputs`, in the order of the folders, copies included, for whoever puts them together. Runs of one generator are left out.
///
/// # Errors
/// [`Error::Input`] when a folder cannot be read.
pub fn load_shards(inputs: &[PathBuf]) -> Result<Loaded> {
    let mut loaded = find(inputs)?;
    loaded.runs.retain(|run| run.result.identity.shard.is_some());
    Ok(loaded)
}

/// Every verdict that can be read. A folder that is given twice counts once.
fn find(inputs: &[PathBuf]) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut visited = HashSet::new();
    let mut calibrated: BTreeMap<PathBuf, OfBlock> = BTreeMap::new();
    for input in inputs {
        let mut found = Vec::new();
        for dir in run_dirs(input)? {
            if visited.insert(fs::canonicalize(&dir).unwrap_or_else(|_| dir.clone())) {
                found.extend(results_in(&dir)?);
                let of_block = OfBlock::read(&entries(&dir)?, &mut loaded.problems);
                loaded.calibrations.extend(of_block.all().cloned());
                if !of_block.is_empty() {
                    calibrated.insert(dir, of_block);
                }
            }
        }
        for path in found {
            let result = match read_result(&path) {
                Ok(result) => result,
                Err(problem) => {
                    loaded.problems.push(problem);
                    continue;
                }
            };
            let Some(files) = RunFiles::of_result(&path) else { continue };
            loaded.runs.push(Run { files, result, metrics: None });
        }
    }
    loaded.problems.extend(not_surrounded(&loaded.runs, &calibrated));
    Ok(loaded)
}

/// The blocks of calibrated result sets with finished runs that no two calibrations surround, a sentence each.
fn not_surrounded(runs: &[Run], calibrated: &BTreeMap<PathBuf, OfBlock>) -> Vec<Problem> {
    let set_of =
        |block: &Path| block.parent().filter(|_| is_named(block, is_block_folder)).map(|parent| parent.to_path_buf());
    let sets: HashSet<PathBuf> = calibrated.keys().filter_map(|block| set_of(block)).collect();
    // Of each block: its finished runs, and how many of them are not surrounded.
    let mut blocks: BTreeMap<PathBuf, (usize, usize)> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.result.status == RunStatus::Finished) {
        let block = block_dir_of(run.files.dir());
        let of_block = calibrated.get(block);
        if of_block.is_none() && !set_of(block).is_some_and(|set| sets.contains(&set)) {
            continue;
        }
        let is_surrounded = of_block.is_some_and(|of_block| of_block.surround(&run.result.identity.started_at));
        let (all, missing) = blocks.entry(block.to_path_buf()).or_default();
        *all += 1;
        *missing += usize::from(!is_surrounded);
    }
    let told = |(block, (all, missing)): (PathBuf, (usize, usize))| {
        let message = format!(
            "{missing} of its {all} runs are not between a calibration before and one after them, as where a matrix was \
             interrupted: what this machine could do then is not known"
        );
        (missing > 0).then(|| Problem::new(block, message))
    };
    blocks.into_iter().filter_map(told).collect()
}

/// The folder of the block whose runs stand in `dir`: that itself, or the one above where it is a variant's.
fn block_dir_of(dir: &Path) -> &Path {
    if is_named(dir, is_variant_folder) { dir.parent().unwrap_or(dir) } else { dir }
}

/// The folder of the result set whose runs stand in `dir`, without those of variants and blocks.
pub(crate) fn set_dir_of(dir: &Path) -> &Path {
    let block = block_dir_of(dir);
    if is_named(block, is_block_folder) { block.parent().unwrap_or(block) } else { block }
}

fn is_named(dir: &Path, is_asked: fn(&str) -> bool) -> bool {
    dir.file_name().and_then(|name| name.to_str()).is_some_and(is_asked)
}

/// Entries of a folder, sorted, so that the same folder always reads the same way.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| Error::Input {
        path: dir.to_path_buf(),
        reason: match error.kind() {
            ErrorKind::NotFound => "there is no such folder; give the folder that holds the *_result.json files".into(),
            ErrorKind::NotADirectory => "it is not a folder; give the folder that holds the *_result.json files".into(),
            _ => error.to_string(),
        },
    };
    let mut paths = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

/// `dir`, the folders of hosts below it where several made the matrix, and the folders below these that a matrix makes: one per block, and in each of
/// these one per variant.
fn run_dirs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut blocks = Vec::new();
    for set in [vec![dir.to_path_buf()], host_dirs(dir)].concat() {
        let below = dirs_below(&set, is_block_folder)?;
        blocks.push(set);
        blocks.extend(below);
    }
    let mut dirs = Vec::new();
    for block in blocks {
        let variants = dirs_below(&block, is_variant_folder)?;
        dirs.push(block);
        dirs.extend(variants);
    }
    Ok(dirs)
}

/// The folders of the hosts that made a matrix in `dir`; those of which nothing was collected yet are left out.
fn host_dirs(dir: &Path) -> Vec<PathBuf> {
    let record = fs::read(dir.join(HOSTS_JSON)).ok().and_then(|text| serde_json::from_slice::<HostsRecord>(&text).ok());
    let folders = record.into_iter().flat_map(|record| record.hosts).map(|part| dir.join(part.folder));
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Folders directly below `dir` whose names are as asked.
fn dirs_below(dir: &Path, is_asked: fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    Ok(entries(dir)?.into_iter().filter(|path| is_named(path, is_asked) && path.is_dir()).collect())
}

/// The verdicts in `dir` itself.
fn results_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let is_result = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(RESULT_SUFFIX))
            && path.is_file()
    };
    Ok(entries(dir)?.into_iter().filter(is_result).collect())
}

/// Folders directly below `dir` that hold verdicts, for a hint. Unreadable ones are no hint.
fn result_dirs_below(dir: &Path) -> Vec<PathBuf> {
    let holds_runs = |path: &PathBuf| {
        run_dirs(path).unwrap_or_default().iter().any(|dir| results_in(dir).is_ok_and(|results| !results.is_empty()))
    };
    entries(dir).unwrap_or_default().into_iter().filter(|path| path.is_dir()).filter(holds_runs).collect()
}

/// Only what tells a verdict of ours from another file.
#[derive(Deserialize)]
struct Probe {
    schema_version: Option<u32>,
}

/// Whether the parser stumbled over the last byte.
fn is_at_the_end(bytes: &[u8], error: &serde_json::Error) -> bool {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let last_line = bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes, |at| &bytes[at + 1..]);
    error.line() == lines + 1 && error.column() >= last_line.len()
}

fn read_result(path: &Path) -> Result<RunResult, Problem> {
    let problem = |message: String| Problem::new(path, message);
    let bytes = fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    if bytes.is_empty() {
        return Err(problem("is empty: the run was killed or the copy failed; run it or copy it again".into()));
    }
    let probe: Probe = serde_json::from_slice(&bytes).map_err(|error| {
        // A number that was cut in two is no end of file to the parser, and yet the last thing in the file.
        if error.is_eof() || is_at_the_end(&bytes, &error) {
            return problem(format!(
                "is cut off after {} bytes: the run was killed or the copy is incomplete; run it or copy it again",
                bytes.len()
            ));
        }
        problem(format!("is not a verdict of qbench ({error}); move it out of the folder"))
    })?;
    match probe.schema_version {
        Some(SCHEMA_VERSION) => {}
        Some(version) => {
            return Err(problem(format!(
                "has schema version {version} and this qbench reads version {SCHEMA_VERSION}; analyze it with the qbench \
                 that wrote it"
            )));
        }
        None => {
            return Err(problem(
                "is not a verdict of qbench (it has no schema_version); move it out of the folder".into(),
            ));
        }
    }
    let mut result: RunResult = serde_json::from_slice(&bytes).map_err(|error| {
        problem(format!("says schema version {SCHEMA_VERSION} but does not follow it ({error}); run it again"))
    })?;
    // Another program may leave that to the folder.
    if result.identity.block == 0 {
        result.identity.block = block_of_folder(path).unwrap_or_default();
    }
    Ok(result)
}

/// The number of the `rep-NN` folder that a verdict stands in, itself or in the folder of a variant.
fn block_of_folder(path: &Path) -> Option<u32> {
    let folders = path.ancestors().skip(1).take(2);
    folders.filter_map(|folder| block_of(folder.file_name()?.to_str()?)).next()
}

/// The latencies of a finished run: from its latency log where it has one, else from its job records, which hold the same in a
/// hundred times the size.
fn read_latencies(files: &RunFiles, result: &RunResult, problems: &mut Vec<Problem>) -> Option<Metrics> {
    let path = files.latency_log();
    if result.status != RunStatus::Finished || !path.exists() {
        return read_metrics(files, result, problems);
    }
    let message = match latency_log::read(&path) {
        Ok(metrics) if is_complete(&metrics, result) => return (metrics.jobs() > 0).then_some(metrics),
        Ok(metrics) => format!("holds {} measured jobs and the verdict says {}", metrics.jobs(), result.jobs.completed),
        Err(error) => error.to_string(),
    };
    problems.push(Problem::new(path, format!("{message}; the job records are read instead")));
    read_metrics(files, result, problems)
}

/// Whether so many of the run's jobs are there that percentiles are those of the run.
fn is_complete(metrics: &Metrics, result: &RunResult) -> bool {
    let completed = result.jobs.completed;
    metrics.jobs().abs_diff(completed) as f64 <= MISSING_RECORDS_MAX * completed as f64
}

/// The job records of a finished run, where they are there and complete. Everything else is told in `problems`, except
/// for a file that is simply absent: results are often copied without their largest files.
fn read_metrics(files: &RunFiles, result: &RunResult, problems: &mut Vec<Problem>) -> Option<Metrics> {
    const FALLBACK: &str = "the percentiles of the verdict are used instead";
    let path = files.metrics();
    if result.status != RunStatus::Finished || !path.exists() {
        return None;
    }
    let metrics = match metrics::read(&path) {
        Ok(metrics) => metrics,
        Err(error) => {
            problems.push(Problem::new(path, format!("{error}; {FALLBACK}")));
            return None;
        }
    };
    if metrics.cut_off {
        problems.push(Problem::new(&path, "its last line is cut off and was left out; copy the file again".to_owned()));
    }
    if !is_complete(&metrics, result) {
        let (records, completed) = (metrics.jobs(), result.jobs.completed);
        let message = format!("holds {records} measured jobs and the verdict says {completed}; {FALLBACK}");
        problems.push(Problem::new(path, message));
        return None;
    }
    (metrics.jobs() > 0).then_some(metrics)
}
