//! `qbench export`: job files for other programs.

use std::path::PathBuf;

use clap::Args;
use qbench_ground::usage::Usage;

use super::Status;

/// Write job files as Parquet, which DuckDB, pandas and R read typed
///
/// A row per job: run, backend, scenario, variant and block, and the record with its eight instants in microseconds since the run began. For instance:
/// qbench export results/x --parquet --output results/x/parquet
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Result folders
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// As Parquet, a file per run
    #[arg(long)]
    parquet: bool,
    /// Folder for the files
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn main(args: ExportArgs) -> anyhow::Result<Status> {
    if !args.parquet {
        return Err(Usage("as what is it to be exported? There is one format: --parquet".into()).into());
    }
    let exported = qbench_analysis::export_parquet(&args.dirs, &args.output)?;
    for problem in &exported.problems {
        eprintln!("qbench: {problem}");
    }
    for path in &exported.written {
        println!("{}", path.display());
    }
    Ok(if exported.written.is_empty() { Status::Failed } else { Status::Done })
}
