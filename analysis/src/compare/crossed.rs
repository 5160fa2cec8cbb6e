//! A cross-over: the same queues on several hosts. What is of a queue is told apart from what is of a host (METHODOLOGY S3, S5).

use std::collections::{BTreeMap, BTreeSet};

use qbench_schema::comparison::ComparisonRow;
use qbench_schema::summary::{Column, RunRow, SummaryRow};

use super::blocks::blocks;
use super::eligible;
use super::judged::judge_pairs;
use super::pair::{Cell, Pair};
use crate::statistics::Observed;
use crate::variant::named;

/// The same cell on several hosts, in the order of their ids.
struct OnHosts<'a> {
    cells: Vec<Cell<'a>>,
    /// The runs of all of them.
    runs: Vec<RunRow>,
}

/// What belongs together: backend, scenario, variant.
type Key = (String, String, String);

/// Compares what ran on several hosts with the cells of backend `reference` on the same hosts, block by block, of which the mean over the hosts is
/// told; and then with itself on the first of them. Empty where no cell ran on more than one.
pub(crate) fn crossed(cells: &[Cell<'_>], reference: &str, same_within: f64) -> Vec<ComparisonRow> {
    let mut by_key: BTreeMap<Key, Vec<Cell<'_>>> = BTreeMap::new();
    for cell in cells {
        let key = (cell.row.backend.clone(), cell.row.scenario.clone(), cell.row.variant.clone());
        by_key.entry(key).or_default().push(*cell);
    }
    let on_hosts: BTreeMap<Key, OnHosts<'_>> =
        by_key.into_iter().filter_map(|(key, cells)| Some((key, on_hosts(cells)?))).collect();
    [queues(&on_hosts, reference, same_within), hosts(&on_hosts, same_within)].concat()
}

/// `None` for one host, and where a host has two cells of one kind, of which nobody knows which one is meant.
fn on_hosts(mut cells: Vec<Cell<'_>>) -> Option<OnHosts<'_>> {
    cells.sort_by(|a, b| (&a.row.host, &a.row.host_id).cmp(&(&b.row.host, &b.row.host_id)));
    let hosts: BTreeSet<&str> = cells.iter().map(|cell| cell.row.host_id.as_str()).collect();
    let runs = cells.iter().flat_map(|cell| cell.runs.iter().cloned()).collect();
    (hosts.len() > 1 && hosts.len() == cells.len()).then_some(OnHosts { cells, runs })
}

fn queues(on_hosts: &BTreeMap<Key, OnHosts<'_>>, reference: &str, same_within: f64) -> Vec<ComparisonRow> {
    let like_in_reference = |row: &SummaryRow| -> Option<&OnHosts<'_>> {
        on_hosts.get(&(reference.to_owned(), row.scenario.clone(), row.variant.clone()))
    };
    let mut pairs = Vec::new();
    for ((_, _, variant), of) in on_hosts.iter().filter(|((backend, ..), _)| backend != reference) {
        let Some(against) = like_in_reference(of.cells[0].row) else { continue };
        let ids = |of: &OnHosts<'_>| of.cells.iter().map(|cell| cell.row.host_id.clone()).collect::<Vec<_>>();
        if ids(of) != ids(against) {
            continue;
        }
        let variant = on(variant, &format!("{} hosts", of.cells.len()));
        pairs.push(Pair {
            cell: Cell { row: of.cells[0].row, runs: &of.runs },
            reference: Cell { row: against.cells[0].row, runs: &against.runs },
            reference_name: named(reference, &variant),
            variant,
        });
    }
    // Each of the hosts must be able to say something.
    let refusal = |pair: &Pair<'_>| {
        let row = pair.cell.row;
        let of = on_hosts.get(&(row.backend.clone(), row.scenario.clone(), row.variant.clone()))?;
        let against = like_in_reference(row)?;
        of.cells.iter().zip(&against.cells).find_map(|(cell, against)| {
            let on_host =
                Pair { cell: *cell, variant: String::new(), reference: *against, reference_name: String::new() };
            eligible::of_cells(&on_host)
        })
    };
    let mut rows = judge_pairs(&pairs, same_within, refusal, observe_all_hosts);
    for row in &mut rows {
        // Those of the first host are not those of all; the ratio is.
        (row.value, row.reference_value) = (None, None);
    }
    rows
}

/// A variant, and where it ran.
fn on(variant: &str, place: &str) -> String {
    if variant.is_empty() { format!("on {place}") } else { format!("{variant} on {place}") }
}

/// Per block, the mean over the hosts of the log-ratio on each; blocks that one of the hosts lacks are left out.
fn observe_all_hosts(pair: &Pair<'_>, column: &'static Column) -> Observed {
    let observed = || {
        let (cell, reference) = (blocks(column, pair.cell.runs)?, blocks(column, pair.reference.runs)?);
        let hosts: BTreeSet<&String> = cell.keys().map(|(host, _)| host).collect();
        let mut by_block: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for ((host, block), value) in &cell {
            if let Some(against) = reference.get(&(host.clone(), *block)) {
                by_block.entry(*block).or_default().push((value / against).ln());
            }
        }
        let whole = by_block.into_values().filter(|ratios| ratios.len() == hosts.len());
        let means: Vec<f64> = whole.map(|ratios| ratios.iter().sum::<f64>() / ratios.len() as f64).collect();
        (!means.is_empty()).then_some(Observed::Paired(means))
    };
    observed().unwrap_or_else(|| Observed::Refused("no block has such a figure above zero on every host".to_owned()))
}

fn hosts(on_hosts: &BTreeMap<Key, OnHosts<'_>>, same_within: f64) -> Vec<ComparisonRow> {
    let mut pairs = Vec::new();
    for ((backend, _, variant), of) in on_hosts {
        let Some((first, others)) = of.cells.split_first() else { continue };
        for other in others {
            pairs.push(Pair {
                cell: *other,
                variant: on(variant, &other.row.host),
                reference: *first,
                reference_name: named(backend, &on(variant, &first.row.host)),
            });
        }
    }
    // That the hosts differ is the question.
    judge_pairs(&pairs, same_within, eligible::of_cells, super::between::observe)
}
