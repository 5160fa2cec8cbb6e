//! Puts the shards of a run together: one account, one set of histograms, one verdict, as if one generator had driven it all.
//!
//! It stands in the harness, and not with the analysis, because it judges: accounts go through the driver's ledger and auditor, records through its
//! recorder, and figures through the gates of any run. So a merged run and a run of one generator are judged by the same lines of code.
//!
//! Reading order: [`shards`] (which files belong together, and whether all are there), [`told`] (what a shard says of its jobs), [`clocks`] (one clock of
//! many), [`whole`] (every job of the run, its account, its record), [`verdict`] (figures, audit and gates of the whole).

mod clocks;
mod shards;
mod told;
mod verdict;
mod whole;

use std::path::{Path, PathBuf};

use anyhow::Context;
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::Manifest;
use qbench_schema::result::RunResult;

use crate::run::files;
use shards::ShardSet;

/// What came of merging.
pub struct Merged {
    /// A verdict per run.
    pub results: Vec<RunResult>,
    /// Files that could not be used, a sentence each.
    pub problems: Vec<String>,
}

/// Merges every run of which there are shards in `dirs` (result folders; blocks and variants below them are read, too) into `output`, which is made.
///
/// # Errors
/// [`qbench_ground::usage::Usage`] for a run of which a shard is missing, doubled or of another kind, and for a folder that holds a finished recording
/// of it; else when files cannot be read or written.
pub fn merge(dirs: &[PathBuf], output: &Path) -> anyhow::Result<Merged> {
    let (sets, problems) = shards::find(dirs)?;
    std::fs::create_dir_all(output).with_context(|| format!("cannot write to {}", output.display()))?;
    let results = sets.iter().map(|set| merge_one(set, output)).collect::<anyhow::Result<_>>()?;
    Ok(Merged { results, problems })
}

fn merge_one(set: &ShardSet, output: &Path) -> anyhow::Result<RunResult> {
    let first = set.first();
    let identity = &first.result.identity;
    let merged = RunFiles::new(output, &identity.backend, &identity.scenario);
    files::refuse_to_overwrite(&merged)?;
    let result = verdict::of(set, &merged)?;

    let manifest = std::fs::read(first.files.manifest())
        .with_context(|| format!("cannot read {}", first.files.manifest().display()))?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .with_context(|| format!("cannot read {}", first.files.manifest().display()))?;
    let run_ids = set.shards.iter().map(|shard| shard.result.identity.run_id.clone()).collect();
    let manifest = Manifest { run_id: result.identity.run_id.clone(), shard: None, merged_from: run_ids, ..manifest };
    files::write_json(&merged.manifest(), &manifest)?;
    // The merged clock is that of the first shard, and so is that of its rows about the server, which is everybody's.
    for (from, to) in first.files.server_stats_as(&merged) {
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    // Last: with it the set is complete.
    files::write_json(&merged.result(), &result)?;
    Ok(result)
}
