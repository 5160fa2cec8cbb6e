//! A layer of settings: the values that one file, the environment or the command line gave.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::keys::{self, KeySpec, VARIABLE_PREFIX};
use crate::nearest::did_you_mean;
use crate::source::Source;
use crate::wire;
use crate::workload::Workload;

/// Where a layer was written; decides its rank and how messages point at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// `QBENCH_…` variables.
    Environment,
    /// A settings file, by its path.
    File(String),
    /// The `[base]` table of a plan file, by its path.
    Plan(String),
    /// The `[workload]` table of a scenario, by the file's name.
    Scenario(String),
    /// The `[workload]` table of a profile, by the file's name.
    Profile(String),
}

impl Origin {
    /// Its rank among the layers.
    pub fn source(&self) -> Source {
        match self {
            Origin::Flag => Source::Flag,
            Origin::Environment => Source::Environment,
            Origin::File(_) => Source::File,
            Origin::Plan(_) => Source::Plan,
            Origin::Scenario(_) => Source::Scenario,
            Origin::Profile(_) => Source::Profile,
        }
    }

    /// The place of one value, as the user wrote it.
    fn place(&self, key: &str, value: &str) -> String {
        match self {
            Origin::Flag => format!("--{key} {value}"),
            Origin::Environment => format!("{}={value}", keys::variable(key)),
            Origin::File(path) => format!("{path}: {key} = {value}"),
            Origin::Plan(path) => format!("{path}: base.{key} = {value}"),
            Origin::Scenario(path) | Origin::Profile(path) => format!("{path}: workload.{key} = {value}"),
        }
    }

    /// The place as a whole.
    fn name(&self) -> String {
        match self {
            Origin::Flag => "command line".into(),
            Origin::Environment => "environment".into(),
            Origin::File(path) | Origin::Plan(path) => path.clone(),
            Origin::Scenario(path) | Origin::Profile(path) => format!("{path}, table workload"),
        }
    }
}

/// Values of one layer; settings that it does not mention are left to the layers below.
#[derive(Clone)]
pub struct Overrides {
    origin: Origin,
    /// The settings that were given, by name.
    given: BTreeMap<&'static str, &'static KeySpec>,
    /// Their values; the other fields mean nothing.
    values: Workload,
}

/// What a file or the environment held: settings of the workload, and other names that the caller permitted.
pub struct Layer {
    /// The workload's.
    pub overrides: Overrides,
    /// The others, by name (`pg-url`), each with its value or, for a list in a file, its values.
    pub others: BTreeMap<String, Vec<String>>,
}

impl Overrides {
    /// An empty layer.
    pub fn new(origin: Origin) -> Self {
        Overrides { origin, given: BTreeMap::new(), values: Workload::default() }
    }

    /// Where it was written.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Names of the settings that it gives.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.keys().copied()
    }

    /// Gives a setting a value; a second one for the same setting replaces the first.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest name; [`Error::Value`] when the value is not possible.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.set_shown(key, value, value, &[])
    }

    /// [`Overrides::set`] with the value as the messages show it, and `others` as further names that exist.
    fn set_shown(&mut self, key: &str, value: &str, shown: &str, others: &[&str]) -> Result<()> {
        let spec = keys::find(key).ok_or_else(|| Error::UnknownKey {
            place: self.origin.name(),
            key: key.to_owned(),
            hint: keys::hint(key, others),
        })?;
        (spec.parse)(&mut self.values, value)
            .map_err(|problem| Error::value(self.origin.place(key, shown), problem))?;
        self.given.insert(spec.name, spec);
        Ok(())
    }

    /// Reads the `QBENCH_…` variables out of `variables` and leaves all others alone. `others` are permitted names that
    /// are no settings of the workload, as they stand on the command line (`pg-url` for `QBENCH_PG_URL`).
    ///
    /// # Errors
    /// As [`Overrides::set`]. Values of unknown variables are not repeated: they may be secrets.
    pub fn from_env(variables: impl IntoIterator<Item = (String, String)>, others: &[&str]) -> Result<Layer> {
        let mut layer = Layer { overrides: Overrides::new(Origin::Environment), others: BTreeMap::new() };
        for (variable, value) in variables {
            if !variable.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            let names = keys::KEYS.iter().map(|key| key.name).chain(others.iter().copied());
            let Some(name) = names.clone().find(|name| keys::variable(name) == variable) else {
                let known: Vec<String> = names.map(keys::variable).collect();
                let hint = did_you_mean(&variable, known.iter().map(String::as_str));
                return Err(Error::UnknownKey { place: "environment".into(), key: variable, hint });
            };
            if others.contains(&name) {
                layer.others.insert(name.to_owned(), vec![value]);
            } else {
                layer.overrides.set(name, &value)?;
            }
        }
        Ok(layer)
    }

    /// Reads a settings file (`qbench.toml`): one key per setting, named as on the command line. `others` are permitted
    /// keys that are no settings of the workload; they hold a value or a list of values.
    ///
    /// # Errors
    /// [`Error::Shape`] when it is not TOML; as [`Overrides::set`] otherwise. Values of other keys are not repeated.
    pub fn from_toml(text: &str, path: &str, others: &[&str]) -> Result<Layer> {
        let table: toml::Table = wire::read(text, path)?;
        let mut layer = Layer { overrides: Overrides::new(Origin::File(path.to_owned())), others: BTreeMap::new() };
        for (key, value) in &table {
            if !others.contains(&key.as_str()) {
                layer.overrides.set_toml(key, value, others)?;
                continue;
            }
            let values = match value {
                toml::Value::Array(values) => values.iter().map(scalar).collect(),
                value => scalar(value).map(|value| vec![value]),
            };
            let expected = || Error::value(format!("{path}: {key}"), "expected a value or a list of values");
            layer.others.insert(key.clone(), values.ok_or_else(expected)?);
        }
        Ok(layer)
    }

    /// The layer of a `[workload]` table.
    pub(crate) fn from_table(table: &toml::Table, origin: Origin) -> Result<Self> {
        let mut overrides = Overrides::new(origin);
        for (key, value) in table {
            overrides.set_toml(key, value, &[])?;
        }
        Ok(overrides)
    }

    fn set_toml(&mut self, key: &str, value: &toml::Value, others: &[&str]) -> Result<()> {
        let text = match (keys::find(key), scalar(value)) {
            (_, Some(text)) => text,
            (None, None) => String::new(),
            (Some(_), None) => {
                let place = self.origin.place(key, &value.to_string());
                return Err(Error::value(place, "expected a single value"));
            }
        };
        self.set_shown(key, &text, &value.to_string(), others)
    }

    /// Lays this layer over `workload` and notes its rank as the source of every value that it gives.
    pub(crate) fn apply(&self, workload: &mut Workload, sources: &mut BTreeMap<&'static str, Source>) {
        for (name, spec) in &self.given {
            (spec.copy)(&self.values, workload);
            sources.insert(name, self.origin.source());
        }
    }
}

/// A single TOML value as the command line would write it.
pub(crate) fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
