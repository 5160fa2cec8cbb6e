//! `qbench list`: what there is.

use clap::{Args, ValueEnum};
use qbench_backends::registry::{BACKENDS, EngineKind};
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
    for entry in BACKENDS {
        let engine = match entry.engine {
            EngineKind::Postgres => "PostgreSQL",
            EngineKind::Valkey => "Valkey",
            EngineKind::Sqlite => "SQLite",
            EngineKind::InProcess => "in process",
        };
        println!("{:<17} {:<11} {}", entry.id, engine, entry.summary);
        for option in entry.options {
            println!("{:<29} --set {}={}  {}", "", option.key, option.default, option.help);
        }
    }
    Ok(())
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
