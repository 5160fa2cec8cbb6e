//! `qbench doctor`: whether this machine has what the runs need.

use clap::Args;

use super::Status;
use qbench_engines::ENGINES;
use qbench_ground::priority;

/// Say which servers would be used, and what this machine does not allow
#[derive(Debug, Args)]
pub struct DoctorArgs {}

pub fn main(_args: DoctorArgs) -> anyhow::Result<Status> {
    let mut healthy = true;
    for engine in ENGINES {
        match engine.describe_programs() {
            Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
            Err(error) => {
                healthy &= !engine.is_standard();
                println!("{}: {error}", engine.title());
            }
        }
    }
    println!("{}", priority::raise_process());
    println!("{}", priority::pacer_priority());
    Ok(if healthy { Status::Done } else { Status::Failed })
}
