//! Flat out with more and more workers: what each further one still brings.

use comfy_table::Table;

use super::{ABSENT, STYLE, align, lines_of, number, runs_label};
use crate::sweep::{Curve, Scaling};

const HEADER: [&str; 8] = [
    "workers",
    "jobs/s",
    "of linear\n%",
    "deadlocks",
    "busiest/idlest\nworker",
    "server\nus/job",
    "round trips\n/job",
    "valid",
];

/// One block per backend and set of further settings.
pub(super) fn render(scaling: &Scaling) -> Vec<String> {
    scaling.series.iter().map(|curve| render_curve(scaling.scenario, curve)).collect()
}

fn render_curve(scenario: &str, curve: &Curve) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(HEADER);
    let mut notes = Vec::new();
    for point in &curve.points {
        let row = point.row;
        let figure = |value: Option<f64>| value.filter(|_| row.runs > 0).map_or(ABSENT.to_owned(), number);
        table.add_row([
            point.workers.to_string(),
            figure(Some(row.throughput_jobs_s)),
            curve.efficiency_pct(point).map_or(ABSENT.to_owned(), |pct| format!("{pct:.0}")),
            row.deadlocks.map_or(ABSENT.to_owned(), |deadlocks| deadlocks.to_string()),
            figure(row.workers_max_over_min),
            figure(row.cpu_server_us_per_job),
            figure(row.round_trips_per_job),
            match (row.runs, row.valid) {
                (0.., true) => "yes".to_owned(),
                (runs, false) => {
                    notes.push(format!("[{}] {} workers: {}", notes.len() + 1, point.workers, row.reasons));
                    format!("{} [{}]", if runs == 0 { "no run" } else { "NO" }, notes.len())
                }
            },
        ]);
    }
    align(&mut table, &HEADER);
    let runs = runs_label(curve.points.iter().map(|point| point.row));
    let mut text = format!("Scaling of {} in scenario {scenario}: flat out, {runs}\n{}", curve.name, lines_of(&table));
    text.push_str(&match curve.base() {
        Some(base) => {
            let is_fewest = curve.points.first().is_some_and(|point| point.workers == base.workers);
            let why = if is_fewest { "" } else { ", the fewest with a valid figure" };
            format!("100 % of linear: as much per worker as with {} workers{why}\n", base.workers)
        }
        None => "No share of linear: there is no valid figure to hold the others against\n".to_owned(),
    });
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}
