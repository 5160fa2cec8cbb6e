//! Against `pgbench -M prepared`, driving the very statements of `skip_locked` at equal connections.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use qbench_engines::background::Libpq;
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use qbench_schema::sql;

use super::peer::{self, NAMESPACE, TURNS, Turn};
use super::table::{Table, judged, median};

const CONNECTIONS: u64 = 8;
const PAYLOAD_BYTES: usize = 512;
/// Length of an enqueue turn.
const ENQUEUE_S: u64 = 4;
/// Jobs of a claim + ack turn.
const JOBS: u64 = 30_000;
/// Commits do not wait for the disk: it would be what is compared.
const DURABILITY: Durability = Durability::D1;

pub fn compare() -> anyhow::Result<Vec<Table>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(PostgresServer::start(StartOptions::new(DURABILITY)))?;
    let outcome = compare_on(&runtime, &server);
    runtime.block_on(server.stop())?;
    outcome
}

fn compare_on(runtime: &tokio::runtime::Runtime, server: &PostgresServer) -> anyhow::Result<Vec<Table>> {
    let dir = tempfile::TempDir::new()?;
    let backend = peer::backend("skip_locked", Some(server.url()), DURABILITY, &[])?;
    let mut admin = runtime.block_on(backend.admin())?;
    runtime.block_on(admin.setup())?;
    let own = Some(("QBENCH_PG_URL", server.url()));
    let connections = CONNECTIONS.to_string();
    let pgbench = Pgbench { server, enqueue: dir.path().join("enqueue.sql"), consume: dir.path().join("consume.sql") };
    pgbench.write_scripts()?;

    let mut table = Table::new(
        format!(
            "pgbench -M prepared, the statements of skip_locked, {CONNECTIONS} connections, {PAYLOAD_BYTES} B, synchronous_commit = off"
        ),
        "medians of alternating turns; client CPU is that of the harness with full recording and monitors, against pgbench",
        &["", "qbench jobs/s", "pgbench jobs/s", "ratio", "qbench CPU us/job", "pgbench CPU us/job", "ratio"],
    );
    let mut turns = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let flags = ["--scenario", "enqueue", "--producers", &connections, "--enqueue-batch", "1", "--workers", "2"];
        let length = format!("{ENQUEUE_S}s");
        turns.0.push(peer::turn_of(&peer::qbench(&[&COMMON[..], &flags, &["--duration", &length]].concat(), own)?));
        runtime.block_on(admin.reset())?;
        turns.1.push(pgbench.enqueue()?);
    }
    compare_turns(&mut table, "enqueue", turns);

    let mut turns = (Vec::new(), Vec::new());
    let jobs = JOBS.to_string();
    for _ in 0..TURNS {
        let flags = ["--scenario", "drain", "--workers", &connections, "--prefill", &jobs, "--producers", "2"];
        turns.0.push(peer::turn_of(&peer::qbench(&[&COMMON[..], &flags].concat(), own)?));
        // A few more than are taken, so that no client finds the rest locked by the others.
        runtime.block_on(peer::fill(backend.as_ref(), admin.as_mut(), JOBS + 10 * CONNECTIONS, PAYLOAD_BYTES))?;
        turns.1.push(pgbench.consume()?);
    }
    compare_turns(&mut table, "claim + ack", turns);
    runtime.block_on(admin.teardown())?;
    Ok(vec![table])
}

const COMMON: [&str; 4] = ["--backend", "skip_locked", "--durability", "d1"];

fn compare_turns(table: &mut Table, what: &str, (ours, theirs): (Vec<Turn>, Vec<Turn>)) {
    let of = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
    let rates = (of(&ours, |turn| turn.jobs_s), of(&theirs, |turn| turn.jobs_s));
    let costs = (of(&ours, |turn| turn.client_cpu_us_per_job), of(&theirs, |turn| turn.client_cpu_us_per_job));
    let (rate, cost) = (rates.0 / rates.1, costs.0 / costs.1);
    table.row([
        what.to_owned(),
        format!("{:.0}", rates.0),
        format!("{:.0}", rates.1),
        judged(rate, ">= 1.0", rate >= 1.0),
        format!("{:.1}", costs.0),
        format!("{:.1}", costs.1),
        judged(cost, "<= 1.0", cost <= 1.0),
    ]);
}

struct Pgbench<'a> {
    server: &'a PostgresServer,
    enqueue: std::path::PathBuf,
    consume: std::path::PathBuf,
}

impl Pgbench<'_> {
    fn write_scripts(&self) -> anyhow::Result<()> {
        let fill_in = |statement: String| statement.replace("{schema}", NAMESPACE).replace("{table}", "jobs");
        let enqueue = fill_in(sql::QUEUE.statement("enqueue"))
            .replace("$1::bigint[]", "ARRAY[:job]::bigint[]")
            .replace("$2::bytea[]", "ARRAY[:payload]::bytea[]");
        std::fs::write(&self.enqueue, enqueue)?;
        let claim = fill_in(sql::LEASED.statement("claim"))
            .replace("$1::bigint", ":limit::bigint")
            .replace("$2::integer", ":worker::integer")
            .replace("$3::float8", ":lease::float8");
        let ack = fill_in(sql::LEASED.statement("ack"))
            .replace("$1::bigint[]", "ARRAY[:id]::bigint[]")
            .replace("$2::integer", ":attempt::integer");
        let claim = claim.trim_end().trim_end_matches(';');
        std::fs::write(&self.consume, format!("{claim} \\gset\n{ack}"))?;
        Ok(())
    }

    fn enqueue(&self) -> anyhow::Result<Turn> {
        let payload = format!("payload=\\x{}", "a5".repeat(PAYLOAD_BYTES));
        self.run(&self.enqueue, &["-T", &ENQUEUE_S.to_string(), "-D", "job=1", "-D", &payload])
    }

    fn consume(&self) -> anyhow::Result<Turn> {
        let each = (JOBS / CONNECTIONS).to_string();
        self.run(&self.consume, &["-t", &each, "-D", "limit=1", "-D", "worker=1", "-D", "lease=60"])
    }

    fn run(&self, script: &Path, arguments: &[&str]) -> anyhow::Result<Turn> {
        let mut command = Command::new(self.server.pgbench());
        command
            .args(["-n", "-M", "prepared", "-c", &CONNECTIONS.to_string(), "-j", "2", "-f"])
            .arg(script)
            .args(arguments);
        for (variable, value) in Libpq::of(self.server.url())?.variables() {
            command.env(variable, value);
        }
        // What the harness's own sessions are set to, so that both have the same plans.
        let pinned: OsString =
            "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off -c synchronous_commit=off".into();
        command.env("PGOPTIONS", pinned);
        let (said, cpu_s) = peer::run(&mut command)?;
        let figure = |label: &str| {
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix(label))
                .with_context(|| format!("pgbench printed no `{label}`: {said}"))?;
            let number = line.split_whitespace().next().unwrap_or_default().split('/').next().unwrap_or_default();
            number.parse::<f64>().with_context(|| format!("`{label}{line}` of pgbench is no number"))
        };
        let done = figure("number of transactions actually processed: ")?;
        Ok(Turn { jobs_s: figure("tps = ")?, client_cpu_us_per_job: cpu_s * 1e6 / done })
    }
}
