//! `qbench quick`: the main job, small.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use super::Status;
use super::layers::{SettingsArgs, prepare_out};
use super::matrix::{self, CellArgs, Matrix};
use super::variation::VariationArgs;

/// The four designs that the reference compares.
const BACKENDS: &str = "skip_locked,delete_returning,partitioned,valkey_streams";

/// Compare four queues in three scenarios in a few minutes: runs, tables and six pictures
///
/// Runs the matrix with the quick profile, prints a table per scenario, draws the charts, and says where everything is.
/// It shows that everything works here; for conclusions use `qbench matrix --profile standard --repeat 5`.
#[derive(Debug, Args)]
pub struct QuickArgs {
    /// Backends, as for `qbench matrix`
    #[arg(long, value_name = "LIST", default_value = BACKENDS, value_delimiter = ',')]
    backends: Vec<String>,
    /// Scenarios by id or path, separated by commas
    #[arg(long, value_name = "LIST", default_value = "cold,warm,load", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Folder for everything (default: `results/quick_<time>`)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn main(args: QuickArgs) -> anyhow::Result<Status> {
    let settings = args.settings.read()?;
    let out = args.out.or(settings.out.clone()).unwrap_or_else(|| {
        PathBuf::from(format!("results/quick_{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S")))
    });
    let cells = CellArgs { backends: Some(args.backends), scenarios: Some(args.scenarios) };
    let variation = VariationArgs::default().read(&args.settings)?;
    let matrix = Matrix::new(&cells, &variation, &args.settings, settings, NonZeroU32::MIN, &out)?;
    prepare_out(&out)?;
    let outcome = matrix.run(false)?;
    if outcome.interrupted {
        eprintln!("Interrupted; the results so far are in {}.", out.display());
        return Ok(Status::Failed);
    }
    println!("{outcome}");
    let analysis = qbench_analysis::analyze(std::slice::from_ref(&out), &out.join("analysis"))?;
    print!("{}", analysis.table);
    for problem in &analysis.problems {
        eprintln!("qbench: {problem}");
    }
    let pictures = qbench_analysis::graph(&out.join("analysis").join("summary.csv"), &out.join("graphs"))?;
    println!("\nresults   {}", out.display());
    println!("tables    {}", out.join("analysis").display());
    println!("pictures  {} ({} PNG files)", out.join("graphs").display(), pictures.len());
    Ok(matrix::status(&outcome))
}
