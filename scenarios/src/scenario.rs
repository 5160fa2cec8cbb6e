//! Scenarios: what state the server is in and what else happens while the load runs.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use qbench_schema::result::Activity;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::overrides::{Origin, Overrides, scalar};
use crate::wire;
use crate::workload::{JobsPerSecond, Workload};
use crate::{keys, source::Source};

/// The scenarios that are compiled in, in the order in which tables show them: id and text.
const SHIPPED: [(&str, &str); 6] = [
    ("cold", include_str!("../cold.toml")),
    ("warm", include_str!("../warm.toml")),
    ("load", include_str!("../load.toml")),
    ("flat_out", include_str!("../flat_out.toml")),
    ("enqueue", include_str!("../enqueue.toml")),
    ("drain", include_str!("../drain.toml")),
];

/// Longest id: it becomes part of file names.
const MAX_ID_CHARS: usize = 40;
/// Most pgbench clients, and largest scale (about 16 MB each).
const MAX_PGBENCH: u32 = 1_000;

/// State of the server when the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// A new data directory, and the page cache dropped where that is permitted.
    Fresh,
    /// Whatever setup and warm-up leave behind.
    Warm,
}

impl ServerState {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Fresh => "fresh",
            ServerState::Warm => "warm",
        }
    }
}

/// Load before the measured phase. A profile or a flag may change how long it is, never whether there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warmup {
    /// Jobs per second.
    pub rate: JobsPerSecond,
    /// Its length.
    pub duration: Duration,
}

/// pgbench (its TPC-B-like script) beside the queue for the whole of the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pgbench {
    /// Concurrent clients.
    pub clients: NonZeroU32,
    /// Scale factor; at least the number of clients (METHODOLOGY F4).
    pub scale: NonZeroU32,
}

/// What a run asks.
#[derive(Clone)]
pub struct Scenario {
    /// Its name on the command line and in file names.
    pub id: String,
    /// The question that it answers, one sentence.
    pub question: String,
    /// What it cannot tell, a sentence each.
    pub limitations: Vec<String>,
    /// State of the server when the run starts.
    pub server: ServerState,
    /// Load before the measured phase, if any.
    pub warmup: Option<Warmup>,
    /// Which sides of the queue work in the measured phase.
    pub activity: Activity,
    /// What else runs during the measured phase, if anything.
    pub background: Option<Pgbench>,
    /// Settings of the workload that the question depends on; they beat the profile.
    pub overrides: Overrides,
    /// The file's content as `table.key` and value, for the manifest.
    pub as_written: BTreeMap<String, String>,
}

/// A scenario as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Wire {
    id: String,
    question: String,
    limitations: Vec<String>,
    server: ServerWire,
    #[serde(default)]
    measured: MeasuredWire,
    warmup: Option<WarmupWire>,
    background: Option<BackgroundWire>,
    #[serde(default)]
    workload: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ServerWire {
    state: ServerState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MeasuredWire {
    activity: Activity,
}

impl Default for MeasuredWire {
    fn default() -> Self {
        MeasuredWire { activity: Activity::Both }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WarmupWire {
    rate: toml::Value,
    duration: toml::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BackgroundWire {
    pgbench: PgbenchWire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PgbenchWire {
    clients: u32,
    scale: u32,
}

impl Scenario {
    /// The shipped scenario of that name, or the one in the file at that path (anything with a `/` or ending in `.toml`).
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name; [`Error::Read`] for a file that cannot be read; as
    /// [`Scenario::parse`] otherwise.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let (text, path) = wire::find("scenario", name_or_path, &SHIPPED)?;
        let scenario = Scenario::parse(&text, &path)?;
        if let Some((_, shipped)) = SHIPPED.iter().find(|(id, _)| *id == scenario.id)
            && Scenario::parse(shipped, &path)?.as_written != scenario.as_written
        {
            let problem = "a shipped scenario of that name asks something else, and their results could not be told apart: \
                           choose another id";
            return Err(Error::value(format!("{path}: id = \"{}\"", scenario.id), problem));
        }
        Ok(scenario)
    }

    /// Every shipped scenario, in the order in which tables show them.
    ///
    /// # Errors
    /// None in a released build: a test reads them all.
    pub fn shipped() -> Result<Vec<Self>> {
        SHIPPED.iter().map(|(id, _)| Scenario::load(id)).collect()
    }

    /// Reads and checks the text of a scenario file; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Shape`] for text that is not a scenario's; [`Error::UnknownKey`] and [`Error::Value`] for what is
    /// unknown or impossible in it.
    pub fn parse(text: &str, path: &str) -> Result<Self> {
        let wire: Wire = wire::read(text, path)?;
        let refuse = |place: String, problem: &str| Error::value(format!("{path}: {place}"), problem);

        let id = wire.id;
        let letters = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !letters || !id.starts_with(|c: char| c.is_ascii_lowercase()) || id.len() > MAX_ID_CHARS {
            return Err(refuse(
                format!("id = {id:?}"),
                "an id becomes part of file names: at most 40 of a-z, 0-9 and _, starting with a letter",
            ));
        }
        for (key, text) in std::iter::once(("question", &wire.question))
            .chain(wire.limitations.iter().map(|text| ("limitations", text)))
        {
            if text.trim().is_empty() {
                return Err(refuse(key.to_owned(), "an empty sentence says nothing"));
            }
        }
        if wire.server.state == ServerState::Fresh && wire.warmup.is_some() {
            return Err(refuse(
                "server.state = \"fresh\" with a [warmup] table".into(),
                "a server is not fresh any more after a warm-up: leave one of them out",
            ));
        }
        for key in ["warmup", "warmup-rate"] {
            if wire.workload.contains_key(key) {
                return Err(refuse(
                    format!("workload.{key}"),
                    "a scenario's warm-up stands in its [warmup] table, as rate and duration",
                ));
            }
        }

        Ok(Scenario {
            overrides: Overrides::from_table(&wire.workload, Origin::Scenario(path.to_owned()))?,
            warmup: wire.warmup.map(|warmup| warmup.check(path)).transpose()?,
            background: wire.background.map(|background| background.pgbench.check(path)).transpose()?,
            activity: wire.measured.activity,
            as_written: flatten(&wire::read(text, path)?),
            id,
            question: wire.question,
            limitations: wire.limitations,
            server: wire.server.state,
        })
    }

    /// Lays the scenario's warm-up over the defaults. Below the profile, which may shorten it.
    pub(crate) fn apply_warmup(&self, workload: &mut Workload, sources: &mut BTreeMap<&'static str, Source>) {
        if let Some(warmup) = self.warmup {
            workload.warmup = warmup.duration;
            workload.warmup_rate = warmup.rate;
            sources.insert("warmup", Source::Scenario);
            sources.insert("warmup-rate", Source::Scenario);
        }
    }
}

impl WarmupWire {
    fn check(self, path: &str) -> Result<Warmup> {
        let mut workload = Workload::default();
        for (field, key, value) in [("rate", "warmup-rate", &self.rate), ("duration", "warmup", &self.duration)] {
            let text = scalar(value).unwrap_or_default();
            let parsed = keys::find(key).map(|spec| (spec.parse)(&mut workload, &text));
            if let Some(Err(problem)) = parsed {
                return Err(Error::value(format!("{path}: warmup.{field} = {value}"), problem));
            }
        }
        if workload.warmup.is_zero() {
            let place = format!("{path}: warmup.duration = {}", self.duration);
            return Err(Error::value(place, "a warm-up of no length is none: leave the [warmup] table out"));
        }
        Ok(Warmup { rate: workload.warmup_rate, duration: workload.warmup })
    }
}

impl PgbenchWire {
    fn check(self, path: &str) -> Result<Pgbench> {
        let within = |key: &str, number: u32| {
            NonZeroU32::new(number).filter(|number| number.get() <= MAX_PGBENCH).ok_or_else(|| {
                let place = format!("{path}: background.pgbench.{key} = {number}");
                Error::value(place, format!("expected a whole number from 1 to {MAX_PGBENCH}"))
            })
        };
        let pgbench = Pgbench { clients: within("clients", self.clients)?, scale: within("scale", self.scale)? };
        if pgbench.scale < pgbench.clients {
            let Pgbench { clients, scale } = pgbench;
            let problem = format!(
                "with {clients} clients on {scale} branch rows pgbench waits for itself: use a scale of at least {clients}"
            );
            return Err(Error::value(format!("{path}: background.pgbench.scale = {scale}"), problem));
        }
        Ok(pgbench)
    }
}

/// `table.key` and the value as TOML writes it.
fn flatten(table: &toml::Table) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                flat.extend(flatten(inner).into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => {
                flat.insert(key.clone(), value.to_string());
            }
        }
    }
    flat
}
