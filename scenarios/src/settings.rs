//! The layers of settings laid over each other: flag > environment > file > plan > scenario > profile > default.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use qbench_schema::manifest::ConfiguredValue;
use qbench_schema::result::Activity;

use crate::capacity::Capacity;
use crate::error::{Error, Result};
use crate::keys::KEYS;
use crate::overrides::Overrides;
use crate::profile::Profile;
use crate::scenario::Scenario;
use crate::source::Source;
use crate::workload::Workload;

/// Everything that a run is, before anything runs.
#[derive(Clone)]
pub struct RunPlan {
    /// Id of the profile.
    pub profile: String,
    /// What the run asks.
    pub scenario: Scenario,
    /// Its load.
    pub workload: Workload,
    /// What that load means for the workers; already judged.
    pub capacity: Capacity,
    /// Every setting of the workload by its command-line name, with where it came from.
    pub configuration: BTreeMap<String, ConfiguredValue>,
}

/// Lays `layers` (in any order: each knows its rank) over scenario, profile and defaults.
///
/// Two things do not follow the order of ranks. A profile may change the *length and rate* of a scenario's warm-up, so
/// that a quick run is quick. And nothing gives a warm-up to a scenario that has none: with one, `cold` would not be cold
/// any more, and a flag that is meant for the other scenarios of a matrix should not break this one.
///
/// # Errors
/// [`crate::Error::Together`] when values exclude each other, [`crate::Error::Overload`] when the load exceeds what the
/// workers can carry and `allow-overload` is not set.
pub fn resolve(profile: &Profile, scenario: &Scenario, layers: &[Overrides]) -> Result<RunPlan> {
    resolve_shared(profile, scenario, layers, NonZeroU32::MIN)
}

/// The same where so many generators share the load: rate and schedule are those of all of them, workers and producers those of each.
///
/// # Errors
/// Those of [`resolve`].
pub fn resolve_shared(
    profile: &Profile,
    scenario: &Scenario,
    layers: &[Overrides],
    generators: NonZeroU32,
) -> Result<RunPlan> {
    let mut workload = Workload::default();
    let mut sources: BTreeMap<&'static str, Source> = BTreeMap::new();

    scenario.apply_warmup(&mut workload, &mut sources);
    let mut layers: Vec<&Overrides> = layers.iter().chain([&profile.overrides, &scenario.overrides]).collect();
    layers.sort_by_key(|layer| layer.origin().source());
    for layer in layers {
        layer.apply(&mut workload, &mut sources);
    }
    if scenario.warmup.is_none() {
        workload.warmup = Duration::ZERO;
        sources.insert("warmup", Source::Scenario);
    }

    workload.check()?;
    check_activity(scenario, &workload)?;
    let capacity = Capacity::of(&workload, generators);
    capacity.check(&workload)?;
    let configuration = KEYS
        .iter()
        .map(|key| {
            let source = sources.get(key.name).copied().unwrap_or(Source::Default);
            (key.name.to_owned(), ConfiguredValue { value: key.value_of(&workload), source: source.name().to_owned() })
        })
        .collect();
    Ok(RunPlan { profile: profile.id.clone(), scenario: scenario.clone(), workload, capacity, configuration })
}

/// Checks that the load fits the sides of the queue that work.
fn check_activity(scenario: &Scenario, workload: &Workload) -> Result<()> {
    let refuse = |problem: &str| Err(Error::Together(format!("scenario {}: {problem}", scenario.id)));
    match scenario.activity {
        Activity::Both => Ok(()),
        Activity::Enqueue | Activity::Drain if !workload.saturate => {
            refuse("with one side of the queue at rest there is no load to follow a schedule: leave saturate = true")
        }
        Activity::Drain if workload.prefill == 0 => {
            refuse("there is nothing to drain: set --prefill to the size of the backlog")
        }
        Activity::Enqueue | Activity::Drain => Ok(()),
    }
}
