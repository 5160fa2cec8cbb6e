//! `qbench report`: one page that answers.

use std::path::PathBuf;

use clap::Args;

use super::Status;
use super::palette::palette;
use super::study;

/// Write one page that answers: report.html, readable anywhere, without a request to anybody
///
/// Begins with what the data say, each with its interval, or why they cannot; then capacity, latency, ratios, cost, validity, and the settings side
/// by side. Of the runs of a study it answers the questions. It is read without any script; with one, latencies and single runs can be explored.
/// For instance:
/// qbench report results/equal --output results/equal/report.html
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of results; a capacity.json in it or in its folder `capacity` is shown, too
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Backend that all others are compared with (default: that of the study, else the first one)
    #[arg(long, value_name = "ID")]
    reference: Option<String>,
    /// The page
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub fn main(args: ReportArgs) -> anyhow::Result<Status> {
    let mut asked = study::asked_in(std::slice::from_ref(&args.dir))?.unwrap_or_default();
    asked.reference = args.reference.or(asked.reference);
    for problem in qbench_analysis::report(&args.dir, &args.output, &asked, &palette())? {
        eprintln!("qbench: {problem}");
    }
    println!("{}", args.output.display());
    Ok(Status::Done)
}
