//! How late the generator is when nothing holds it up.

use super::peer;
use super::table::{Table, median};

pub fn measure() -> anyhow::Result<Vec<Table>> {
    let mut table = Table::new(
        "pacing: release_lag in ms on null, 5 s each",
        "medians over turns; every intended job was sent in each of them",
        &["jobs/s", "p50", "p99", "p99.9", "intended = sent"],
    );
    // At 50,000 jobs/s twenty microseconds lie between two jobs: they go out in small groups.
    for (rate, batch) in [("1000", "1"), ("5000", "1"), ("50000", "10")] {
        let flags = ["--backend", "null", "--scenario", "cold", "--rate", rate, "--duration", "5s", "--work", "0ms"];
        let shape = ["--enqueue-batch", batch, "--claim-batch", batch, "--ack-batch", batch, "--concurrency", "10"];
        let turns = peer::three_turns(&[&flags, &shape, &["--producers", "32"]])?;
        let of = |figure: fn(&qbench_schema::result::Percentiles) -> f64| {
            median(turns.iter().map(|result| figure(&result.release_lag_ms)))
        };
        table.row([
            format!("{rate} (enqueue batch {batch})"),
            format!("{:.3}", of(|lag| lag.p50)),
            format!("{:.3}", of(|lag| lag.p99)),
            format!("{:.3}", of(|lag| lag.p999)),
            format!("{}", turns.iter().all(|result| result.jobs.sent == result.jobs.intended)),
        ]);
    }
    Ok(vec![table])
}
