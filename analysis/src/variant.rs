//! What tells rows of one backend and scenario apart: the machine, and the settings in which they differ.

use std::collections::{BTreeMap, BTreeSet};

use qbench_schema::summary::SummaryRow;

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
    let mut by_scenario: BTreeMap<&str, Vec<&SummaryRow>> = BTreeMap::new();
    for other in of_backend {
        by_scenario.entry(&other.scenario).or_default().push(other);
    }
    if by_scenario.values().all(|rows| rows.len() == 1) {
        return String::new();
    }
    let hosts: BTreeSet<&str> = of_backend.iter().map(|other| other.host.as_str()).collect();
    // Scenarios have settings of their own, so only rows of the same one are compared.
    let keys: BTreeSet<&str> = by_scenario.values().flat_map(|rows| differing_keys(rows)).collect();
    let settings = settings_of(row);
    let mut words: Vec<String> = Vec::new();
    if hosts.len() > 1 {
        words.push(row.host.clone());
    }
    words.extend(keys.into_iter().map(|key| {
        let value = settings.get(key).copied().unwrap_or("not set");
        format!("{}={value}", key.strip_prefix("set.").unwrap_or(key))
    }));
    words.join(" ")
}

fn settings_of(row: &SummaryRow) -> BTreeMap<&str, &str> {
    row.configuration.split_whitespace().filter_map(|pair| pair.split_once('=')).collect()
}

fn differing_keys<'a>(rows: &[&'a SummaryRow]) -> BTreeSet<&'a str> {
    let settings: Vec<BTreeMap<&str, &str>> = rows.iter().map(|row| settings_of(row)).collect();
    let keys: BTreeSet<&str> = settings.iter().flat_map(|of_row| of_row.keys().copied()).collect();
    keys.into_iter().filter(|key| settings.iter().any(|of_row| of_row.get(key) != settings[0].get(key))).collect()
}
