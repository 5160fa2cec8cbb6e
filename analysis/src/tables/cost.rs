//! What one job cost, on one scale for every engine (METHODOLOGY M6).

use super::{Better, Figure, Named, plain};

const FIGURES: &[Figure] = &[
    Figure { title: "server\nCPU us", value: |row| row.cpu_server_us_per_job, better: Better::Neither },
    Figure { title: "harness\nCPU us", value: |row| row.cpu_harness_us_per_job, better: Better::Neither },
    Figure { title: "round\ntrips", value: |row| row.round_trips_per_job, better: Better::Neither },
    Figure { title: "log\nbytes", value: |row| row.log_bytes_per_job, better: Better::Neither },
    Figure { title: "fsyncs", value: |row| row.fsyncs_per_job, better: Better::Neither },
    Figure { title: "dead\ntuples", value: |row| row.dead_tuples_per_job, better: Better::Neither },
    Figure { title: "memory\nbytes", value: |row| row.server_memory_bytes_per_job, better: Better::Neither },
];

/// One block, or none where no run finished.
pub(super) fn render(scenario: &str, named: &[&Named]) -> Option<String> {
    let finished: Vec<&Named> = named.iter().copied().filter(|named| named.row.runs > 0).collect();
    (!finished.is_empty()).then(|| plain(&format!("Cost of one job, scenario {scenario}"), &finished, FIGURES, None))
}
