//! `qbench relay`: what a run with `--delay` puts between its clients and the server.

use std::io;
use std::time::Duration;

use clap::Args;
use qbench_engines::relay::serve;

use super::Status;

#[derive(Debug, Args)]
pub struct RelayArgs {
    /// Microseconds that are added to each round trip
    #[arg(long, value_name = "N")]
    delay_us: u64,
    /// Where what comes is taken: a port is opened for each
    #[arg(value_name = "HOST:PORT", required = true)]
    targets: Vec<String>,
}

pub fn main(args: &RelayArgs) -> anyhow::Result<Status> {
    // It was started as /proc/self/exe, and lists of processes would call it `exe`. A name is only for people.
    let _ = nix::sys::prctl::set_name(c"qbench-relay");
    serve(Duration::from_micros(args.delay_us), &args.targets, io::stdin().lock(), io::stdout().lock())?;
    Ok(Status::Done)
}
