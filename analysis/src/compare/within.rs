//! The cells of one analysis against a reference.

use std::collections::BTreeSet;

use qbench_schema::comparison::ComparisonRow;
use qbench_schema::result::IN_PROCESS;
use qbench_schema::summary::SummaryRow;

use super::across::Across;
use super::blocks::blocks;
use super::eligible;
use super::judged::judge_pairs;
use super::pair::{Cell, Pair};
use crate::error::{Error, Result};
use crate::order::distinct_scenarios;
use crate::statistics::{Observed, log_ratios};
use crate::variant::{named, settings_of, variants};

/// Compares every cell with the one of backend `reference` in its scenario and variant; the reference's own variants with its first.
/// Without a name the first backend in the order of tables is the reference.
///
/// # Errors
/// [`Error::Reference`] when no cell is of that backend.
pub(crate) fn within(cells: &[Cell<'_>], reference: Option<&str>) -> Result<Vec<ComparisonRow>> {
    if let Some(name) = reference.filter(|name| cells.iter().all(|cell| cell.row.backend != **name)) {
        let known: BTreeSet<String> = cells.iter().map(|cell| cell.row.backend.clone()).collect();
        return Err(Error::Reference { name: name.to_owned(), known: known.into_iter().collect() });
    }
    let rows: Vec<SummaryRow> = cells.iter().map(|cell| cell.row.clone()).collect();
    let names = variants(&rows);
    let mut pairs = Vec::new();
    for scenario in distinct_scenarios(rows.iter().map(|row| row.scenario.as_str())) {
        let of_scenario = || cells.iter().zip(&names).filter(|(cell, _)| cell.row.scenario == scenario);
        let is_queue = |cell: &Cell<'_>| cell.row.engine != IN_PROCESS;
        let first = of_scenario().find(|(cell, _)| is_queue(cell)).map(|(cell, _)| cell.row.backend.as_str());
        let Some(reference) = reference.or(first) else { continue };
        let references: Vec<_> = of_scenario().filter(|(cell, _)| cell.row.backend == reference).collect();
        let Some(first) = references.first() else { continue };
        for (cell, name) in of_scenario().filter(|(cell, _)| is_queue(cell)) {
            let against = if cell.row.backend == reference {
                (!std::ptr::eq(cell.row, first.0.row)).then_some(first)
            } else {
                let same = |(of_reference, _): &&(&Cell<'_>, _)| of_reference.row.variant == cell.row.variant;
                references.iter().find(same).or_else(|| (references.len() == 1).then_some(first))
            };
            let Some((against, against_name)) = against else { continue };
            let reference_name = named(&against.row.backend, against_name);
            pairs.push(Pair { cell: *cell, variant: name.clone(), reference: **against, reference_name });
        }
    }
    Ok(judge_pairs(
        &pairs,
        |pair| eligible::of_cells(pair).or_else(|| of_identities(pair)),
        |pair, column| {
            let observed = || {
                let (cell, reference) = (blocks(column, pair.cell.runs)?, blocks(column, pair.reference.runs)?);
                log_ratios(&cell, &reference).map(Observed::Paired)
            };
            observed().unwrap_or_else(|| Observed::Refused("a run has no such figure above zero".to_owned()))
        },
    ))
}

/// Why two cells of one analysis may not be compared: another machine, another program, another place of the server, or other settings
/// than those that were varied on purpose.
fn of_identities(pair: &Pair<'_>) -> Option<String> {
    let (cell, reference) = (pair.cell.row, pair.reference.row);
    for (part, what) in [
        (Across::Host, "they were measured on different machines"),
        (Across::Revision, "they were measured by different revisions"),
        (Across::Topology, "their servers were in different places"),
    ] {
        if let Some(difference) = part.difference(cell, reference) {
            return Some(format!("{what}: {difference}"));
        }
    }
    if cell.backend == reference.backend && cell.variant != reference.variant {
        return None;
    }
    // Options of a backend are its own.
    let common = |row| settings_of(row).into_iter().filter(|(key, _)| !key.starts_with("set.")).collect::<Vec<_>>();
    (common(cell) != common(reference)).then(|| "their loads have different settings".to_owned())
}
