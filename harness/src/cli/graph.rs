//! `qbench graph`: pictures from a summary.

use std::path::PathBuf;

use clap::Args;

use super::Status;
use super::palette::palette;

/// Draw the six comparison charts from a summary.csv, as PNG at 300 DPI
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The summary.csv that `qbench analyze` wrote
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn main(args: GraphArgs) -> anyhow::Result<Status> {
    for picture in qbench_analysis::graph(&args.input, &args.output, &palette())? {
        println!("{}", picture.display());
    }
    Ok(Status::Done)
}
