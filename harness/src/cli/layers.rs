//! Collects what flags, variables and qbench.toml say, and makes a run's request of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use qbench_backends::registry::{self, backends};
use qbench_backends::{EngineKind, Entry};
use qbench_backends::{ServerUrl, external};
use qbench_engines::ENGINES;
use qbench_engines::engine::Engine;
use qbench_engines::observe::command::ObserverCommand;
use qbench_engines::servers::GivenServers;
use qbench_scenarios::{Layer, Origin, Overrides, Pairs, Profile, RunPlan, Scenario, Source, did_you_mean, resolve};
use qbench_schema::manifest::ConfiguredValue;
use qbench_schema::result::{Durability, word};

use super::secrets;
use super::url_args::{UrlArgs, server_engines};
use super::workload_args::WorkloadArgs;
use crate::run::RunRequest;
use qbench_ground::pinning::{Cores, Pinning};
use qbench_ground::usage::Usage;

/// Settings file that is read when it stands in the working directory.
const SETTINGS_FILE: &str = "qbench.toml";

/// Profile when none is named.
const DEFAULT_PROFILE: &str = "quick";

/// Names beside the workload's that may stand in the environment and in qbench.toml.
fn other_names() -> Vec<&'static str> {
    let urls = server_engines().map(|(_, flag)| flag.name);
    ["profile"].into_iter().chain(urls).chain(["durability", "pin", "set", "out"]).chain(APART_NAMES).collect()
}

/// Names of what says that the server is on another host than the load.
const APART_NAMES: [&str; 4] = [OBSERVER, "server-host", "observer-program", SERVER_ADDRESS];
const OBSERVER: &str = "observer";
const SERVER_ADDRESS: &str = "server-address";

/// Variables that are read where they are needed and mean nothing in a file.
const ONLY_VARIABLES: [&str; 4] = ["tmpdir", "progress", "adapters", secrets::MOVED_FLAGS_NAME];

/// Flags that `run`, `matrix` and `quick` share.
#[derive(Debug, Clone, Args)]
pub struct SettingsArgs {
    /// Size of the load: quick, standard or paper (default: quick)
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// Read settings from this file instead of ./qbench.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Option of a backend (see `qbench list backends`), or any workload setting by its name
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Bind roles to cores, for instance server=0-1,harness=2 (roles: server, harness, background); private servers only
    #[arg(long, value_name = "ROLE=CORES")]
    pin: Option<String>,
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    apart: ApartArgs,
}

/// The host of the server, where that is another one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Client and server apart")]
pub struct ApartArgs {
    /// Start the server on another host, or watch a given one there: the host by the name that ssh knows it by
    #[arg(long, value_name = "NAME")]
    server_host: Option<String>,
    /// The same by whatever leads to `qbench observe` over there, for instance "ip netns exec db1"; "" is this host. No secrets: it stands
    /// in the manifest
    #[arg(long, value_name = "COMMAND")]
    observer: Option<String>,
    /// qbench on that host (default: the path that this program has here)
    #[arg(long, value_name = "PATH")]
    observer_program: Option<String>,
    /// Address at which servers on that host are reached from here (default: the one that ssh reached)
    #[arg(long, value_name = "ADDRESS")]
    server_address: Option<String>,
}

/// Where the server is, when it is started or watched by an observer.
#[derive(Debug, Clone)]
struct ApartSettings {
    observer: ObserverCommand,
    address: Option<IpAddr>,
}

impl ApartSettings {
    /// What leads to the server's host. This is where its name becomes a way there.
    ///
    /// # Errors
    /// [`Usage`] for what excludes each other.
    fn new(
        server_host: Option<String>,
        observer: Option<String>,
        program: Option<String>,
        address: Option<String>,
    ) -> anyhow::Result<Option<Self>> {
        let program = match program {
            Some(program) => program,
            None => std::env::current_exe().context("cannot find this very program")?.display().to_string(),
        };
        let observer = match (server_host, observer) {
            (Some(_), Some(_)) => {
                return Err(Usage(
                    "--server-host and --observer both say where the server is: leave one of them out".into(),
                )
                .into());
            }
            (Some(host), None) => ObserverCommand::by_ssh(&host, program),
            (None, Some(prefix)) => ObserverCommand::new(&prefix, program),
            (None, None) if address.is_some() => {
                return Err(Usage(
                    "--server-address needs --server-host or --observer: it is an address of that host".into(),
                )
                .into());
            }
            (None, None) => return Ok(None),
        };
        let address = address.map(|text| {
            text.parse().map_err(|_| {
                Usage(format!("--server-address {text}: expected an address in numbers, such as 10.0.0.2"))
            })
        });
        Ok(Some(ApartSettings { observer, address: address.transpose()? }))
    }
}

/// Where the servers are. Without these, private ones are started for each run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Servers")]
pub struct ServerArgs {
    #[command(flatten)]
    pub urls: UrlArgs,
    #[arg(long, value_name = "d0|d1|d2", help = durability_help(|engine| engine.needs_a_place()))]
    pub durability: Option<String>,
}

/// What the classes are, and which one a run gets by itself, by product.
pub fn durability_help(is_shown: impl Fn(&dyn Engine) -> bool) -> String {
    let engines = ENGINES.iter().filter(|engine| is_shown(**engine));
    let defaults = engines.map(|engine| {
        format!("{} for {}", format!("{:?}", engine.default_durability()).to_lowercase(), engine.title())
    });
    format!(
        "What survives a crash: d0 nothing, d1 all but a bounded tail, d2 everything (default: {})",
        defaults.collect::<Vec<_>>().join(", ")
    )
}

/// All layers, read and checked one by one.
#[derive(Clone)]
pub struct Settings {
    profile: Profile,
    layers: Vec<Overrides>,
    /// Backend options, of whatever backend knows them.
    options: BTreeMap<String, ConfiguredValue>,
    /// Where the values beside the workload and the options came from, by name.
    sources: BTreeMap<&'static str, Source>,
    /// The user's servers, if they should be used.
    pub given: GivenServers,
    durability: Option<Durability>,
    pinning: Pinning,
    apart: Option<ApartSettings>,
    /// Folder for results from a variable or the file.
    pub out: Option<PathBuf>,
}

impl SettingsArgs {
    /// For a command that only needs servers.
    pub fn of_servers(servers: ServerArgs) -> Self {
        SettingsArgs {
            profile: None,
            config: None,
            set: Vec::new(),
            pin: None,
            workload: WorkloadArgs::default(),
            servers,
            apart: ApartArgs::default(),
        }
    }

    /// Reads all layers.
    ///
    /// # Errors
    /// [`Usage`] for anything unknown or impossible.
    pub fn read(&self) -> anyhow::Result<Settings> {
        self.read_with(option_keys())
    }

    /// Reads all layers for a run of `entry`, which may be an adapter that is in none of the adapter folders.
    ///
    /// # Errors
    /// As [`SettingsArgs::read`].
    pub fn read_for(&self, entry: &'static Entry) -> anyhow::Result<Settings> {
        self.read_with(option_keys().into_iter().chain(entry.options.iter().map(|option| option.key)).collect())
    }

    fn read_with(&self, option_keys: Vec<&'static str>) -> anyhow::Result<Settings> {
        let file = self.read_file()?;
        let permitted: Vec<&str> = other_names().into_iter().chain(ONLY_VARIABLES).collect();
        let variables =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        let environment = Overrides::from_env(variables, &permitted)?;

        let mut flags = Overrides::new(Origin::Flag);
        for (key, value) in &self.workload.given {
            flags.set(key, value)?;
        }
        let mut options = BTreeMap::new();
        let file_sets = file.as_ref().and_then(|layer| layer.others.get("set")).into_iter().flatten();
        let variable_sets = environment.others.get("set").into_iter().flatten().flat_map(|list| list.split(','));
        let pairs = (file_sets.map(|pair| (pair.as_str(), Source::File)))
            .chain(variable_sets.map(|pair| (pair, Source::Environment)))
            .chain(self.set.iter().map(|pair| (pair.as_str(), Source::Flag)));
        let mut set_durability = None;
        for (pair, source) in pairs {
            match pair.split_once('=') {
                Some((DURABILITY, class)) => set_durability = Some((class.to_owned(), source)),
                _ => take_pair(pair, source, &option_keys, &mut flags, &mut options)?,
            }
        }

        let mut sources = BTreeMap::new();
        let moved = environment.others.get(secrets::MOVED_FLAGS_NAME).and_then(|names| names.first().cloned());
        let mut one = |flag: Option<&String>, name: &'static str| -> Option<String> {
            let from = |layer: &Layer| layer.others.get(name).and_then(|values| values.first().cloned());
            let flag = flag.map(|value| (value.clone(), Source::Flag));
            let was_flag = moved.as_deref().is_some_and(|moved| moved.split(',').any(|moved| moved == name));
            let environment_source = if was_flag { Source::Flag } else { Source::Environment };
            let (value, source) = flag
                .or_else(|| Some((from(&environment)?, environment_source)))
                .or_else(|| Some((from(file.as_ref()?)?, Source::File)))?;
            sources.insert(name, source);
            Some(value)
        };
        let profile = one(self.profile.as_ref(), "profile");
        let durability = one(self.servers.durability.as_ref(), DURABILITY);
        let given = server_engines()
            .filter_map(|(engine, flag)| {
                Some((engine.kind(), ServerUrl::new(one(self.servers.urls.get(flag), flag.name)?)))
            })
            .collect();
        let pinning = one(self.pin.as_ref(), "pin").map(|text| parse_pinning(&text)).transpose()?.unwrap_or_default();
        let ApartArgs { server_host, observer, observer_program, server_address } = &self.apart;
        let apart = ApartSettings::new(
            one(server_host.as_ref(), "server-host"),
            one(observer.as_ref(), OBSERVER),
            one(observer_program.as_ref(), "observer-program"),
            one(server_address.as_ref(), SERVER_ADDRESS),
        )?;
        let out = one(None, "out").map(PathBuf::from);
        // They say the same.
        if let Some(source) = sources.get("server-host").copied() {
            sources.insert(OBSERVER, source);
        }
        // The flag of that name is plainer than one of `--set`.
        let durability = match (durability, set_durability) {
            (Some(class), Some((_, source))) if source != Source::Flag || self.servers.durability.is_some() => {
                Some(class)
            }
            (_, Some((class, source))) => {
                sources.insert(DURABILITY, source);
                Some(class)
            }
            (class, None) => class,
        };
        let durability = durability.map(|word| parse_durability(&word)).transpose()?;
        let settings = Settings {
            profile: Profile::load(profile.as_deref().unwrap_or(DEFAULT_PROFILE))?,
            given,
            durability,
            pinning,
            apart,
            options,
            sources,
            out,
            layers: file.map(|layer| layer.overrides).into_iter().chain([environment.overrides, flags]).collect(),
        };
        Ok(settings)
    }

    /// Names of the settings and options that are given by flags.
    pub fn given_names(&self) -> impl Iterator<Item = &str> {
        let sets = self.set.iter().filter_map(|pair| pair.split_once('=')).map(|(key, _)| key);
        let durability = self.servers.durability.as_ref().map(|_| DURABILITY);
        self.workload.given.iter().map(|(key, _)| *key).chain(sets).chain(durability)
    }

    /// The same flags for a run of its own, but for options of backends: a run is given those that its backend has. No
    /// address with a password is among them: the program moves such flags into its environment before it reads them, or
    /// does not run at all (see [`super::secrets`]), and a child inherits that.
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: String| arguments.extend([format!("--{flag}"), value]);
        if let Some(profile) = &self.profile {
            add("profile", profile.clone());
        }
        if let Some(config) = &self.config {
            add("config", config.display().to_string());
        }
        for pair in self.set.iter().filter(|pair| !pair.split_once('=').is_some_and(|(key, _)| is_option(key))) {
            add("set", pair.clone());
        }
        let servers = &self.servers;
        let urls = server_engines().map(|(_, flag)| (flag.name, servers.urls.get(flag)));
        let apart = &self.apart;
        let others = [
            ("durability", servers.durability.as_ref()),
            ("pin", self.pin.as_ref()),
            ("server-host", apart.server_host.as_ref()),
            (OBSERVER, apart.observer.as_ref()),
            ("observer-program", apart.observer_program.as_ref()),
            (SERVER_ADDRESS, apart.server_address.as_ref()),
        ];
        for (flag, value) in urls.chain(others) {
            if let Some(value) = value {
                add(flag, value.clone());
            }
        }
        for (key, value) in &self.workload.given {
            match qbench_scenarios::KEYS.iter().any(|spec| spec.name == *key && spec.value_name.is_none()) {
                true => arguments.push(format!("--{key}")),
                false => arguments.extend([format!("--{key}"), value.clone()]),
            }
        }
        arguments
    }

    fn read_file(&self) -> anyhow::Result<Option<Layer>> {
        let path = match &self.config {
            Some(path) => path.as_path(),
            None if Path::new(SETTINGS_FILE).exists() => Path::new(SETTINGS_FILE),
            None => return Ok(None),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Usage(format!("cannot read the settings file {}: {error}", path.display())))?;
        Ok(Some(Overrides::from_toml(&text, &path.display().to_string(), &other_names())?))
    }
}

/// The setting that is no one backend's option and yet the server's.
const DURABILITY: &str = "durability";

/// Keys of all backends' options.
pub fn option_keys() -> Vec<&'static str> {
    // An adapter that cannot be read says so where it is asked for.
    let adapters = external::all();
    let adapters = adapters.iter().flatten().copied().filter(|entry| setting_among_options(entry).is_none());
    let entries = backends().chain(adapters);
    entries.flat_map(|entry| entry.options).map(|option| option.key).collect()
}

/// An option of `entry` that has the name of a setting of the workload, which it would hide.
fn setting_among_options(entry: &Entry) -> Option<&'static str> {
    let is_setting = |key: &str| qbench_scenarios::KEYS.iter().any(|spec| spec.name == key);
    entry.options.iter().map(|option| option.key).find(|key| is_setting(key))
}

/// Keys that a plan and `--vary` know beside the settings of the workload.
pub fn variable_keys() -> Vec<&'static str> {
    option_keys().into_iter().chain([DURABILITY]).collect()
}

fn is_option(key: &str) -> bool {
    option_keys().contains(&key)
}

/// A `KEY=VALUE` is an option when some backend has one of that name, else a setting of the workload.
fn take_pair(
    pair: &str,
    source: Source,
    option_keys: &[&'static str],
    flags: &mut Overrides,
    options: &mut BTreeMap<String, ConfiguredValue>,
) -> anyhow::Result<()> {
    let (key, value) = pair
        .split_once('=')
        .ok_or_else(|| Usage(format!("--set {pair}: expected KEY=VALUE, for instance --set commit=ack")))?;
    if option_keys.contains(&key) {
        options.insert(key.to_owned(), ConfiguredValue { value: value.to_owned(), source: source.name().to_owned() });
        return Ok(());
    }
    let settings = qbench_scenarios::KEYS.iter().map(|spec| spec.name);
    if settings.clone().any(|name| name == key) {
        flags.set(key, value)?;
        return Ok(());
    }
    let hint = did_you_mean(key, option_keys.iter().copied().chain(settings));
    Err(Usage(format!("--set {pair}: unknown key `{key}`{hint}")).into())
}

fn parse_pinning(text: &str) -> anyhow::Result<Pinning> {
    let available = Cores::of_this_process().context("cannot find out which cores this process may use")?;
    Ok(Pinning::parse(text, &available)?)
}

fn parse_durability(word: &str) -> Result<Durability, Usage> {
    match word {
        "d0" => Ok(Durability::D0),
        "d1" => Ok(Durability::D1),
        "d2" => Ok(Durability::D2),
        _ => Err(Usage(format!("durability {word}: expected d0, d1 or d2"))),
    }
}

impl Settings {
    /// These settings and `pairs`, which rank as `origin` says: those of a flag beat what is there, those of a plan give way.
    ///
    /// # Errors
    /// [`Usage`] for a value that cannot be.
    pub fn with(&self, pairs: &Pairs, origin: Origin) -> anyhow::Result<Settings> {
        let mut settings = self.clone();
        let source = origin.source();
        let mut layer = Overrides::new(origin);
        for (key, value) in pairs {
            let gives_way = |given: bool| source != Source::Flag && given;
            if key == DURABILITY {
                let class = parse_durability(value)?;
                if !gives_way(settings.durability.is_some()) {
                    settings.durability = Some(class);
                    settings.sources.insert(DURABILITY, source);
                }
            } else if !is_option(key) {
                layer.set(key, value)?;
            } else if !gives_way(settings.options.contains_key(key)) {
                let configured = ConfiguredValue { value: value.clone(), source: source.name().to_owned() };
                settings.options.insert(key.clone(), configured);
            }
        }
        settings.layers.push(layer);
        Ok(settings)
    }

    /// What a run of `entry` must be told beside the flags that it shares with others, as `--set` arguments: the options that
    /// it has, and the settings that `plan` has from a plan file.
    pub fn own_arguments(&self, entry: &Entry, plan: &RunPlan) -> Vec<String> {
        let told = |configured: &ConfiguredValue, sources: &[Source]| {
            sources.iter().any(|source| source.name() == configured.source)
        };
        let options = self.options.iter().filter(|(key, configured)| {
            entry.options.iter().any(|option| option.key == **key) && told(configured, &[Source::Flag, Source::Plan])
        });
        let settings = plan.configuration.iter().filter(|(_, configured)| told(configured, &[Source::Plan]));
        let argument = |key: &str, value: &str| ["--set".to_owned(), format!("{key}={value}")];
        let arguments = options.chain(settings).flat_map(|(key, configured)| argument(key, &configured.value));
        let durability = self.durability.filter(|_| self.sources.get(DURABILITY) == Some(&Source::Plan));
        arguments.chain(durability.into_iter().flat_map(|class| argument(DURABILITY, &word(class)))).collect()
    }

    /// The plan of a run in `scenario`.
    ///
    /// # Errors
    /// [`Usage`] when values exclude each other or the load exceeds the capacity of the workers.
    pub fn plan(&self, scenario: &Scenario) -> anyhow::Result<RunPlan> {
        Ok(resolve(&self.profile, scenario, &self.layers)?)
    }

    /// The given options that `entry` has. Options of other backends are left out: in a matrix they are meant for those.
    pub fn options_of(&self, entry: &Entry) -> BTreeMap<String, String> {
        let known = |key: &str| entry.options.iter().any(|option| option.key == key);
        let own = self.options.iter().filter(|(key, _)| known(key));
        own.map(|(key, option)| (key.clone(), option.value.clone())).collect()
    }

    /// Options that `entry` does not have, though the user named them together with this backend alone.
    ///
    /// # Errors
    /// [`Usage`] naming the first of them and what the backend does have.
    pub fn refuse_foreign_options(&self, entry: &Entry) -> Result<(), Usage> {
        let own: Vec<&str> = entry.options.iter().map(|option| option.key).collect();
        match self.options.keys().find(|key| !own.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) if own.is_empty() => Err(Usage(format!("--set {key}: backend {} has no options", entry.id))),
            Some(key) => {
                Err(Usage(format!("--set {key}: backend {} has no such option; it has {}", entry.id, own.join(", "))))
            }
        }
    }

    /// A run of `entry` as these settings describe it, with its files in the working directory.
    pub fn request(&self, entry: &'static Entry, plan: RunPlan) -> RunRequest {
        RunRequest {
            entry,
            options: self.options_of(entry),
            configuration: self.configuration_of(entry),
            durability: self.durability_of(entry.engine),
            given: self.given.clone(),
            observer: self.apart.as_ref().map(|apart| apart.observer.clone()),
            server_address: self.apart.as_ref().and_then(|apart| apart.address),
            pinning: self.pinning.clone(),
            plan,
            out: PathBuf::new(),
            block: 1,
            variant: None,
            study: None,
            command_line: Vec::new(),
            revision: String::new(),
            scheduling: Vec::new(),
        }
    }

    /// Everything beside the workload that a run of `entry` is configured with, with where it came from; for the manifest.
    pub fn configuration_of(&self, entry: &Entry) -> BTreeMap<String, ConfiguredValue> {
        let source = |name: &str| self.sources.get(name).copied().unwrap_or(Source::Default).name().to_owned();
        let address = |engine| self.given.of(engine).map_or("private".to_owned(), ServerUrl::redacted);
        let addresses = server_engines().map(|(engine, flag)| (flag.name, address(engine.kind())));
        let durability = word(self.durability_of(entry.engine));
        let named = [("profile", self.profile.id.clone()), (DURABILITY, durability), ("pin", self.pinning.to_string())];
        let apart = self.apart.as_ref().map(|apart| {
            let address = apart.address.map_or("told by the channel".to_owned(), |address| address.to_string());
            [(OBSERVER, format!("`{}`", apart.observer)), (SERVER_ADDRESS, address)]
        });
        let named = named.into_iter().chain(apart.into_iter().flatten());
        let named = named
            .chain(addresses)
            .map(|(name, value)| (name.to_owned(), ConfiguredValue { value, source: source(name) }));
        let options = entry.options.iter().map(|option| {
            let default =
                || ConfiguredValue { value: option.default.to_owned(), source: Source::Default.name().to_owned() };
            (format!("set.{}", option.key), self.options.get(option.key).cloned().unwrap_or_else(default))
        });
        named.chain(options).collect()
    }

    /// Durability class to ask of a backend's engine.
    pub fn durability_of(&self, engine: EngineKind) -> Durability {
        self.durability.unwrap_or_else(|| qbench_engines::of(engine).default_durability())
    }
}

/// The registry's entry of `id`.
///
/// # Errors
/// [`Usage`] with the nearest known id, or with what is wrong with an adapter.
pub fn find_backend(id: &str) -> Result<&'static Entry, Usage> {
    let found = registry::resolve(id).map_err(|error| Usage(error.to_string()))?;
    if let Some((entry, key)) = found.and_then(|entry| Some((entry, setting_among_options(entry)?))) {
        let id = entry.id;
        return Err(Usage(format!(
            "{id}: its option `{key}` has the name of a setting of every run; give it another one"
        )));
    }
    found.ok_or_else(|| {
        let adapters: Vec<&str> = external::all().into_iter().flatten().map(|entry| entry.id).collect();
        let known = backends().map(|entry| entry.id).chain(adapters);
        Usage(format!("unknown backend `{id}`{}", did_you_mean(id, known)))
    })
}

/// Creates the folder that results go to, and checks that it can be written to before anything is measured.
///
/// # Errors
/// When it cannot; the sentence names the folder and what the system said.
pub fn prepare_out(dir: &Path) -> anyhow::Result<()> {
    let attempt = || {
        std::fs::create_dir_all(dir)?;
        tempfile::tempfile_in(dir).map(drop)
    };
    attempt().with_context(|| format!("cannot write results to {}; choose another folder with --out", dir.display()))
}
