//! The cells of two result sets: yesterday and today, two revisions, two settings, two machines.

use std::collections::BTreeMap;

use qbench_schema::comparison::{ComparisonRow, SAME_WITHIN};
use qbench_schema::summary::{Column, SummaryRow};

use super::across::{Across, differences};
use super::blocks::blocks;
use super::eligible;
use super::judged::judge_pairs;
use super::pair::{Cell, Pair};
use crate::statistics::{FEWEST_BLOCKS, Observed, log_ratios};
use crate::variant::variants;

/// Compares every cell of `after` with its like in `before`, which is called `before_name`. Cells without a like are left out, and named
/// in the second part.
pub(crate) fn between(
    before: &[Cell<'_>],
    after: &[Cell<'_>],
    before_name: &str,
    across: &[Across],
) -> (Vec<ComparisonRow>, Vec<String>) {
    let rows: Vec<SummaryRow> = after.iter().map(|cell| cell.row.clone()).collect();
    let mut pairs = Vec::new();
    let mut alone = Vec::new();
    let mut taken = vec![false; before.len()];
    for (cell, variant) in after.iter().zip(variants(&rows)) {
        // Of several likes, as of two machines in one set, the one that differs least.
        let like = (0..before.len())
            .filter(|index| !taken[*index] && is_like(before[*index].row, cell.row))
            .min_by_key(|index| differences(before[*index].row, cell.row).count());
        match like {
            Some(index) => {
                taken[index] = true;
                let reference_name = before_name.to_owned();
                pairs.push(Pair { cell: *cell, variant, reference: before[index], reference_name });
            }
            None => alone.push(format!("{} is only in the second set", name(cell.row))),
        }
    }
    let missing = before.iter().zip(&taken).filter(|(_, taken)| !**taken);
    alone.extend(missing.map(|(cell, _)| format!("{} is only in the first set", name(cell.row))));
    let refusal = |pair: &Pair<'_>| eligible::of_cells(pair).or_else(|| of_identities(pair, across));
    (judge_pairs(&pairs, SAME_WITHIN, refusal, observe), alone)
}

fn name(row: &SummaryRow) -> String {
    let variant = if row.variant.is_empty() { String::new() } else { format!(" ({})", row.variant) };
    format!("{}{variant} in {}", row.backend, row.scenario)
}

fn is_like(a: &SummaryRow, b: &SummaryRow) -> bool {
    (&a.backend, &a.scenario, &a.variant, a.mode) == (&b.backend, &b.scenario, &b.variant, b.mode)
}

/// Why two cells may not be compared: they differ in what nobody said that they may differ in.
fn of_identities(pair: &Pair<'_>, across: &[Across]) -> Option<String> {
    let (part, difference) = differences(pair.reference.row, pair.cell.row).find(|(part, _)| !across.contains(part))?;
    Some(format!("they differ in {part} ({difference}); where that is the question, say --across {part}"))
}

/// Blocks of one number have the same arrivals in the same order in both sets, so they pair; the hour they do not have in common. Where one
/// set has blocks that the other lacks, runs are compared without pairs.
pub(super) fn observe(pair: &Pair<'_>, column: &'static Column) -> Observed {
    let by_block = |cell: &Cell<'_>| -> Option<BTreeMap<u32, f64>> {
        let blocks = blocks(column, cell.runs)?;
        let count = blocks.len();
        let by_block: BTreeMap<u32, f64> = blocks.into_iter().map(|((_, block), value)| (block, value)).collect();
        // Two machines in one set have two runs of one number.
        (by_block.len() == count).then_some(by_block)
    };
    let logarithms =
        |cell: &Cell<'_>| -> Option<Vec<f64>> { Some(blocks(column, cell.runs)?.into_values().map(f64::ln).collect()) };
    if let (Some(cell), Some(reference)) = (by_block(&pair.cell), by_block(&pair.reference)) {
        let common = cell.keys().filter(|block| reference.contains_key(block)).count();
        let all = cell.len().min(reference.len());
        // A block that the machine spoiled in one set is missing in the pairs, and makes no others of them.
        if (common == all || common >= FEWEST_BLOCKS && common * 4 >= all * 3)
            && let Some(ratios) = log_ratios(&cell, &reference)
        {
            return Observed::Paired(ratios);
        }
    }
    match (logarithms(&pair.cell), logarithms(&pair.reference)) {
        (Some(cell), Some(reference)) => Observed::Unpaired(cell, reference),
        _ => Observed::Refused("a run has no such figure above zero".to_owned()),
    }
}
