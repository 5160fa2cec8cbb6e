//! `qbench list`: what there is.

use clap::{Args, ValueEnum};
use qbench_backends::external;
use qbench_backends::registry::{BACKENDS, EngineKind, Entry};
use qbench_scenarios::{KEYS, Profile, Scenario};

use super::Status;

/// Show the backends, scenarios or profiles that there are
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to show
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Backends,
    Scenarios,
    Profiles,
}

pub fn main(args: ListArgs) -> anyhow::Result<Status> {
    match args.what {
        What::Backends => backends()?,
        What::Scenarios => scenarios()?,
        What::Profiles => profiles()?,
    }
    Ok(Status::Done)
}

fn backends() -> anyhow::Result<()> {
    BACKENDS.iter().for_each(show);
    for adapter in external::all() {
        match adapter {
            Ok(entry) => show(entry),
            Err(error) => println!("{:<17} {:<11} cannot be used: {error}", external::PREFIX, ""),
        }
    }
    Ok(())
}

fn show(entry: &Entry) {
    let engine = match entry.engine {
        EngineKind::Postgres => "PostgreSQL",
        EngineKind::Valkey => "Valkey",
        EngineKind::InProcess => "in process",
    };
    println!("{:<17} {:<11} {}", entry.id, engine, entry.summary);
    for option in entry.options {
        println!("{:<29} --set {}={}  {}", "", option.key, option.default, option.help);
    }
}

fn scenarios() -> anyhow::Result<()> {
    for scenario in Scenario::shipped()? {
        println!("{:<8} {}", scenario.id, scenario.question);
        for limitation in &scenario.limitations {
            println!("{:<8} - {limitation}", "");
        }
    }
    Ok(())
}

fn profiles() -> anyhow::Result<()> {
    for profile in Profile::shipped()? {
        println!("{:<9} {}", profile.id, profile.purpose);
        let plan = qbench_scenarios::resolve(&profile, &Scenario::load("warm")?, &[])?;
        for key in KEYS {
            println!("{:<9} --{} {}", "", key.name, key.value_of(&plan.workload));
        }
    }
    Ok(())
}
