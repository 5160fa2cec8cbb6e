//! `qbench list`: what there is.

use clap::{Args, ValueEnum};
use qbench_backends::Entry;
use qbench_backends::external;
use qbench_backends::registry;
use qbench_scenarios::{KEYS, Profile, Scenario, Sweep, Variant};

use super::Status;
use super::layers::variable_keys;

/// Show the backends, scenarios, profiles or plans that there are
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
    Plans,
}

pub fn main(args: ListArgs) -> anyhow::Result<Status> {
    match args.what {
        What::Backends => backends()?,
        What::Scenarios => scenarios()?,
        What::Profiles => profiles()?,
        What::Plans => plans()?,
    }
    Ok(Status::Done)
}

fn backends() -> anyhow::Result<()> {
    registry::backends().for_each(show);
    for adapter in external::all() {
        match adapter {
            Ok(entry) => show(entry),
            Err(error) => println!("{:<17} {:<11} cannot be used: {error}", external::PREFIX, ""),
        }
    }
    Ok(())
}

fn show(entry: &Entry) {
    println!("{:<17} {:<11} {}", entry.id, qbench_engines::of(entry.engine).title(), entry.summary);
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

fn plans() -> anyhow::Result<()> {
    for plan in Sweep::shipped(&variable_keys())? {
        println!("{:<8} {}", plan.id, plan.question);
        for limitation in &plan.limitations {
            println!("{:<8} - {limitation}", "");
        }
        println!("{:<8} backends {}; scenarios {}", "", plan.backends.join(","), plan.scenarios.join(","));
        // The first rung of a climb changes nothing.
        let mut before = plan.variants.first().filter(|_| plan.climbs).map_or(&[][..], |first| &first.settings);
        for variant in &plan.variants {
            println!("{:<8} {}", "", in_words(variant, plan.climbs, before));
            before = &variant.settings;
        }
    }
    Ok(())
}

/// A variant in a line. Of a rung that climbs only what it changes is shown.
fn in_words(variant: &Variant, climbs: bool, before: &[(String, String)]) -> String {
    let own = variant.settings.iter().filter(|pair| !climbs || !before.contains(pair));
    let own: Vec<String> = own.map(|(key, value)| format!("{key}={value}")).collect();
    match own.join(" ") {
        own if climbs && !own.is_empty() => format!("{:<12} + {own}", variant.name),
        own if variant.name.contains('=') => own,
        own => format!("{:<12} {own}", variant.name).trim_end().to_owned(),
    }
}
