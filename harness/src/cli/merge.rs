//! `qbench merge`: the shards of a run as one run.

use std::path::PathBuf;

use clap::Args;
use qbench_schema::result::RunResult;

use super::{Status, verdict};
use crate::merge;

/// Put the shards of a run together: one account of every job, one set of histograms, one verdict
///
/// Every job is looked for in all shards: sent once, completed once, by whichever of them. Percentiles are those of all jobs, never made of
/// percentiles. A shard that is missing, doubled or did not finish is refused. For instance:
/// qbench merge results/sharded --output results/merged
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folders with the files of the shards
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Folder for the merged run, which `analyze`, `graph` and `report` read like any other
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Print the verdicts as JSON, a list
    #[arg(long)]
    json: bool,
}

pub fn main(args: MergeArgs) -> anyhow::Result<Status> {
    let merged = merge::merge(&args.dirs, &args.output)?;
    for problem in &merged.problems {
        eprintln!("qbench: {problem}");
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&merged.results)?);
    }
    for result in &merged.results {
        if !args.json {
            println!("{}\n{}", verdict::in_words(result), made_of(result));
        }
        for reason in &result.validity.reasons {
            eprintln!("qbench: not valid: {reason}");
        }
    }
    eprintln!("The merged files are in {}", args.output.display());
    let all_valid = merged.results.iter().all(|result| result.validity.valid);
    Ok(if all_valid { Status::Done } else { Status::NotValid })
}

fn made_of(result: &RunResult) -> String {
    let Some(merged) = &result.merged else { return String::new() };
    let shards = merged.shards.len();
    match merged.clock_error_us {
        _ if merged.queue_per_shard => format!("merged from {shards} shards, each with a queue of its own"),
        Some(error_us) => format!(
            "merged from {shards} shards on one queue; {} jobs were completed by another shard than the one that sent them, and their instants are known to \
             within {:.3} ms between the two",
            merged.foreign_completed,
            error_us as f64 / 1e3
        ),
        None => format!("merged from {shards} shards on one queue; each completed its own jobs only"),
    }
}
