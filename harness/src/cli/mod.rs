//! The command line: one file per command. The only place that knows every crate of the workspace.

#[macro_use]
mod output;

mod analyze;
mod calibrate;
mod capacity;
mod compare;
mod doctor;
mod exit;
mod export;
mod graph;
mod hiccup_meter;
mod layers;
mod list;
mod logging;
mod matrix;
mod observe;
mod palette;
mod progress;
mod quick;
mod relay;
mod report;
mod run;
mod secrets;
mod services;
mod signals;
mod study;
mod url_args;
mod variation;
mod verdict;
mod verify;
mod workload_args;

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

use crate::run::{METER_COMMAND, RELAY_COMMAND};
use exit::Status;

/// Measures job queues under one identical open-loop load and audits every job.
///
/// `qbench quick` does the main job, small. `qbench list backends` and `qbench list scenarios` show what there is;
/// docs/METHODOLOGY.md says what the figures mean.
#[derive(Debug, Parser)]
#[command(name = "qbench", version, max_term_width = 110, after_help = EXIT_STATUS_HELP)]
struct Cli {
    /// Say more on standard error; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS_HELP: &str = "\
Settings can also stand in qbench.toml and in QBENCH_… variables: a flag beats a variable beats the file beats the profile.
Exit status: 0 done; 1 failed; 2 bad usage or configuration; 3 finished, but a result is not valid;\n4 `compare --fail-on` found what it was asked to find, or `calibrate --compare` two machines that are not alike.";

#[derive(Debug, Subcommand)]
enum Command {
    Quick(quick::QuickArgs),
    Run(run::RunArgs),
    Matrix(matrix::MatrixArgs),
    Analyze(analyze::AnalyzeArgs),
    Compare(compare::CompareArgs),
    Capacity(capacity::CapacityArgs),
    Graph(graph::GraphArgs),
    Report(report::ReportArgs),
    Export(export::ExportArgs),
    Study(study::StudyArgs),
    Verify(verify::VerifyArgs),
    List(list::ListArgs),
    Doctor(doctor::DoctorArgs),
    Calibrate(calibrate::CalibrateArgs),
    Services(services::ServicesArgs),
    /// Measure how late this machine wakes up somebody who sleeps; a run starts it
    #[command(name = METER_COMMAND, hide = true)]
    HiccupMeter,
    /// Start and watch a server on this host for a run on another one, over standard input and output; `run --observer` starts it
    #[command(name = qbench_engines::observe::COMMAND, hide = true)]
    Observe,
    /// Hold back what passes, to make the way to a server longer; a run with --delay starts it
    #[command(name = RELAY_COMMAND, hide = true)]
    Relay(relay::RelayArgs),
}

/// Runs the program with the arguments and the environment of this process. `revision` is the git revision that it was built
/// from.
pub fn main(revision: &str) -> ExitCode {
    // First of all: until then everybody on this machine can read them.
    if let Err(error) = secrets::move_passwords_out_of_arguments() {
        return exit::code(Err(error));
    }
    let cli = Cli::parse();
    logging::start(cli.verbose);
    let result = match cli.command {
        Command::Quick(args) => quick::main(args, revision),
        Command::Run(args) => run::main(args, revision),
        Command::Matrix(args) => matrix::main(args, revision),
        Command::Analyze(args) => analyze::main(args),
        Command::Compare(args) => compare::main(args),
        Command::Capacity(args) => capacity::main(args, revision),
        Command::Graph(args) => graph::main(args),
        Command::Report(args) => report::main(args),
        Command::Export(args) => export::main(args),
        Command::Study(args) => study::main(args, revision),
        Command::Verify(args) => verify::main(args),
        Command::List(args) => list::main(args),
        Command::Doctor(args) => doctor::main(args),
        Command::Calibrate(args) => calibrate::main(args),
        Command::Services(args) => services::main(args),
        Command::HiccupMeter => hiccup_meter::main(),
        Command::Observe => observe::main(revision),
        Command::Relay(args) => relay::main(&args),
    };
    exit::code(result)
}
