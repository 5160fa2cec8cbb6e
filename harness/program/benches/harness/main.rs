//! The harness measured beside its peers, in one run, alternating: `make bench`.
//!
//! Every comparison is a ratio of medians of runs that took turns on the same private server, because a shared machine
//! is not the same machine a minute later. What a ratio should be stands beside it; what it is, is printed as it is.
//!
//! `make bench` runs everything; `make bench ONLY=pgbench` one part: pgbench, valkey-benchmark, ceiling, external,
//! recording, pacing, roles, job-files.

mod allocations;
mod ceiling;
mod external;
mod job_files;
mod pacing;
mod peer;
mod pgbench;
mod recording;
mod roles;
mod table;
mod valkey_benchmark;

use std::process::ExitCode;

use table::Table;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

type Part = (&'static str, fn() -> anyhow::Result<Vec<Table>>);

const PARTS: [Part; 8] = [
    ("pgbench", pgbench::compare),
    ("valkey-benchmark", valkey_benchmark::compare),
    ("ceiling", ceiling::measure),
    ("external", external::measure),
    ("recording", recording::compare),
    ("pacing", pacing::measure),
    ("roles", roles::measure),
    ("job-files", job_files::compare),
];

fn main() -> ExitCode {
    // Cargo adds flags of its own, such as `--bench`.
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = only.iter().find(|name| !PARTS.iter().any(|(part, _)| part == name)) {
        let known: Vec<&str> = PARTS.iter().map(|(part, _)| *part).collect();
        eprintln!("there is no part `{unknown}`; known are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut failed = false;
    for (name, part) in PARTS.iter().filter(|(part, _)| only.is_empty() || only.iter().any(|name| name == part)) {
        eprintln!("{name} …");
        match part() {
            Ok(tables) => tables.iter().for_each(|table| println!("{table}")),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
