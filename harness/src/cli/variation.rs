//! What a matrix varies: `--vary` and `--plan` as variants, each with its settings.

use std::collections::BTreeSet;

use clap::Args;
use qbench_scenarios::{Axis, Origin, Pairs, Sweep, Variant, combinations};
use qbench_schema::variant::RunVariant;

use super::layers::{Settings, SettingsArgs, variable_keys};
use qbench_ground::usage::Usage;

/// What varies between the runs of a matrix.
#[derive(Debug, Clone, Default, Args)]
pub struct VariationArgs {
    /// Run every cell with each of these values of a setting or backend option; several make every combination
    #[arg(long, value_name = "KEY=V1,V2,…", conflicts_with = "plan")]
    vary: Vec<String>,
    /// Take backends, scenarios, settings and what varies from a shipped plan (see `qbench list plans`) or a plan file
    #[arg(long, value_name = "ID|FILE")]
    plan: Option<String>,
}

/// The variants of a matrix; one that changes nothing where none is varied.
pub struct Variation {
    plan: Option<Sweep>,
    variants: Vec<Variant>,
}

impl VariationArgs {
    /// The plan that was named.
    pub fn plan(&self) -> Option<String> {
        self.plan.clone()
    }

    /// The same flags for a matrix elsewhere.
    pub fn to_arguments(&self) -> Vec<String> {
        let vary = self.vary.iter().flat_map(|axis| ["--vary".to_owned(), axis.clone()]);
        let plan = self.plan.iter().flat_map(|plan| ["--plan".to_owned(), plan.clone()]);
        vary.chain(plan).collect()
    }

    /// Reads the flags and the plan file.
    ///
    /// # Errors
    /// [`Usage`] for what is unknown, impossible, or both varied and given by a flag of `args`.
    pub fn read(&self, args: &SettingsArgs) -> anyhow::Result<Variation> {
        let options = variable_keys();
        let plan = self.plan.as_ref().map(|plan| Sweep::load(plan, &options)).transpose()?;
        let variants = match &plan {
            Some(plan) => plan.variants.clone(),
            None => {
                let axes = self.vary.iter().map(|text| Axis::parse(text, &options));
                combinations(&axes.collect::<Result<Vec<_>, _>>()?)?
            }
        };
        let variation = Variation { plan, variants };
        let varied = variation.varied_keys();
        match args.given_names().find(|name| varied.contains(name)) {
            Some(name) => {
                let problem = format!("{name} is given by a flag, and it is what is varied: leave one of the two out");
                Err(Usage(problem).into())
            }
            None => Ok(variation),
        }
    }
}

impl Variation {
    /// What a plan varies that was read already.
    pub fn of_plan(plan: Sweep) -> Self {
        Variation { variants: plan.variants.clone(), plan: Some(plan) }
    }

    /// Backends that the plan names.
    pub fn backends(&self) -> Option<Vec<String>> {
        self.plan.as_ref().map(|plan| plan.backends.clone())
    }

    /// Scenarios that the plan names.
    pub fn scenarios(&self) -> Option<Vec<String>> {
        self.plan.as_ref().map(|plan| plan.scenarios.clone())
    }

    /// Settings whose values differ between the variants.
    pub fn varied_keys(&self) -> BTreeSet<&str> {
        self.variants.iter().flat_map(|variant| &variant.settings).map(|(key, _)| key.as_str()).collect()
    }

    /// All variants as one text, by which a matrix that goes on knows itself again; `None` where nothing varies.
    pub fn in_words(&self) -> Option<String> {
        let words = |variant: &Variant| {
            let pairs: Vec<String> = variant.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let pairs = pairs.join(",");
            if pairs == variant.name { pairs } else { format!("{}: {pairs}", variant.name) }
        };
        self.is_varied().then(|| self.variants.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    fn is_varied(&self) -> bool {
        self.variants.iter().any(|variant| !variant.name.is_empty())
    }

    /// Each variant: what results call it, what it sets, and `settings` with the plan's base below and its own on top.
    ///
    /// # Errors
    /// None that [`VariationArgs::read`] has not found already.
    pub fn variants(&self, settings: &Settings) -> anyhow::Result<Vec<SettledVariant<'_>>> {
        let based = match &self.plan {
            Some(plan) => settings.with(&plan.base, Origin::Plan(plan.path.clone()))?,
            None => settings.clone(),
        };
        let climbs = self.plan.as_ref().is_some_and(|plan| plan.climbs);
        let climbed_keys: Vec<String> = self.varied_keys().into_iter().filter(|_| climbs).map(str::to_owned).collect();
        (1..)
            .zip(&self.variants)
            .map(|(place, variant)| {
                let identity = RunVariant {
                    plan: self.plan.as_ref().map(|plan| plan.id.clone()).unwrap_or_default(),
                    name: variant.name.clone(),
                    place,
                    climbs,
                    climbed_keys: climbed_keys.clone(),
                };
                Ok(SettledVariant {
                    identity: (!variant.name.is_empty()).then_some(identity),
                    pairs: &variant.settings,
                    settings: based.with(&variant.settings, Origin::Flag)?,
                })
            })
            .collect()
    }
}

/// One variant, ready to be run.
pub struct SettledVariant<'a> {
    /// What results call it; `None` where nothing varies.
    pub identity: Option<RunVariant>,
    /// What it sets.
    pub pairs: &'a Pairs,
    /// All settings of its runs.
    pub settings: Settings,
}
