//! `qbench quick`: the main job, small.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use qbench_analysis::Asked;
use qbench_scenarios::Scenario;

use super::Status;
use super::layers::{SettingsArgs, prepare_out};
use super::matrix::{self, CellArgs, MachineArgs, Matrix};
use super::palette::palette;
use super::selection;
use super::variation::VariationArgs;
use qbench_engines::background;
use qbench_engines::postgres::PostgresPrograms;
use qbench_engines::services;
use qbench_ground::usage::Usage;

/// The three best known designs on PostgreSQL, and one on Valkey.
const BACKENDS: &str = "skip_locked,delete_returning,partitioned,valkey_streams";

/// Scenario of the runs for capacities, and their folder.
const FLAT_OUT: &str = "flat_out";

/// Compare four queues in three scenarios in a few minutes: runs, tables and six pictures
///
/// Runs the matrix with the quick profile, then each queue once flat out, for its capacity. Prints a table per scenario, draws the charts, and
/// says where everything is.
/// It shows that everything works here; for conclusions use `qbench matrix --profile standard --repeat 5`.
#[derive(Debug, Args)]
pub struct QuickArgs {
    /// Backends, as for `qbench matrix`
    #[arg(long, value_name = "LIST", default_value = BACKENDS, value_delimiter = ',')]
    backends: Vec<String>,
    /// Scenarios by id or path, separated by commas
    #[arg(long, value_name = "LIST", default_value = "cold,warm,load", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Leave out the runs flat out
    #[arg(long)]
    no_flat_out: bool,
    #[command(flatten)]
    machine: MachineArgs,
    /// Folder for everything (default: `results/quick_<time>`)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub fn main(args: QuickArgs, revision: &str) -> anyhow::Result<Status> {
    let settings = args.settings.read()?;
    let out = args.out.or(settings.out.clone()).unwrap_or_else(|| {
        PathBuf::from(format!("results/quick_{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S")))
    });
    let scenarios = match needs_postgres(&args.backends)? || settings.given.of(background::ENGINE.kind()).is_some() {
        true => args.scenarios,
        false => without_background(args.scenarios, PostgresPrograms::of_machine().map(|_| ()))?,
    };
    let variation = VariationArgs::default().read(&args.settings)?;
    let matrix = |scenarios: Vec<String>, out: &Path| {
        let cells = CellArgs { backends: Some(args.backends.clone()), scenarios: Some(scenarios) };
        Matrix::new(&cells, &variation, &args.settings, settings.clone(), NonZeroU32::MIN, out, revision)
    };
    let on_schedule = matrix(scenarios, &out)?;
    // In a folder of their own: these are no cells of the comparison.
    let flat_out_dir = out.join(FLAT_OUT);
    let flat_out = if args.no_flat_out { None } else { Some(matrix(vec![FLAT_OUT.to_owned()], &flat_out_dir)?) };
    prepare_out(&out)?;
    let mut folders = vec![out.clone()];
    let outcome = on_schedule.run(false, args.machine)?;
    let mut of_flat_out = None;
    if let Some(flat_out) = flat_out.filter(|_| !outcome.interrupted) {
        eprintln!("Now each queue once flat out, for its capacity.");
        of_flat_out = Some(flat_out.run(false, args.machine)?);
        folders.push(flat_out_dir);
    }
    if outcome.interrupted || of_flat_out.as_ref().is_some_and(|outcome| outcome.interrupted) {
        eprintln!("Interrupted; the results so far are in {}.", out.display());
        return Ok(Status::Failed);
    }
    println!("{outcome}");
    // A queue that is faster than this program beside it is no fault of the comparison: it is told, and decides nothing.
    if let Some(outcome) = &of_flat_out {
        println!("flat out: {outcome}");
    }
    let analysis = qbench_analysis::analyze(&folders, &out.join("analysis"), &Asked::default(), &palette())?;
    print!("{}", analysis.table);
    for problem in &analysis.problems {
        eprintln!("qbench: {problem}");
    }
    let pictures = qbench_analysis::graph(&out.join("analysis").join("summary.csv"), &out.join("graphs"), &palette())?;
    println!("\nresults   {}", out.display());
    println!("tables    {}", out.join("analysis").display());
    println!("pictures  {} ({} PNG files)", out.join("graphs").display(), pictures.len());
    let broke = of_flat_out.is_some_and(|outcome| !outcome.failed.is_empty());
    Ok(if broke { Status::Failed } else { matrix::status(&outcome) })
}

/// Whether a backend has its jobs in a PostgreSQL, so that nothing works without one.
fn needs_postgres(backends: &[String]) -> anyhow::Result<bool> {
    Ok(selection::select_backends(backends)?.iter().any(|entry| entry.engine == background::ENGINE.kind()))
}

/// Leaves out the scenarios whose background load has no PostgreSQL to run on here, and says so: queues that need nothing
/// installed can then be compared where nothing is installed. Nothing is left out where there is one.
///
/// # Errors
/// [`Usage`] when no scenario is left.
fn without_background(scenarios: Vec<String>, postgres: services::Result<()>) -> anyhow::Result<Vec<String>> {
    let Err(missing) = postgres else { return Ok(scenarios) };
    let mut kept = Vec::new();
    for name in scenarios {
        if Scenario::load(&name)?.background.is_none() {
            kept.push(name);
        } else {
            eprintln!(
                "qbench: scenario {name} is left out, because its background load is pgbench on a PostgreSQL: {missing}"
            );
        }
    }
    if kept.is_empty() {
        return Err(Usage("no scenario is left that can run here".into()).into());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn nowhere() -> services::Result<()> {
        PostgresPrograms::find_in(&[]).map(|_| ())
    }

    #[test]
    fn without_a_postgresql_only_scenarios_with_a_background_load_are_left_out() {
        let all = names(&["cold", "warm", "load"]);
        assert_eq!(without_background(all.clone(), nowhere()).expect("some are left"), names(&["cold", "warm"]));
        assert_eq!(without_background(all.clone(), Ok(())).expect("all are left"), all);
        assert!(without_background(names(&["load"]), nowhere()).is_err());
    }

    #[test]
    fn embedded_queues_need_no_postgresql() {
        assert!(!needs_postgres(&names(&["sqlite", "memory"])).expect("known"));
        assert!(needs_postgres(&names(&["sqlite", "skip_locked"])).expect("known"));
    }
}
