//! Against `pgbench -M prepared`, driving the very statements of `skip_locked` at equal connections.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use qbench_backends::postgres::wire_floor;
use qbench_engines::background::Libpq;
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use qbench_schema::sql;

use super::peer::{self, NAMESPACE, TURNS, Turn};
use super::table::{Table, judged, median};

const CONNECTIONS: u64 = 8;
/// Of pgbench, and of the client alone.
const THREADS: u64 = 2;
const PAYLOAD_BYTES: usize = 512;
/// Length of a turn that has no end of its own.
const TURN_S: u64 = 4;
/// Jobs of a claim + ack turn.
const JOBS: u64 = 30_000;
/// Commits do not wait for the disk: it would be what is compared.
const DURABILITY: Durability = Durability::D1;
/// What our own client should reach of pgbench's rate, and what it may cost of its CPU (METHODOLOGY F9).
const LEAST_RATE: f64 = 0.95;
const MOST_CPU: f64 = 1.15;

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
    let pgbench = Pgbench {
        server,
        nothing: dir.path().join("nothing.sql"),
        enqueue: dir.path().join("enqueue.sql"),
        consume: dir.path().join("consume.sql"),
    };
    pgbench.write_scripts()?;

    let mut table = Table::new(
        format!(
            "pgbench -M prepared, the statements of skip_locked, {CONNECTIONS} connections, {PAYLOAD_BYTES} B, synchronous_commit = off"
        ),
        "medians of alternating turns; client CPU is that of the harness with full recording and monitors, against pgbench; \
         SELECT 1 is the client alone",
        &["", "jobs/s", "ratio", "client CPU us/job", "ratio"],
    );
    let mut sides = Sides::default();
    for _ in 0..TURNS {
        sides.thin.push(nothing(server, "thin")?);
        sides.pgbench.push(pgbench.nothing()?);
        sides.sqlx.push(nothing(server, "sqlx")?);
    }
    compare_turns(&mut table, "SELECT 1", &sides);

    let mut sides = Sides::default();
    let length = format!("{TURN_S}s");
    let flags = ["--scenario", "enqueue", "--producers", &connections, "--enqueue-batch", "1", "--workers", "2"];
    let flags = [&COMMON[..], &flags, &["--duration", &length]].concat();
    for _ in 0..TURNS {
        sides.thin.push(peer::turn_of(&peer::qbench(&flags, own)?));
        runtime.block_on(admin.reset())?;
        sides.pgbench.push(pgbench.enqueue()?);
        runtime.block_on(admin.reset())?;
        sides.sqlx.push(peer::turn_of(&peer::qbench(&[&flags[..], &GENERAL].concat(), own)?));
    }
    compare_turns(&mut table, "enqueue", &sides);

    let mut sides = Sides::default();
    let jobs = JOBS.to_string();
    let flags = ["--scenario", "drain", "--workers", &connections, "--prefill", &jobs, "--producers", "2"];
    let flags = [&COMMON[..], &flags].concat();
    for _ in 0..TURNS {
        sides.thin.push(peer::turn_of(&peer::qbench(&flags, own)?));
        // A few more than are taken, so that no client finds the rest locked by the others.
        runtime.block_on(peer::fill(backend.as_ref(), admin.as_mut(), JOBS + 10 * CONNECTIONS, PAYLOAD_BYTES))?;
        sides.pgbench.push(pgbench.consume()?);
        runtime.block_on(admin.reset())?;
        sides.sqlx.push(peer::turn_of(&peer::qbench(&[&flags[..], &GENERAL].concat(), own)?));
    }
    compare_turns(&mut table, "claim + ack", &sides);
    runtime.block_on(admin.teardown())?;
    Ok(vec![table])
}

const COMMON: [&str; 4] = ["--backend", "skip_locked", "--durability", "d1"];
/// What an ordinary Rust program would get.
const GENERAL: [&str; 2] = ["--set", "pg_client=sqlx"];

/// The turns of the three clients.
#[derive(Default)]
struct Sides {
    pgbench: Vec<Turn>,
    thin: Vec<Turn>,
    sqlx: Vec<Turn>,
}

/// A statement that does nothing, on connections of this process. Like pgbench and like a run, each thread has connections of its own.
fn nothing(server: &PostgresServer, client: &str) -> anyhow::Result<Turn> {
    let config = peer::config(Some(server.url()), DURABILITY, &[("pg_client", client)]);
    let before = peer::own_cpu_s()?;
    let begin = Instant::now();
    let thread = || -> anyhow::Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connections = (CONNECTIONS / THREADS) as u32;
        Ok(runtime.block_on(wire_floor(&config, connections, Duration::from_secs(TURN_S)))?)
    };
    let answered = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<anyhow::Result<u64>>()
    })? as f64;
    let (cpu_s, wall_s) = (peer::own_cpu_s()? - before, begin.elapsed().as_secs_f64());
    Ok(Turn { jobs_s: answered / wall_s, client_cpu_us_per_job: cpu_s * 1e6 / answered })
}

fn compare_turns(table: &mut Table, what: &str, sides: &Sides) {
    let rate = |turns: &[Turn]| median(turns.iter().map(|turn| turn.jobs_s));
    let cost = |turns: &[Turn]| median(turns.iter().map(|turn| turn.client_cpu_us_per_job));
    let (rate_of_pgbench, cost_of_pgbench) = (rate(&sides.pgbench), cost(&sides.pgbench));
    let mut row = |client: &str, turns: &[Turn], judge: fn(f64, f64) -> [String; 2]| {
        let [rates, costs] = judge(rate(turns) / rate_of_pgbench, cost(turns) / cost_of_pgbench);
        table.row([
            format!("{what}, {client}"),
            format!("{:.0}", rate(turns)),
            rates,
            format!("{:.1}", cost(turns)),
            costs,
        ]);
    };
    row("pgbench", &sides.pgbench, |_, _| [String::new(), String::new()]);
    row("thin", &sides.thin, |rate, cost| {
        [
            judged(rate, &format!(">= {LEAST_RATE}"), rate >= LEAST_RATE),
            judged(cost, &format!("<= {MOST_CPU}"), cost <= MOST_CPU),
        ]
    });
    row("sqlx", &sides.sqlx, |rate, cost| [format!("{rate:.2}"), format!("{cost:.2}")]);
}

struct Pgbench<'a> {
    server: &'a PostgresServer,
    nothing: std::path::PathBuf,
    enqueue: std::path::PathBuf,
    consume: std::path::PathBuf,
}

impl Pgbench<'_> {
    fn write_scripts(&self) -> anyhow::Result<()> {
        let fill_in = |statement: String| statement.replace("{schema}", NAMESPACE).replace("{table}", "jobs");
        let enqueue = fill_in(sql::QUEUE.statement("enqueue"))
            .replace("$1::bigint[]", "ARRAY[:job]::bigint[]")
            .replace("$2::bytea[]", "ARRAY[:payload]::bytea[]");
        std::fs::write(&self.nothing, "SELECT 1;\n")?;
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

    fn nothing(&self) -> anyhow::Result<Turn> {
        self.run(&self.nothing, &["-T", &TURN_S.to_string()])
    }

    fn enqueue(&self) -> anyhow::Result<Turn> {
        let payload = format!("payload=\\x{}", "a5".repeat(PAYLOAD_BYTES));
        self.run(&self.enqueue, &["-T", &TURN_S.to_string(), "-D", "job=1", "-D", &payload])
    }

    fn consume(&self) -> anyhow::Result<Turn> {
        let each = (JOBS / CONNECTIONS).to_string();
        self.run(&self.consume, &["-t", &each, "-D", "limit=1", "-D", "worker=1", "-D", "lease=60"])
    }

    fn run(&self, script: &Path, arguments: &[&str]) -> anyhow::Result<Turn> {
        let mut command = Command::new(self.server.pgbench());
        command
            .args(["-n", "-M", "prepared", "-c", &CONNECTIONS.to_string(), "-j", &THREADS.to_string(), "-f"])
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
