//! What the runs of a cell say of a figure, block by block.

use std::collections::BTreeMap;

use qbench_schema::summary::{Column, RunRow};

/// A figure of one cell by machine and block.
pub(crate) type Blocks = BTreeMap<(String, u32), f64>;

/// What the valid ones of `runs` say of `column`. Two runs of one block, from two folders, are one observation: their geometric mean.
/// `None` where the column is not one of runs, or a run has no figure above zero.
pub(crate) fn blocks(column: &Column, runs: &[RunRow]) -> Option<Blocks> {
    let value = column.run?;
    let mut logarithms: BTreeMap<(String, u32), Vec<f64>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.valid) {
        let machine = format!("{} {}", run.host, run.host_id);
        let logarithm = value(run).number().filter(|value| *value > 0.0)?.ln();
        logarithms.entry((machine, run.block)).or_default().push(logarithm);
    }
    let mean = |values: Vec<f64>| (values.iter().sum::<f64>() / values.len() as f64).exp();
    Some(logarithms.into_iter().map(|(block, values)| (block, mean(values))).collect())
}
