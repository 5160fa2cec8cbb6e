//! Loads without a schedule: what a queue carries, and at what price.

use qbench_schema::result::Activity;
use qbench_schema::summary::TableKind;

use super::{Named, plain, runs_label};

/// One block. Not ranked: what is best depends on what a job may cost.
pub(super) fn render(scenario: &str, named: &[&Named]) -> String {
    let what = match named.first().map(|named| named.row.activity) {
        Some(Activity::Enqueue) => "into the queue",
        Some(Activity::Drain) => "out of the queue",
        Some(Activity::Both) | None => "through the queue",
    };
    let runs = runs_label(named.iter().map(|named| named.row));
    let mut notes = Vec::new();
    let mut text = plain(
        &format!("Scenario {scenario}: flat out, jobs {what}, {runs}"),
        named,
        TableKind::Capacity,
        Some(&mut notes),
    );
    text.push_str("Without a schedule latency measures the backlog, so there is none here\n");
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}
