//! Flags of the workload, made from the one table of settings.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use qbench_scenarios::KEYS;

/// Workload flags as given, by setting name; checked later, together with the other layers.
#[derive(Debug, Clone, Default)]
pub struct WorkloadArgs {
    /// Setting and text, in the order of the table.
    pub given: Vec<(&'static str, String)>,
}

impl Args for WorkloadArgs {
    fn augment_args(mut command: Command) -> Command {
        for key in KEYS {
            let arg = Arg::new(key.name).long(key.name).help(key.help).help_heading("Workload");
            command = command.arg(match key.value_name {
                Some(value_name) => arg.value_name(value_name).action(ArgAction::Set).allow_hyphen_values(true),
                None => arg.action(ArgAction::SetTrue),
            });
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for WorkloadArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = KEYS
            .iter()
            .filter_map(|key| match key.value_name {
                Some(_) => matches.get_one::<String>(key.name).map(|text| (key.name, text.clone())),
                None => matches.get_flag(key.name).then(|| (key.name, "true".to_owned())),
            })
            .collect();
        Ok(WorkloadArgs { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
