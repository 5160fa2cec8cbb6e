//! What is compared with what.

use qbench_schema::summary::{RunRow, SummaryRow};

/// A row of `summary.csv` with its finished runs.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) row: &'a SummaryRow,
    pub(crate) runs: &'a [RunRow],
}

impl<'a> Cell<'a> {
    /// The cells of an analysis.
    pub(crate) fn all(rows: &'a [SummaryRow], runs: &'a [Vec<RunRow>]) -> Vec<Self> {
        rows.iter().zip(runs).map(|(row, runs)| Cell { row, runs }).collect()
    }
}

/// A comparison before its figure is looked at: a cell, what it is called, and its reference.
pub(super) struct Pair<'a> {
    pub(super) cell: Cell<'a>,
    pub(super) variant: String,
    pub(super) reference: Cell<'a>,
    pub(super) reference_name: String,
}
