//! Plan files: a matrix as data. Which backends and scenarios, with which settings, and what is varied between the runs.
//!
//! A file varies in one of three ways. `[vary]` lists values, and every combination is run. `[[rung]]` tables with `set` are
//! a list: each has settings of its own over `[base]`. `[[rung]]` tables with `change` are a *climb*: each is the one before
//! it and exactly one change of a value that `[base]` states, so that what a rung brought is what that change brought.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::overrides::scalar;
use crate::vary::{self, Axis, MAX_NAME_CHARS, Pairs, Variant};
use crate::wire;

/// The plan files that are compiled in: id and text.
const SHIPPED: [(&str, &str); 8] = [
    ("aa", include_str!("../plans/aa.toml")),
    ("equal", include_str!("../plans/equal.toml")),
    ("ladder", include_str!("../plans/ladder.toml")),
    ("partitions", include_str!("../plans/partitions.toml")),
    ("round-trip", include_str!("../plans/round-trip.toml")),
    ("scaling", include_str!("../plans/scaling.toml")),
    ("tuning", include_str!("../plans/tuning.toml")),
    ("waiting", include_str!("../plans/waiting.toml")),
];

/// A matrix as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Its name on the command line and in results.
    pub id: String,
    /// The question that it answers, one sentence.
    pub question: String,
    /// What it cannot tell, a sentence each.
    pub limitations: Vec<String>,
    /// Where it was read, for messages.
    pub path: String,
    /// Backends, as `--backends` takes them.
    pub backends: Vec<String>,
    /// Scenarios, as `--scenarios` takes them.
    pub scenarios: Vec<String>,
    /// Settings of every run; they beat scenario and profile.
    pub base: Pairs,
    /// What differs between the runs, at least one.
    pub variants: Vec<Variant>,
    /// Whether each variant is the one before it and one change.
    pub climbs: bool,
}

/// A plan file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Wire {
    id: String,
    question: String,
    limitations: Vec<String>,
    backends: Vec<String>,
    scenarios: Vec<String>,
    #[serde(default)]
    base: toml::Table,
    vary: Option<toml::Table>,
    #[serde(default)]
    rung: Vec<RungWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RungWire {
    name: String,
    set: Option<toml::Table>,
    change: Option<toml::Table>,
}

/// What a file is checked against: its path, and the keys of backends beside those of the workload.
struct Reader<'a> {
    path: &'a str,
    options: &'a [&'a str],
}

impl Sweep {
    /// The shipped plan of that name, or the one in the file at that path (anything with a `/` or ending in `.toml`).
    /// `options` are the keys that exist beside the workload's.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name; [`Error::Read`] for a file that cannot be read; as
    /// [`Sweep::parse`] otherwise.
    pub fn load(name_or_path: &str, options: &[&str]) -> Result<Self> {
        let (text, path) = wire::find("plan", name_or_path, &SHIPPED)?;
        Sweep::parse(&text, &path, options)
    }

    /// Every shipped plan.
    ///
    /// # Errors
    /// When one of them names a setting that does not exist.
    pub fn shipped(options: &[&str]) -> Result<Vec<Self>> {
        SHIPPED.iter().map(|(id, _)| Sweep::load(id, options)).collect()
    }

    /// Reads and checks the text of a plan file; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Shape`] for text that is not a plan's; [`Error::UnknownKey`], [`Error::Value`] and [`Error::Together`] for
    /// what is unknown or impossible in it.
    pub fn parse(text: &str, path: &str, options: &[&str]) -> Result<Self> {
        let wire: Wire = wire::read(text, path)?;
        let reader = Reader { path, options };
        reader.check_name("id", &wire.id)?;
        for (key, list) in [("backends", &wire.backends), ("scenarios", &wire.scenarios)] {
            if list.is_empty() {
                return Err(reader.refuse(key, "a plan needs at least one"));
            }
        }
        let base = reader.pairs("base", &wire.base)?;
        let climbs = wire.rung.iter().any(|rung| rung.change.is_some());
        let variants = match (&wire.vary, wire.rung.is_empty()) {
            (Some(_), false) => return Err(reader.refuse("vary", "a plan has either [vary] or [[rung]] tables")),
            (Some(vary), true) => vary::combinations(&reader.axes(vary)?)?,
            (None, true) => vec![Variant { name: String::new(), settings: Pairs::new() }],
            (None, false) if climbs => reader.climb(&wire.rung, &base)?,
            (None, false) => reader.list(&wire.rung)?,
        };
        Ok(Sweep {
            id: wire.id,
            question: wire.question,
            limitations: wire.limitations,
            path: path.to_owned(),
            backends: wire.backends,
            scenarios: wire.scenarios,
            base,
            variants,
            climbs,
        })
    }
}

impl Reader<'_> {
    fn refuse(&self, place: &str, problem: &str) -> Error {
        Error::value(format!("{}: {place}", self.path), problem)
    }

    fn check_name(&self, what: &str, name: &str) -> Result<()> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(is_plain) {
            return Err(self.refuse(
                &format!("{what} = {name:?}"),
                "a name becomes part of file names: at least one of a-z, 0-9, _ and -",
            ));
        }
        Ok(())
    }

    /// The settings of a table, each checked.
    fn pairs(&self, table: &str, settings: &toml::Table) -> Result<Pairs> {
        settings
            .iter()
            .map(|(key, value)| {
                let place = format!("{}: {table}.{key} = {value}", self.path);
                vary::known(key, &place, self.options)?;
                let Some(text) = scalar(value) else { return Err(Error::value(place, "expected a single value")) };
                vary::check(key, &text, &place, self.options)?;
                Ok((key.clone(), text))
            })
            .collect()
    }

    fn axes(&self, vary: &toml::Table) -> Result<Vec<Axis>> {
        vary.iter()
            .map(|(key, values)| {
                let place = format!("{}: vary.{key} = {values}", self.path);
                let list = values.as_array().map(|values| values.iter().map(scalar).collect::<Option<Vec<_>>>());
                match list {
                    Some(Some(values)) => Axis::new(key, values, &place, self.options),
                    _ => Err(Error::value(place, "expected a list of values, such as [2, 4, 8]")),
                }
            })
            .collect()
    }

    /// Rungs that each have settings of their own.
    fn list(&self, rungs: &[RungWire]) -> Result<Vec<Variant>> {
        self.check_names(rungs)?;
        let variant = |rung: &RungWire| {
            let settings = rung.set.as_ref().map_or(Ok(Pairs::new()), |set| self.pairs(&rung.name, set))?;
            Ok(Variant { name: rung.name.clone(), settings })
        };
        rungs.iter().map(variant).collect()
    }

    /// Rungs that are each the one before and exactly one change.
    ///
    /// Every rung sets all that any of them changes, with the value of `base` until it is changed. `base` gives way to
    /// variables and qbench.toml: a value from there would hold on the rungs below the change, and make it none.
    fn climb(&self, rungs: &[RungWire], base: &Pairs) -> Result<Vec<Variant>> {
        self.check_names(rungs)?;
        let mut variants: Vec<Variant> = Vec::with_capacity(rungs.len());
        for rung in rungs {
            let place = format!("rung {}", rung.name);
            if rung.set.is_some() {
                return Err(self.refuse(&place, "a climb changes one thing a rung: write `change` instead of `set`"));
            }
            let Some(before) = variants.last() else {
                if rung.change.is_some() {
                    return Err(self.refuse(&place, "the first rung is what [base] says: it changes nothing"));
                }
                variants.push(Variant { name: rung.name.clone(), settings: Pairs::new() });
                continue;
            };
            let changes = rung.change.as_ref().map_or(Ok(Pairs::new()), |change| self.pairs(&rung.name, change))?;
            let [(key, value)] = &changes[..] else {
                let problem = format!(
                    "each rung is the one before it and exactly one change, and this one has {}: otherwise nobody knows \
                     which of them it was",
                    changes.len()
                );
                return Err(self.refuse(&place, &problem));
            };
            match value_of(&before.settings, key).or(value_of(base, key)) {
                None => {
                    let problem = format!("say in [base] what {key} is before it becomes {value}");
                    return Err(self.refuse(&place, &problem));
                }
                Some(known) if known == value => {
                    return Err(self.refuse(&place, &format!("{key} is {value} already: that is no change")));
                }
                Some(_) => {}
            }
            let kept = before.settings.iter().filter(|(known, _)| known != key).cloned();
            let settings = kept.chain([(key.clone(), value.clone())]).collect();
            variants.push(Variant { name: rung.name.clone(), settings });
        }
        let changed_by_any = variants.last().map(|top| top.settings.clone()).unwrap_or_default();
        for variant in &mut variants {
            let own = std::mem::take(&mut variant.settings);
            let climbed = base.iter().filter(|(key, _)| value_of(&changed_by_any, key).is_some());
            let settings = climbed.map(|(key, stated)| (key.clone(), value_of(&own, key).unwrap_or(stated).to_owned()));
            variant.settings = settings.collect();
        }
        Ok(variants)
    }

    fn check_names(&self, rungs: &[RungWire]) -> Result<()> {
        for (index, rung) in rungs.iter().enumerate() {
            self.check_name("rung name", &rung.name)?;
            if rungs[..index].iter().any(|other| other.name == rung.name) {
                return Err(self.refuse(&format!("rung {}", rung.name), "two rungs have this name"));
            }
        }
        Ok(())
    }
}

fn value_of<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}
