//! `qbench hiccup-meter`: what a run starts beside itself, to tell a pause of the machine from one of its own.

use std::io;

use qbench_engines::monitor::hiccups::process::serve;

use super::Status;

pub fn main() -> anyhow::Result<Status> {
    // It was started as /proc/self/exe, and lists of processes would call it `exe`. A name is only for people.
    let _ = nix::sys::prctl::set_name(c"qbench-hiccups");
    serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(Status::Done)
}
