//! `qbench doctor`: whether this machine has what the runs need.

use clap::Args;

use super::Status;
use qbench_engines::services::SearchPlaces;
use qbench_ground::priority;

/// Say which servers would be used, and what this machine does not allow
#[derive(Debug, Args)]
pub struct DoctorArgs {}

pub fn main(_args: DoctorArgs) -> anyhow::Result<Status> {
    let places = SearchPlaces::of_machine();
    let mut healthy = true;
    match places.find_postgres() {
        Ok(programs) => {
            println!("PostgreSQL {} in {}", programs.version, programs.postgres.display());
            println!("pgbench in {}", programs.pgbench.display());
        }
        Err(error) => {
            healthy = false;
            println!("PostgreSQL: {error}");
        }
    }
    match places.find_valkey() {
        Ok(program) => println!("{} {} in {}", program.engine, program.version, program.server.display()),
        Err(error) => {
            healthy = false;
            println!("Valkey: {error}");
        }
    }
    println!("{}", priority::raise_process());
    println!("{}", priority::pacer_priority());
    Ok(if healthy { Status::Done } else { Status::Failed })
}
