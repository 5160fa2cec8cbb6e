//! What one job cost, on one scale for every engine (METHODOLOGY M6).

use qbench_schema::summary::TableKind;

use super::{Named, plain};

/// One block, or none where no run finished.
pub(super) fn render(scenario: &str, named: &[&Named]) -> Option<String> {
    let finished: Vec<&Named> = named.iter().copied().filter(|named| named.row.runs > 0).collect();
    (!finished.is_empty())
        .then(|| plain(&format!("Cost of one job, scenario {scenario}"), &finished, TableKind::Cost, None))
}
