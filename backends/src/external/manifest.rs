//! `adapter.toml`: what an adapter states about itself, before anything of it runs.
//!
//! The contract stands here and not in the handshake, because limits are refused, matrices planned and lists printed
//! without starting anything.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use qbench_schema::result::Delivery;
use serde::Deserialize;

use super::folders::{FILE, PREFIX, cache_folder};
use super::protocol::{Consume, VERSION};
use crate::ROOMS;
use crate::capability::{Capabilities, Order, Recovery, Wake};
use crate::entry::{EngineKind, OptionSpec};
use crate::error::{Error, Result};

/// Largest batch where the manifest names none: nothing in the protocol limits it.
const MAX_BATCH: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// Options that are made of a list of ways.
const GENERATED: [&str; 2] = ["processes", "consume"];

/// How the run's producers and workers are spread over processes of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Processes {
    /// All of them in one.
    Shared,
    /// Each in one of its own.
    Each,
}

impl Processes {
    /// The word in manifests and options.
    pub(super) fn name(self) -> &'static str {
        match self {
            Processes::Shared => "shared",
            Processes::Each => "each",
        }
    }
}

/// One adapter, checked. Lives as long as the program.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Name, without the prefix.
    pub(super) name: &'static str,
    /// `external:<name>`.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) engine: EngineKind,
    /// Where `adapter.toml` is.
    pub(super) folder: PathBuf,
    pub(super) command: Vec<String>,
    /// Must exist; what the install command makes.
    installed: Option<PathBuf>,
    /// Command that makes it, as the user would type it.
    install: Option<String>,
    /// Supported ways, the default first.
    pub(super) processes: Vec<Processes>,
    /// Likewise.
    pub(super) consume: Vec<Consume>,
    /// Whether the library gathers completions of finished jobs by itself.
    pub(super) completion_buffer: bool,
    pub(super) capabilities: Capabilities,
    pub(super) options: &'static [OptionSpec],
    pub(super) variants: &'static [&'static [(&'static str, &'static str)]],
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// Looked at before the rest.
    #[serde(rename = "protocol")]
    _protocol: u32,
    name: String,
    summary: String,
    engine: String,
    command: Vec<String>,
    installed: Option<String>,
    install: Option<String>,
    #[serde(default = "shared")]
    processes: Vec<Processes>,
    consume: Vec<Consume>,
    #[serde(default)]
    completion_buffer: bool,
    contract: Contract,
    #[serde(default)]
    options: BTreeMap<String, WireOption>,
}

fn shared() -> Vec<Processes> {
    vec![Processes::Shared]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOption {
    default: String,
    help: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    delivery: WireDelivery,
    recovery: Recovery,
    wakes: Vec<Wake>,
    #[serde(default = "largest")]
    max_enqueue_batch: NonZeroU32,
    #[serde(default = "largest")]
    max_claim_batch: NonZeroU32,
    #[serde(default = "largest")]
    max_ack_batch: NonZeroU32,
    nack: bool,
    detects_stale_ack: bool,
    counts_attempts: bool,
    sees_in_flight: bool,
    order: WireOrder,
}

fn largest() -> NonZeroU32 {
    MAX_BATCH
}

/// The contracts that an adapter may declare: one of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireDelivery {
    AtMostOnce,
    AtLeastOnce,
}

/// The orders that an adapter may have: it knows no partitions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireOrder {
    None,
    Fifo,
}

/// What an adapter that needs no server says of its engine.
const NO_ENGINE: &str = "none";

/// The product that an adapter names as the one it needs a server of.
fn engine_called(name: &str) -> Result<EngineKind, String> {
    let engines = || ROOMS.iter().map(|room| room.engine);
    let called = engines().find(|engine| match name {
        NO_ENGINE => !engine.has_objects,
        _ => engine.has_server && engine.id == name,
    });
    called.ok_or_else(|| {
        let servers = engines().filter(|engine| engine.has_server).map(|engine| engine.id);
        let known: Vec<&str> = servers.chain([NO_ENGINE]).collect();
        format!("the engine `{name}` is unknown: expected one of {}", known.join(", "))
    })
}

impl Manifest {
    /// Reads and checks `adapter.toml` in `folder`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the file and what is wrong with it.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let refused = |problem: String| Error::config(format!("adapter {}: {problem}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(|error| refused(error.to_string()))?;
        let folder = folder.canonicalize().map_err(|error| refused(error.to_string()))?;
        // Looked at first: a file for another version may have other fields.
        #[derive(Deserialize)]
        struct Version {
            protocol: u32,
        }
        let version: Version = toml::from_str(&text).map_err(|error| refused(error.message().to_owned()))?;
        if version.protocol != VERSION {
            return Err(refused(format!("it is for protocol {}, and this qbench speaks {VERSION}", version.protocol)));
        }
        let wire: Wire = toml::from_str(&text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        Self::check(wire, folder).map_err(refused)
    }

    /// Reads the manifest of an adapter that is found by the name of its folder.
    ///
    /// # Errors
    /// As [`Manifest::read`]; also when it calls itself something else.
    pub(super) fn read_named(folder: &Path) -> Result<Self> {
        let manifest = Self::read(folder)?;
        match folder.file_name() {
            Some(name) if name != manifest.name => Err(Error::config(format!(
                "adapter {}: its name is `{}` and its folder's is `{}`; give both the same one",
                folder.join(FILE).display(),
                manifest.name,
                name.display()
            ))),
            _ => Ok(manifest),
        }
    }

    fn check(wire: Wire, folder: PathBuf) -> Result<Self, String> {
        let Wire { name, summary, engine, command, installed, install, processes, consume, .. } = wire;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("the name `{name}` must be of small letters, digits and _"));
        }
        for (key, is_empty) in [
            ("command", command.is_empty()),
            ("processes", processes.is_empty()),
            ("consume", consume.is_empty()),
            ("contract.wakes", wire.contract.wakes.is_empty()),
        ] {
            if is_empty {
                return Err(format!("`{key}` is an empty list"));
            }
        }
        if let Some(key) = wire.options.keys().find(|key| GENERATED.contains(&key.as_str())) {
            return Err(format!("the option `{key}` is made of the list `{key}`, and cannot be another one"));
        }
        let cache = cache_folder();
        let expand = |text: &str| text.replace("{cache}", &cache);
        let mut options: Vec<OptionSpec> = (wire.options.into_iter())
            .map(|(key, option)| OptionSpec { key: leak(key), default: leak(option.default), help: leak(option.help) })
            .collect();
        let mut variants: Vec<&'static [(&'static str, &'static str)]> = Vec::new();
        let spread: Vec<&'static str> = processes.iter().map(|way| way.name()).collect();
        let moves: Vec<&'static str> = consume.iter().map(|way| way.name()).collect();
        let [of_processes, of_consume] = GENERATED;
        for (key, words, help) in [
            (of_processes, spread, "producers and workers in processes of the adapter"),
            (of_consume, moves, "who moves first when a job goes to a worker"),
        ] {
            if words.len() > 1 {
                let help = leak(format!("{help}: {}", words.join(" or ")));
                options.push(OptionSpec { key, default: words[0], help });
                variants.extend(words[1..].iter().map(|word| &*Vec::leak(vec![(key, *word)])));
            }
        }
        Ok(Manifest {
            id: leak(format!("{PREFIX}{name}")),
            name: leak(name),
            summary: leak(summary),
            engine: engine_called(&engine)?,
            command: command.iter().map(|part| expand(part)).collect(),
            // Like everything in the file, relative to the folder.
            installed: installed.map(|path| folder.join(expand(&path))),
            install: install.map(|script| folder.join(script).display().to_string()),
            folder,
            processes,
            consume,
            completion_buffer: wire.completion_buffer,
            capabilities: wire.contract.into_capabilities(),
            options: Vec::leak(options),
            variants: Vec::leak(variants),
        })
    }

    /// What must be there to run it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming what is missing and the command that installs it.
    pub(super) fn require_installed(&self) -> Result<()> {
        match &self.installed {
            Some(path) if !path.exists() => {
                let remedy = match &self.install {
                    Some(command) => format!("install it with: {command}"),
                    None => "its adapter.toml names no command that installs it".to_owned(),
                };
                Err(Error::config(format!("{} is not installed ({} is missing); {remedy}", self.id, path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Where its library was installed, for the adapter's environment.
    pub(super) fn installed(&self) -> Option<&Path> {
        self.installed.as_deref()
    }
}

impl Contract {
    fn into_capabilities(self) -> Capabilities {
        Capabilities {
            delivery: match self.delivery {
                WireDelivery::AtMostOnce => Delivery::AtMostOnce,
                WireDelivery::AtLeastOnce => Delivery::AtLeastOnce,
            },
            recovery: self.recovery,
            max_enqueue_batch: self.max_enqueue_batch,
            max_claim_batch: self.max_claim_batch,
            max_ack_batch: self.max_ack_batch,
            nack: self.nack,
            detects_stale_ack: self.detects_stale_ack,
            counts_attempts: self.counts_attempts,
            sees_in_flight: self.sees_in_flight,
            order: match self.order {
                WireOrder::None => Order::None,
                WireOrder::Fifo => Order::Fifo,
            },
            connections: None,
            ..Capabilities::leased(Vec::leak(self.wakes), MAX_BATCH)
        }
    }
}

fn leak(text: String) -> &'static str {
    String::leak(text)
}

#[cfg(test)]
mod tests {
    use super::samples::{GOOD, check};
    use super::*;

    #[test]
    fn a_choice_of_ways_is_an_option_and_a_variant() {
        let manifest = check(GOOD).unwrap();
        assert_eq!((manifest.id, manifest.engine), ("external:toy", crate::in_process::ENGINE));
        let keys: Vec<_> = manifest.options.iter().map(|option| (option.key, option.default)).collect();
        assert_eq!(keys, [("consume", "pull")], "there is one way for processes, so nothing to choose");
        assert_eq!(manifest.variants, [&[("consume", "push")]]);
        assert_eq!(manifest.capabilities.max_claim_batch, MAX_BATCH);
    }

    #[test]
    fn what_is_not_installed_is_named_with_the_remedy() {
        let error = check(GOOD).unwrap().require_installed().unwrap_err().to_string();
        assert!(error.contains("qbench/adapters/toy is missing"), "{error}");
        assert!(error.ends_with("install it with: /adapters/toy/install.sh"), "{error}");
    }

    #[test]
    fn what_must_be_installed_is_looked_for_beside_the_manifest() {
        let manifest = check(&GOOD.replace("{cache}/toy", "lib/toy")).unwrap();
        assert_eq!(manifest.installed(), Some(Path::new("/adapters/toy/lib/toy")));
    }

    #[test]
    fn a_mistake_in_the_file_is_named() {
        for (from, to, said) in [
            ("\"toy\"\n        summary", "\"T oy\"\n        summary", "must be of small letters"),
            ("[\"toy\"]", "[]", "`command` is an empty list"),
            ("order = \"fifo\"", "order = \"lifo\"", "unknown variant `lifo`"),
            ("at_least_once", "unknown", "unknown variant `unknown`"),
            ("nack = true", "nack = true\n        nak = true", "unknown field `nak`"),
            (
                "order = \"fifo\"",
                "order = \"fifo\"\n        [options.consume]\n        default = \"x\"\n        help = \"x\"",
                "the option `consume` is made of the list `consume`",
            ),
        ] {
            let error = check(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}

/// A manifest to try things with.
#[cfg(test)]
pub(super) mod samples {
    use std::path::PathBuf;

    use crate::external::manifest::Manifest;

    pub(crate) const GOOD: &str = r#"
        protocol = 1
        name = "toy"
        summary = "a toy"
        engine = "none"
        command = ["toy"]
        installed = "{cache}/toy"
        install = "install.sh"
        consume = ["pull", "push"]
        [contract]
        delivery = "at_least_once"
        recovery = "lease_expiry"
        wakes = ["block"]
        nack = true
        detects_stale_ack = true
        counts_attempts = true
        sees_in_flight = true
        order = "fifo"
    "#;

    pub(crate) fn check(text: &str) -> Result<Manifest, String> {
        Manifest::check(toml::from_str(text).map_err(|error| error.to_string())?, PathBuf::from("/adapters/toy"))
    }
}
