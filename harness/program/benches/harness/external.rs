//! What the line protocol of adapters costs by itself: the echo adapter, which has no library, beside the same semantics in
//! this process.

use super::peer;
use super::table::{Table, median};

pub fn measure() -> anyhow::Result<Vec<Table>> {
    let mut table = Table::new(
        "external:echo: the protocol's own overhead; 2 producers in batches of 20 and 4 workers flat out, no work",
        "medians; `memory` is the same queue in this process, and an adapter's CPU is a role of its own",
        &["backend", "claim and ack batch", "jobs/s", "harness CPU us/job", "adapter CPU us/job"],
    );
    let load = ["--scenario", "cold", "--saturate", "--duration", "3s", "--work", "0ms", "--workers", "4"];
    let producers = ["--producers", "2", "--enqueue-batch", "20"];
    for batch in ["1", "10", "100"] {
        let batches = ["--concurrency", batch, "--claim-batch", batch, "--ack-batch", batch];
        for (name, backend) in [
            ("memory", &["--backend", "memory"][..]),
            ("external:echo, pull", &["--backend", "external:echo", "--set", "consume=pull"]),
            ("external:echo, push", &["--backend", "external:echo", "--set", "consume=push"]),
        ] {
            let turns = peer::three_turns(&[backend, &load, &producers, &batches])?;
            let middle = |figure: fn(&qbench_schema::result::RunResult) -> Option<f64>| {
                let figures: Vec<f64> = turns.iter().filter_map(figure).collect();
                if figures.is_empty() { "-".to_owned() } else { format!("{:.1}", median(figures)) }
            };
            table.row([
                name.to_owned(),
                batch.to_owned(),
                format!("{:.0}", median(turns.iter().map(|result| result.throughput_jobs_s))),
                middle(|result| result.cpu_us_per_job.harness),
                middle(|result| result.cpu_us_per_job.adapter),
            ]);
        }
    }
    Ok(vec![table])
}
