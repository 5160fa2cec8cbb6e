//! How much of the host's busy time the roles account for (METHODOLOGY M4).

use super::peer;
use super::table::{Table, judged, median};

/// Least share, in percent, on a machine that does nothing else.
const WANTED_PCT: f64 = 95.0;

pub fn measure() -> anyhow::Result<Vec<Table>> {
    let mut table = Table::new(
        "roles: CPU of server, harness, meters, background and kernel over the host's busy time, 5 s each",
        "medians; kernel: its threads, and idle cores that woke up; what is missing is what other processes used",
        &["", "server % of a core", "harness", "kernel", "host", "without kernel in %", "roles / host in %"],
    );
    let loads: [(&str, &[&str]); 3] = [
        ("skip_locked, 500 jobs/s", &["--rate", "500"]),
        ("skip_locked, 3,000 jobs/s", &["--rate", "3000", "--work", "1ms"]),
        ("skip_locked, flat out", &["--saturate", "--work", "0ms"]),
    ];
    for (load, flags) in loads {
        let common = ["--backend", "skip_locked", "--scenario", "cold", "--duration", "5s", "--producers", "32"];
        let turns = peer::three_turns(&[&common, flags])?;
        let of = |figure: fn(&qbench_schema::result::RunResult) -> Option<f64>| median(turns.iter().filter_map(figure));
        let share = of(|result| result.cpu_roles_of_host_pct);
        table.row([
            load.to_owned(),
            format!("{:.0}", of(|result| result.cpu_pct.server)),
            format!("{:.0}", of(|result| result.cpu_pct.harness)),
            format!("{:.1}", of(|result| result.cpu_pct.kernel)),
            format!("{:.0}", of(|result| result.cpu_pct.host)),
            format!("{:.1}", of(without_kernel)),
            judged(share, ">= 95", share >= WANTED_PCT),
        ]);
    }
    Ok(vec![table])
}

/// What the roles had of the host's busy time if nobody asked for the kernel's part, in percent.
fn without_kernel(result: &qbench_schema::result::RunResult) -> Option<f64> {
    let cpu = &result.cpu_pct;
    Some(result.cpu_roles_of_host_pct? - 100.0 * cpu.kernel.unwrap_or(0.0) / cpu.host?)
}
