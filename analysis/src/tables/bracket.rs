//! Capacities as text: a line per queue, the bracket and what failed at its upper end.

use comfy_table::{CellAlignment, Table};
use qbench_schema::capacity::CapacityRow;
use qbench_schema::result::word;
use qbench_schema::summary::OrMixed;

use super::figure::ABSENT;
use super::{STYLE, lines_of, number};
use crate::class::delivery_label;

/// The brackets of one search.
pub(crate) fn render(rows: &[CapacityRow]) -> String {
    let Some(first) = rows.first() else { return "No queue was searched\n".to_owned() };
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header([
        "backend",
        "engine",
        "passed\njobs/s",
        "failed\njobs/s",
        "server CPU\nus/job",
        "probes",
        "durability",
        "delivery",
        "waiting",
        "what failed",
    ]);
    for row in rows {
        let rate = |rate: Option<f64>| rate.map_or_else(|| ABSENT.to_owned(), number);
        let failed = match (&row.failed_because, row.unfinished.as_str()) {
            (Some(because), "") => because.clone(),
            (Some(because), unfinished) => format!("{because}; {unfinished}"),
            (None, unfinished) => unfinished.to_owned(),
        };
        table.add_row([
            row.backend.clone(),
            row.engine.clone(),
            rate(row.passed_jobs_s),
            rate(row.failed_jobs_s),
            rate(row.cpu_server_us_per_job),
            row.probes.len().to_string(),
            word(row.durability).to_uppercase(),
            delivery_label(OrMixed::Same(row.delivery)),
            word(row.waiting),
            failed,
        ]);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 0));
        if (2..6).contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let contested = rows.iter().filter_map(|row| {
        let (lowest, highest) = row.contested_jobs_s()?;
        Some(format!(
            "{}: probes did not agree between {} and {} jobs/s, as where a machine is not equally quiet all the time\n",
            row.backend,
            number(lowest),
            number(highest)
        ))
    });
    let contested: String = contested.collect();
    format!(
        "Capacity in scenario {}: the highest rate with {} and no growing backlog; probes of {} s and more\n{}\
         The first rate is the last one that passed, three times; the second the first one that failed, two times of three\n{contested}",
        first.scenario,
        first.slo,
        number(first.probe_s),
        lines_of(&table)
    )
}
