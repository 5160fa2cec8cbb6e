//! Loads without a schedule: what a queue carries, and at what price.

use super::{Better, Figure, Named, plain, runs_label};

const FIGURES: &[Figure] = &[
    Figure { title: "jobs/s", value: |row| Some(row.throughput_jobs_s), better: Better::Neither },
    Figure { title: "server\nus/job", value: |row| row.cpu_server_us_per_job, better: Better::Neither },
    Figure { title: "round trips\n/job", value: |row| row.round_trips_per_job, better: Better::Neither },
    Figure { title: "log bytes\n/job", value: |row| row.log_bytes_per_job, better: Better::Neither },
    Figure { title: "backlog\nmax", value: |row| Some(row.backlog_max as f64), better: Better::Neither },
    Figure { title: "drain\ns", value: |row| Some(row.drain_s), better: Better::Neither },
    Figure { title: "lost", value: |row| Some(row.lost as f64), better: Better::Neither },
    Figure { title: "dup", value: |row| Some(row.duplicated as f64), better: Better::Neither },
];

/// One block. Not ranked: what is best depends on what a job may cost.
pub(super) fn render(scenario: &str, named: &[&Named]) -> String {
    let what = match named.first().map(|named| named.row.activity.as_str()) {
        Some("enqueue") => "into the queue",
        Some("drain") => "out of the queue",
        _ => "through the queue",
    };
    let runs = runs_label(named.iter().map(|named| named.row));
    let mut notes = Vec::new();
    let mut text =
        plain(&format!("Scenario {scenario}: flat out, jobs {what}, {runs}"), named, FIGURES, Some(&mut notes));
    text.push_str("Without a schedule latency measures the backlog, so there is none here\n");
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}
