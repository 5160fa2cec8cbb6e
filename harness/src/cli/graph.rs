//! `qbench graph`: pictures from a summary, and of single runs.

use std::path::PathBuf;

use clap::Args;

use qbench_ground::usage::Usage;

use super::Status;
use super::palette::palette;

/// Draw the comparison charts from a summary.csv, and single runs second by second, as PNG at 300 DPI
///
/// For instance: qbench graph --input results/x/analysis/summary.csv --runs results/x --output results/x/graphs
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The summary.csv that `qbench analyze` wrote
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Folder of results: a picture of each of its runs over time, `timeline_<run>.png`
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn main(args: GraphArgs) -> anyhow::Result<Status> {
    if args.input.is_none() && args.runs.is_none() {
        return Err(Usage("there is nothing to draw: give --input summary.csv, --runs DIR, or both".into()).into());
    }
    let mut pictures = Vec::new();
    if let Some(input) = &args.input {
        pictures.extend(qbench_analysis::graph(input, &args.output, &palette())?);
    }
    if let Some(runs) = args.runs {
        pictures.extend(qbench_analysis::graph_timelines(&[runs], &args.output)?);
    }
    for picture in pictures {
        println!("{}", picture.display());
    }
    Ok(Status::Done)
}
