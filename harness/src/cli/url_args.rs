//! Flags that take a server's address, one for each product that has servers.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use qbench_engines::ENGINES;
use qbench_engines::engine::{Engine, UrlFlag};

/// Every product that has servers, with its flag.
pub fn server_engines() -> impl Iterator<Item = (&'static dyn Engine, &'static UrlFlag)> {
    ENGINES.iter().filter_map(|engine| Some((*engine, engine.url_flag()?)))
}

/// Addresses as given by flags.
#[derive(Debug, Clone, Default)]
pub struct UrlArgs {
    /// Flag and address, in the order of the products.
    given: Vec<(&'static UrlFlag, String)>,
}

impl UrlArgs {
    /// The address that `flag` was given.
    pub fn get(&self, flag: &UrlFlag) -> Option<&String> {
        self.given.iter().find(|(known, _)| known.name == flag.name).map(|(_, url)| url)
    }
}

impl Args for UrlArgs {
    fn augment_args(command: Command) -> Command {
        server_engines().fold(command, |command, (_, flag)| {
            let arg = Arg::new(flag.name).long(flag.name).value_name("URL").help(flag.help).help_heading("Servers");
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for UrlArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(_, flag): (_, &'static UrlFlag)| Some((flag, matches.get_one::<String>(flag.name)?.clone()));
        Ok(UrlArgs { given: server_engines().filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
