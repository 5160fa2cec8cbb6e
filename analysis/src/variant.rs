//! What tells rows of one backend and scenario apart: the variant, the machine, the server, the revision, and the settings in
//! which they differ.

use std::collections::{BTreeMap, BTreeSet};

use qbench_schema::result::{Waiting, word};
use qbench_schema::summary::{BETWEEN_SETTINGS, SummaryRow};

/// A word or two per row, in the order of `rows`; empty where a backend has one row per scenario, as it usually has.
///
/// A backend whose rows differ in some scenario has its rows named in all of them, by the same properties, so that one name is
/// one thing throughout.
pub(crate) fn variants(rows: &[SummaryRow]) -> Vec<String> {
    rows.iter()
        .map(|row| name(row, &rows.iter().filter(|other| is_same_backend(row, other)).collect::<Vec<_>>()))
        .collect()
}

fn is_same_backend(row: &SummaryRow, other: &SummaryRow) -> bool {
    (&row.engine, &row.backend) == (&other.engine, &other.backend)
}

/// The name of `row` among all rows of its backend.
fn name(row: &SummaryRow, of_backend: &[&SummaryRow]) -> String {
    let mut alike: BTreeMap<(&str, &str), Vec<&SummaryRow>> = BTreeMap::new();
    for other in of_backend {
        alike.entry((&other.scenario, &other.variant)).or_default().push(other);
    }
    let mut words: Vec<String> = Vec::new();
    let is_ambiguous = alike.values().any(|rows| rows.len() > 1);
    if is_ambiguous {
        let differ =
            |of: fn(&SummaryRow) -> &str| alike.values().any(|rows| rows.iter().any(|other| of(other) != of(rows[0])));
        if differ(|other| &other.host) {
            words.push(row.host.clone());
        } else if differ(|other| &other.host_id) {
            // Two machines of one name.
            words.push(format!("{} {}", row.host, row.host_id));
        }
        if differ(|other| &other.engine_version) {
            words.push(row.engine_version.split(' ').next().unwrap_or_default().to_owned());
        }
        if differ(|other| &other.topology) {
            words.push(row.topology.clone());
        }
        if differ(|other| &other.git_revision) {
            words.push(row.git_revision.clone());
        }
        if alike.values().any(|rows| rows.iter().any(|other| other.waiting != rows[0].waiting))
            && row.waiting != Waiting::Unknown
        {
            words.push(word(row.waiting));
        }
    }
    if !row.variant.is_empty() {
        words.push(row.variant.replace(',', " "));
    }
    if is_ambiguous {
        // Scenarios have settings of their own, and variants say theirs, so only rows of the same ones are compared.
        let keys: BTreeSet<&str> = alike.values().flat_map(|rows| differing_keys(rows)).collect();
        let settings = settings_of(row);
        words.extend(keys.into_iter().map(|key| {
            let value = settings.get(key).copied().unwrap_or("not set");
            format!("{}={value}", bare(key))
        }));
        let keys: BTreeSet<&str> = alike.values().flat_map(|rows| differing(rows, server_settings_of)).collect();
        // The version stands for itself.
        let keys: Vec<&str> = keys.into_iter().filter(|key| !key.starts_with("server_version")).collect();
        let settings = server_settings_of(row);
        words.extend(keys.iter().take(SERVER_SETTINGS_NAMED).map(|key| {
            let value = settings.get(key).copied().unwrap_or("not told");
            format!("{key}={value}")
        }));
        if keys.len() > SERVER_SETTINGS_NAMED {
            words.push(format!("and {} more settings of the server", keys.len() - SERVER_SETTINGS_NAMED));
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// Most settings of a server in a name; a table has no room for all in which two versions differ.
const SERVER_SETTINGS_NAMED: usize = 3;

/// The settings of a row's server, by name.
fn server_settings_of(row: &SummaryRow) -> BTreeMap<&str, &str> {
    row.server_settings.split(BETWEEN_SETTINGS).filter_map(|pair| pair.split_once('=')).collect()
}

/// A backend with what tells its cell from others, where something must: `skip_locked (workers=2)`.
pub(crate) fn named(backend: &str, variant: &str) -> String {
    if variant.is_empty() { backend.to_owned() } else { format!("{backend} ({variant})") }
}

/// The settings of a row, by name.
pub(crate) fn settings_of(row: &SummaryRow) -> BTreeMap<&str, &str> {
    row.configuration.split_whitespace().filter_map(|pair| pair.split_once('=')).collect()
}

/// Names of the settings in which `rows` differ.
pub(crate) fn differing_keys<'a>(rows: &[&'a SummaryRow]) -> BTreeSet<&'a str> {
    differing(rows, settings_of)
}

fn differing<'a>(
    rows: &[&'a SummaryRow],
    settings_of: fn(&'a SummaryRow) -> BTreeMap<&'a str, &'a str>,
) -> BTreeSet<&'a str> {
    let settings: Vec<BTreeMap<&str, &str>> = rows.iter().map(|row| settings_of(row)).collect();
    let keys: BTreeSet<&str> = settings.iter().flat_map(|of_row| of_row.keys().copied()).collect();
    keys.into_iter().filter(|key| settings.iter().any(|of_row| of_row.get(key) != settings[0].get(key))).collect()
}

/// The name of a setting as the user writes it: options of backends stand as `set.KEY` in a configuration.
pub(crate) fn bare(key: &str) -> &str {
    key.strip_prefix("set.").unwrap_or(key)
}
