//! Tables from job files that have no latency log beside them, in the time and the memory of DuckDB reading the same files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use procfs::process::Process;
use qbench_schema::files::RunFiles;
use qbench_schema::record::{JobRecord, Outcome, Phase};
use qbench_schema::result::{RunIdentity, RunResult, RunStatus, Validity};

use super::table::{Table, judged, median};

const RUNS: u32 = 12;
const JOBS: u64 = 1_500_000;
const TURNS: usize = 3;
/// What an analysis may need.
const MEMORY_MAX_MB: f64 = 200.0;

/// What DuckDB is asked: the percentiles of every file. It has fewer to find than an analysis, which wants those of all stages.
const QUERY: &str = "import duckdb, sys
columns = {name: 'UBIGINT' for name in sys.argv[2].split()} | {'phase': 'VARCHAR', 'outcome': 'VARCHAR'}
rows = duckdb.sql(f\"\"\"SELECT filename, quantile_cont(acked_us - intended_us, [0.5, 0.95, 0.99, 0.999]) FROM
    read_json('{sys.argv[1]}/*/*_metrics.jsonl', format = 'newline_delimited', columns = {columns}, filename = true)
    WHERE phase = 'measured' AND outcome = 'acked' GROUP BY filename\"\"\").fetchall()
assert len(rows) == int(sys.argv[3]), rows";
const NUMBERS: &str =
    "job worker attempt intended_us released_us sent_us enqueued_us claimed_us started_us finished_us acked_us";

/// How long a program ran, and the most memory that it held.
struct Ran {
    wall_s: f64,
    memory_mb: f64,
}

pub fn compare() -> anyhow::Result<Vec<Table>> {
    let dir = tempfile::tempdir()?;
    write_runs(dir.path())?;
    let analyze = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbench"));
        command.arg("analyze").arg(dir.path()).arg("--output").arg(dir.path().join("analysis"));
        command
    };
    let duckdb = || {
        let mut command = Command::new("python3");
        command.args(["-c", QUERY]).arg(dir.path()).args([NUMBERS, &RUNS.to_string()]);
        command
    };
    let has_duckdb = Command::new("python3").args(["-c", "import duckdb"]).stderr(Stdio::null()).status()?.success();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(run(analyze())?);
        if has_duckdb {
            theirs.push(run(duckdb())?);
        }
    }
    let mut table = Table::new(
        format!("{RUNS} runs x {JOBS} job lines without latency logs"),
        "medians of alternating turns; memory is the most that the process held",
        &["", "s", "ratio", "MB", ""],
    );
    let of = |turns: &[Ran], figure: fn(&Ran) -> f64| median(turns.iter().map(figure));
    let (our_s, our_mb) = (of(&ours, |ran| ran.wall_s), of(&ours, |ran| ran.memory_mb));
    let ratio = match has_duckdb {
        true => our_s / of(&theirs, |ran| ran.wall_s),
        false => f64::NAN,
    };
    let is_small = our_mb < MEMORY_MAX_MB;
    table.row([
        "qbench analyze".to_owned(),
        format!("{our_s:.1}"),
        if has_duckdb { judged(ratio, "< 1", ratio < 1.0) } else { String::new() },
        format!("{our_mb:.0}"),
        format!("(< {MEMORY_MAX_MB:.0}: {})", if is_small { "met" } else { "NOT MET" }),
    ]);
    table.row(match has_duckdb {
        true => [
            "DuckDB, p50 to p99.9".to_owned(),
            format!("{:.1}", of(&theirs, |ran| ran.wall_s)),
            String::new(),
            format!("{:.0}", of(&theirs, |ran| ran.memory_mb)),
            String::new(),
        ],
        false => ["DuckDB is not here: pip install duckdb", "", "", "", ""].map(str::to_owned),
    });
    Ok(vec![table])
}

/// Folders of runs that say the same, in one job file with many names.
fn write_runs(dir: &Path) -> anyhow::Result<()> {
    let block = |block: u32| dir.join(format!("rep-{block:02}"));
    for number in 1..=RUNS {
        std::fs::create_dir(block(number))?;
        let identity = RunIdentity {
            run_id: format!("run-{number}"),
            backend: "skip_locked".to_owned(),
            scenario: "warm".to_owned(),
            engine: "postgresql".to_owned(),
            block: number,
            ..RunIdentity::default()
        };
        let mut result = RunResult::without_figures(identity, RunStatus::Finished, "");
        result.validity = Validity { valid: true, ..Validity::default() };
        (result.jobs.intended, result.jobs.completed) = (JOBS, JOBS);
        let files = RunFiles::new(&block(number), "skip_locked", "warm");
        serde_json::to_writer(File::create(files.result())?, &result)?;
        if number == 1 {
            write_jobs(&files.metrics())?;
        } else {
            std::fs::hard_link(RunFiles::new(&block(1), "skip_locked", "warm").metrics(), files.metrics())?;
        }
    }
    Ok(())
}

fn write_jobs(path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for job in 0..JOBS {
        let intended_us = 10_000_000 + job * 1_000;
        // Latencies that repeat only after a long time, with a tail.
        let scatter = job.wrapping_mul(2_654_435_761) % 1_000;
        let after = |us: u64| intended_us + us + scatter;
        let tail = if job % 997 == 0 { 80_000 } else { 0 };
        let record = JobRecord {
            job,
            worker: (job % 20) as u32,
            attempt: 1,
            intended_us,
            released_us: after(20),
            sent_us: after(40),
            enqueued_us: after(1_200),
            claimed_us: after(2_600 + tail),
            started_us: after(2_610 + tail),
            finished_us: after(12_700 + tail),
            acked_us: after(13_900 + tail),
            phase: Phase::Measured,
            outcome: Outcome::Acked,
        };
        serde_json::to_writer(&mut file, &record)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

/// Runs a program to its end.
fn run(mut command: Command) -> anyhow::Result<Ran> {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("it does not start")?;
    let process = Process::new(child.id().cast_signed())?;
    let mut memory_kb = 0;
    let status = loop {
        // The kernel keeps the most; of a process that has ended nothing is left.
        memory_kb = process.status().ok().and_then(|status| status.vmhwm).unwrap_or(0).max(memory_kb);
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let wall_s = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Ran { wall_s, memory_mb: memory_kb as f64 * 1_024.0 / 1e6 })
}
