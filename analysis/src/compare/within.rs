//! The cells of one analysis against a reference, or against themselves in another scenario.

use std::collections::BTreeSet;

use qbench_schema::comparison::ComparisonRow;
use qbench_schema::result::IN_PROCESS;
use qbench_schema::summary::{Column, SummaryRow};

use super::across::differences;
use super::between::observe as between_sets;
use super::blocks::blocks;
use super::eligible;
use super::judged::judge_pairs;
use super::pair::{Cell, Pair};
use crate::error::{Error, Result};
use crate::machines::Machines;
use crate::order::distinct_scenarios;
use crate::statistics::{Observed, log_ratios};
use crate::variant::{named, variants};

/// Compares every cell with the one of backend `reference` in its scenario and variant that differs least, as one on the same machine does; the
/// reference's own variants with its first on their machine, and that with the first of all. Without a name the first backend in the order of
/// tables is the reference. `same_within` is the share to either side that counts as no difference.
///
/// # Errors
/// [`Error::Reference`] when no cell is of that backend.
pub(crate) fn within(
    cells: &[Cell<'_>],
    reference: Option<&str>,
    same_within: f64,
    machines: &Machines,
) -> Result<Vec<ComparisonRow>> {
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
        let is_in_one_variant = references.iter().all(|(cell, _)| cell.row.variant == first.0.row.variant);
        for (cell, name) in of_scenario().filter(|(cell, _)| is_queue(cell)) {
            let is_itself = |(other, _): &&(&Cell<'_>, _)| std::ptr::eq(other.row, cell.row);
            let against = if cell.row.backend == reference {
                let first_here = references.iter().find(|(other, _)| other.row.host_id == cell.row.host_id);
                first_here.filter(|other| !is_itself(other)).or(Some(first)).filter(|other| !is_itself(other))
            } else {
                let of_variant = references.iter().filter(|(other, _)| other.row.variant == cell.row.variant);
                // Of several, as after a cross-over of machines, the one that differs least.
                let nearest = of_variant.min_by_key(|(other, _)| distance(other.row, cell.row));
                let any = || references.iter().min_by_key(|(other, _)| distance(other.row, cell.row));
                nearest.or_else(|| any().filter(|_| is_in_one_variant))
            };
            let Some((against, against_name)) = against else { continue };
            let reference_name = named(&against.row.backend, against_name);
            pairs.push(Pair { cell: *cell, variant: name.clone(), reference: **against, reference_name });
        }
    }
    Ok(judge_pairs(
        &pairs,
        same_within,
        |pair| eligible::of_cells(pair).or_else(|| eligible::of_one_analysis(pair, machines)),
        observe,
    ))
}

/// Compares every cell with the one of its own backend, variant and machine in scenario `over` that differs least; those of that scenario, and
/// those without a like in it, are left out.
pub(crate) fn across_scenarios(
    cells: &[Cell<'_>],
    over: &str,
    same_within: f64,
    machines: &Machines,
) -> Vec<ComparisonRow> {
    let rows: Vec<SummaryRow> = cells.iter().map(|cell| cell.row.clone()).collect();
    let mut pairs = Vec::new();
    for (cell, variant) in cells.iter().zip(variants(&rows)).filter(|(cell, _)| cell.row.scenario != over) {
        let is_like = |other: &&Cell<'_>| {
            other.row.scenario == over
                && (&other.row.backend, &other.row.variant, &other.row.host_id)
                    == (&cell.row.backend, &cell.row.variant, &cell.row.host_id)
        };
        let likes = cells.iter().filter(is_like);
        let Some(reference) = likes.min_by_key(|other| distance(other.row, cell.row)) else { continue };
        let reference_name = format!("{} in {over}", named(&cell.row.backend, &variant));
        pairs.push(Pair { cell: *cell, variant, reference: *reference, reference_name });
    }
    let refusal = |pair: &Pair<'_>| eligible::of_cells(pair).or_else(|| eligible::of_one_analysis(pair, machines));
    judge_pairs(&pairs, same_within, refusal, observe)
}

/// In how many respects two cells differ.
fn distance(a: &SummaryRow, b: &SummaryRow) -> usize {
    differences(a, b).count() + usize::from(!eligible::have_one_load(a, b))
}

/// The log-ratios of the blocks that both cells have. Blocks of two machines were made at two times, and pair like those of two result sets.
fn observe(pair: &Pair<'_>, column: &'static Column) -> Observed {
    if pair.cell.row.host_id != pair.reference.row.host_id {
        return between_sets(pair, column);
    }
    let observed = || {
        let (cell, reference) = (blocks(column, pair.cell.runs)?, blocks(column, pair.reference.runs)?);
        log_ratios(&cell, &reference).map(Observed::Paired)
    };
    observed().unwrap_or_else(|| Observed::Refused("a run has no such figure above zero".to_owned()))
}
