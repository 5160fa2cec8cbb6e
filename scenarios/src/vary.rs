//! What a matrix varies: settings with several values each, and the variants that they make.

use crate::error::{Error, Result};
use crate::keys::{self, KeySpec};
use crate::workload::Workload;

/// Most variants of one matrix: catches a slipped list before it becomes a week of runs.
const MAX_VARIANTS: usize = 500;

/// Longest name of a variant; it becomes the name of a folder.
pub(crate) const MAX_NAME_CHARS: usize = 200;

/// Settings by name, with their values as the command line would take them.
pub type Pairs = Vec<(String, String)>;

/// One setting and the values that it takes, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The setting: of the workload, or an option of a backend.
    pub key: String,
    /// Its values, each of them once.
    pub values: Vec<String>,
}

/// One combination of varied settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// `workers=2,claim-batch=10`, or the name of a rung.
    pub name: String,
    /// What it sets.
    pub settings: Pairs,
}

impl Axis {
    /// Reads `workers=2,4,8`. `options` are the keys that exist beside the workload's.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] with the nearest name; [`Error::Value`] for a value that cannot be or stands there twice.
    pub fn parse(text: &str, options: &[&str]) -> Result<Self> {
        let place = format!("--vary {text}");
        let (key, values) = text.split_once('=').ok_or_else(|| {
            Error::value(&place, "expected a setting and its values, for instance --vary workers=2,4,8")
        })?;
        Axis::new(key, values.split(',').map(str::to_owned).collect(), &place, options)
    }

    pub(crate) fn new(key: &str, values: Vec<String>, place: &str, options: &[&str]) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::value(place, "a setting without values makes no run"));
        }
        for (index, value) in values.iter().enumerate() {
            check(key, value, place, options)?;
            if values[..index].contains(value) {
                return Err(Error::value(place, format!("{key} = {value} stands there twice")));
            }
        }
        Ok(Axis { key: key.to_owned(), values })
    }
}

/// The setting of the workload of that name; `None` for an option of a backend.
///
/// # Errors
/// [`Error::UnknownKey`] with the nearest name.
pub(crate) fn known(key: &str, place: &str, options: &[&str]) -> Result<Option<&'static KeySpec>> {
    if options.contains(&key) {
        return Ok(None);
    }
    keys::find(key).map(Some).ok_or_else(|| Error::UnknownKey {
        place: place.to_owned(),
        key: key.to_owned(),
        hint: keys::hint(key, options),
    })
}

/// Checks that there is such a setting and, for one of the workload, that its value is possible. What an option of a backend
/// takes is the backend's to say.
///
/// # Errors
/// [`Error::UnknownKey`] and [`Error::Value`] with `place`.
pub(crate) fn check(key: &str, value: &str, place: &str, options: &[&str]) -> Result<()> {
    let Some(spec) = known(key, place, options)? else { return Ok(()) };
    (spec.parse)(&mut Workload::default(), value).map_err(|problem| Error::value(place, problem))
}

/// Every combination of the values of `axes`; the last axis changes fastest. No axis makes one combination of nothing.
///
/// # Errors
/// [`Error::Together`] when a setting has two axes, or when there are more combinations than a matrix may have.
pub fn combinations(axes: &[Axis]) -> Result<Vec<Variant>> {
    for (index, axis) in axes.iter().enumerate() {
        if let Some(first) = axes[..index].iter().find(|earlier| earlier.key == axis.key) {
            return Err(Error::Together(format!(
                "{} is varied twice: give all its values at once, --vary {0}={},{}",
                axis.key,
                first.values.join(","),
                axis.values.join(",")
            )));
        }
    }
    let count = axes.iter().fold(1_usize, |count, axis| count.saturating_mul(axis.values.len()));
    if count > MAX_VARIANTS {
        return Err(Error::Together(format!(
            "{count} combinations are more than the {MAX_VARIANTS} that a matrix may have"
        )));
    }
    let mut variants = vec![Pairs::new()];
    for axis in axes {
        let with = |pairs: &Pairs, value: &String| {
            pairs.iter().cloned().chain([(axis.key.clone(), value.clone())]).collect::<Pairs>()
        };
        variants = variants.iter().flat_map(|pairs| axis.values.iter().map(move |value| with(pairs, value))).collect();
    }
    let variants: Vec<Variant> = variants
        .into_iter()
        .map(|settings| {
            let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Variant { name: words.join(","), settings }
        })
        .collect();
    match variants.iter().find(|variant| variant.name.len() > MAX_NAME_CHARS) {
        Some(variant) => Err(Error::Together(format!(
            "{} is too long for the name of a folder: name the combinations as rungs of a plan file",
            variant.name
        ))),
        None => Ok(variants),
    }
}
