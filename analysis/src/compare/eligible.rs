//! What may not be compared, and why.

use qbench_schema::result::LoadMode;
use qbench_schema::summary::{Column, RunRow, SummaryRow, Unless};

use super::across::Across;
use super::pair::Pair;
use crate::class::{Class, is_overload};
use crate::machines::{Machines, differences};
use crate::variant::settings_of;

/// Jobs that must lie beyond a percentile for two of them to be compared: p99 of fewer than 10,000 jobs is shown, never compared.
const BEYOND: f64 = 100.0;

/// Whether a figure is one of both cells at all: at a given rate throughput is what was offered (METHODOLOGY M9), and flat out a latency
/// is what the length of the queue makes it.
pub(super) fn is_told(column: &Column, a: &SummaryRow, b: &SummaryRow) -> bool {
    let is_flat_out = a.mode == LoadMode::Saturation && b.mode == LoadMode::Saturation;
    let has_figure = |row: &SummaryRow| row.runs == 0 || column.cell.is_some_and(|value| value(row).number().is_some());
    let is_of_its_mode = match column.unless {
        Some(Unless::OnSchedule) => is_flat_out,
        Some(Unless::Overload) => !is_flat_out,
        Some(Unless::Background) | None => true,
    };
    is_of_its_mode && has_figure(a) && has_figure(b)
}

/// Why two cells may not be compared in any figure: one of them proves nothing, or they are of different classes.
pub(super) fn of_cells(pair: &Pair<'_>) -> Option<String> {
    let (cell, reference) = (pair.cell.row, pair.reference.row);
    for (row, whose) in [(cell, "it"), (reference, "the reference")] {
        if row.runs == 0 {
            return Some(format!("{whose} has no finished run"));
        }
        if !row.valid {
            return Some(format!("{whose} is not valid: {}", row.reasons));
        }
    }
    let classes = (Class::of(cell), Class::of(reference));
    if classes.0 != classes.1 {
        return Some(format!("the classes differ: {} and {}", classes.0.label(), classes.1.label()));
    }
    (cell.mode != reference.mode).then(|| "one ran on a schedule and the other flat out".to_owned())
}

/// Why two cells of one analysis may not be compared: another machine that is not shown to be alike, another program, another place of the server, or other settings
/// than those that were varied on purpose.
pub(super) fn of_one_analysis(pair: &Pair<'_>, machines: &Machines) -> Option<String> {
    let (cell, reference) = (pair.cell.row, pair.reference.row);
    if let Some(difference) = Across::Host.difference(cell, reference) {
        let refused = |why: &str| Some(format!("they were measured on different machines, {why}: {difference}"));
        match machines.apart(&reference.host_id, &cell.host_id).map(|apart| differences(&apart)) {
            None => return refused("which were not calibrated before and after their blocks"),
            Some(differences) if differences.is_empty() => {}
            Some(differences) => return refused(&format!("which are not alike ({differences})")),
        }
    }
    for (part, what) in [
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
    (!have_one_load(cell, reference)).then(|| "their loads have different settings".to_owned())
}

/// Whether two cells have all settings in common but the options of their backends, which are these' own.
pub(super) fn have_one_load(a: &SummaryRow, b: &SummaryRow) -> bool {
    let common = |row| settings_of(row).into_iter().filter(|(key, _)| !key.starts_with("set.")).collect::<Vec<_>>();
    common(a) == common(b)
}

/// Why two cells may not be compared in `column`.
pub(super) fn of_figure(column: &Column, pair: &Pair<'_>) -> Option<String> {
    let rows = [pair.cell.row, pair.reference.row];
    if column.unless == Some(Unless::Overload) && rows.into_iter().any(is_overload) {
        return Some("overload: a latency only measures the length of the run".to_owned());
    }
    if column.unless == Some(Unless::Background) && rows.iter().any(|row| row.background_tps.is_some()) {
        return Some("the server is shared with the background load".to_owned());
    }
    too_few_jobs(column, pair.cell.runs.iter().chain(pair.reference.runs))
}

/// Why a percentile of `runs` is not compared, where one of them has too few jobs for it.
pub(crate) fn too_few_jobs<'a>(column: &Column, runs: impl Iterator<Item = &'a RunRow>) -> Option<String> {
    let above = match column.name {
        "latency_p50_ms" => 0.5,
        "latency_p95_ms" => 0.05,
        "latency_p99_ms" => 0.01,
        "latency_p999_ms" => 0.001,
        _ => return None,
    };
    let needed = (BEYOND / above).round() as u64;
    let fewest = runs.map(|run| run.jobs_completed).min()?;
    (fewest < needed).then(|| format!("a run has {fewest} jobs, and this percentile takes {needed}"))
}
