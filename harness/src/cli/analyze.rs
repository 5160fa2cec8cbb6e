//! `qbench analyze`: tables from result folders.

use std::path::PathBuf;

use clap::Args;

use super::Status;
use super::palette::palette;
use super::study;
use qbench_ground::usage::Usage;

/// Make runs.csv, summary.csv and summary.json from result folders, and print a table per scenario
///
/// Folders may come from other machines. Runs that broke are rows that say why. Of the runs of a study it answers the questions, too, in
/// answers.json.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Result folders
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Result folder of the PostgreSQL host
    #[arg(long, value_name = "DIR")]
    pg_results: Option<PathBuf>,
    /// Result folder of the Valkey host
    #[arg(long, value_name = "DIR")]
    valkey_results: Option<PathBuf>,
    /// Backend that all others are compared with (default: that of the study, else the first one)
    #[arg(long, value_name = "ID")]
    reference: Option<String>,
    /// Folder for the tables
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn main(args: AnalyzeArgs) -> anyhow::Result<Status> {
    let dirs: Vec<PathBuf> = args.dirs.into_iter().chain(args.pg_results).chain(args.valkey_results).collect();
    if dirs.is_empty() {
        return Err(
            Usage("no result folder was named: give DIR, --pg-results DIR or --valkey-results DIR".into()).into()
        );
    }
    let mut asked = study::asked_in(&dirs)?.unwrap_or_default();
    asked.reference = args.reference.or(asked.reference);
    let analysis = qbench_analysis::analyze(&dirs, &args.output, &asked, &palette())?;
    print!("{}", analysis.table);
    for problem in &analysis.problems {
        eprintln!("qbench: {problem}");
    }
    eprintln!("Tables are in {}", args.output.display());
    Ok(Status::Done)
}
