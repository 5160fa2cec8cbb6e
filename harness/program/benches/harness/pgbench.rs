//! Against `pgbench -M prepared`, driving the very statements of `skip_locked` at equal connections.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use qbench_backends::{AckStatus, Acker, Claimer, Consumer, JobId, Lease, NewJob, ProducerId, WorkerId};
use qbench_engines::background::Libpq;
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use qbench_schema::sql;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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
        "medians of alternating turns; thin and sqlx are the clients alone, each on two threads as pgbench; `a run` is thin with \
         driver, full recording and monitors",
        &["", "jobs/s", "ratio", "client CPU us/job", "ratio"],
    );
    let mut sides = Sides::default();
    for _ in 0..TURNS {
        sides.thin.push(produce(server, "thin", Request::Nothing)?);
        sides.pgbench.push(pgbench.nothing()?);
        sides.sqlx.push(produce(server, "sqlx", Request::Nothing)?);
    }
    compare_turns(&mut table, "SELECT 1", &sides);

    let mut sides = Sides::default();
    let length = format!("{TURN_S}s");
    let flags = ["--scenario", "enqueue", "--producers", &connections, "--enqueue-batch", "1", "--workers", "2"];
    let flags = [&COMMON[..], &flags, &["--duration", &length]].concat();
    for _ in 0..TURNS {
        sides.thin.push(produce(server, "thin", Request::Enqueue)?);
        runtime.block_on(admin.reset())?;
        sides.pgbench.push(pgbench.enqueue()?);
        runtime.block_on(admin.reset())?;
        sides.sqlx.push(produce(server, "sqlx", Request::Enqueue)?);
        runtime.block_on(admin.reset())?;
        sides.run.push(peer::turn_of(&peer::qbench(&flags, own)?));
    }
    compare_turns(&mut table, "enqueue", &sides);

    let mut sides = Sides::default();
    let (jobs, workers) = (JOBS.to_string(), (CONNECTIONS / 2).to_string());
    let flags = ["--scenario", "drain", "--workers", &workers, "--concurrency", "2", "--prefill", &jobs];
    let flags = [&COMMON[..], &flags, &["--producers", "2"]].concat();
    // A few more than are taken, so that no client finds the rest locked by the others.
    let mut fill = || {
        let jobs = JOBS + 10 * CONNECTIONS;
        runtime.block_on(peer::fill(backend.as_ref(), admin.as_mut(), jobs, PAYLOAD_BYTES))
    };
    for _ in 0..TURNS {
        fill()?;
        sides.thin.push(consume(server, "thin")?);
        fill()?;
        sides.pgbench.push(pgbench.consume()?);
        fill()?;
        sides.sqlx.push(consume(server, "sqlx")?);
        sides.run.push(peer::turn_of(&peer::qbench(&flags, own)?));
    }
    compare_turns(&mut table, "claim + ack", &sides);
    runtime.block_on(admin.teardown())?;
    Ok(vec![table])
}

const COMMON: [&str; 4] = ["--backend", "skip_locked", "--durability", "d1"];

/// The turns of the three clients, and of runs: the thin client with driver, records and monitors.
#[derive(Default)]
struct Sides {
    pgbench: Vec<Turn>,
    thin: Vec<Turn>,
    sqlx: Vec<Turn>,
    run: Vec<Turn>,
}

/// What the client of this process does without driver, records and monitors: `work` on each thread, which has connections of its own
/// as in pgbench and in a run. It returns how many jobs it did, and how long that took once it was connected.
fn alone<F>(work: impl Fn(u32) -> F + Sync) -> anyhow::Result<Turn>
where
    F: Future<Output = anyhow::Result<(u64, Duration)>>,
{
    let before = peer::own_cpu_s()?;
    let thread = |thread: u32| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work(thread))
    };
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u32).map(|number| scope.spawn(move || thread(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let cpu_s = peer::own_cpu_s()? - before;
    let jobs_s = done.iter().map(|(jobs, length)| *jobs as f64 / length.as_secs_f64()).sum();
    let jobs = done.iter().map(|(jobs, _)| *jobs as f64).sum::<f64>();
    Ok(Turn { jobs_s, client_cpu_us_per_job: cpu_s * 1e6 / jobs })
}

/// Connections of a thread.
const OF_A_THREAD: u32 = (CONNECTIONS / THREADS) as u32;

/// The producers of `skip_locked`: a statement that does nothing, or one job at a time.
fn produce(server: &PostgresServer, client: &str, request: Request) -> anyhow::Result<Turn> {
    let backend = peer::backend("skip_locked", Some(server.url()), DURABILITY, &[("pg_client", client)])?;
    let payload = bytes::Bytes::from(vec![0xA5; PAYLOAD_BYTES]);
    alone(async |_| {
        let mut producers = Vec::new();
        for number in 0..OF_A_THREAD {
            producers.push(backend.producer(ProducerId(number)).await?);
        }
        let begin = Instant::now();
        let jobs = every(producers, |mut producer| {
            let job = NewJob { job: JobId(1), payload: payload.clone() };
            async move {
                let mut jobs = 0;
                while begin.elapsed() < Duration::from_secs(TURN_S) {
                    match request {
                        Request::Nothing => drop(producer.ask_for_nothing().await?),
                        Request::Enqueue => producer.enqueue(std::slice::from_ref(&job)).await?,
                    }
                    jobs += 1;
                }
                Ok(jobs)
            }
        });
        Ok((jobs.await?, begin.elapsed()))
    })
}

/// What a producer asks for.
#[derive(Clone, Copy)]
enum Request {
    Nothing,
    Enqueue,
}

/// The workers of `skip_locked`, which claim the next job while they ack one: both their connections are in use.
fn consume(server: &PostgresServer, client: &str) -> anyhow::Result<Turn> {
    let backend = peer::backend("skip_locked", Some(server.url()), DURABILITY, &[("pg_client", client)])?;
    alone(async |thread| {
        let mut sides = Vec::new();
        for number in 0..OF_A_THREAD / 2 {
            let Consumer { claimer, acker } = backend.consumer(WorkerId(thread * OF_A_THREAD + number)).await?;
            let (claimed, to_ack) = mpsc::channel(1);
            sides.extend([Side::Claims(claimer, claimed), Side::Acks(acker, to_ack)]);
        }
        let begin = Instant::now();
        Ok((every(sides, Side::run).await?, begin.elapsed()))
    })
}

/// One of the two connections of a worker.
enum Side {
    Claims(Box<dyn Claimer>, mpsc::Sender<Lease>),
    Acks(Box<dyn Acker>, mpsc::Receiver<Lease>),
}

impl Side {
    /// Goes on until the queue is empty; returns how many jobs were acked.
    async fn run(self) -> anyhow::Result<u64> {
        let mut acked = 0;
        match self {
            Side::Claims(mut claimer, claimed) => {
                let mut leases = Vec::new();
                loop {
                    claimer.claim(1, Duration::ZERO, &mut leases).await?;
                    let Some(lease) = leases.pop() else { break };
                    claimed.send(lease).await?;
                }
            }
            Side::Acks(mut acker, mut to_ack) => {
                let mut statuses = Vec::new();
                while let Some(lease) = to_ack.recv().await {
                    acker.ack(&[lease], &mut statuses).await?;
                    acked += statuses.drain(..).filter(|status| *status == AckStatus::Acked).count() as u64;
                }
            }
        }
        Ok(acked)
    }
}

/// Does `work` with each of `sides` at the same time, on this thread; returns the jobs of all.
async fn every<S, F>(sides: Vec<S>, work: impl Fn(S) -> F) -> anyhow::Result<u64>
where
    F: Future<Output = anyhow::Result<u64>> + Send + 'static,
{
    let mut running: JoinSet<anyhow::Result<u64>> = sides.into_iter().map(work).collect();
    let mut jobs = 0;
    while let Some(ended) = running.join_next().await {
        jobs += ended??;
    }
    Ok(jobs)
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
    let unjudged = |rate: f64, cost: f64| [format!("{rate:.2}"), format!("{cost:.2}")];
    row("sqlx", &sides.sqlx, unjudged);
    if !sides.run.is_empty() {
        row("a run", &sides.run, unjudged);
    }
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
        // What the harness's own sessions are set to, so that both have the same commits.
        command.env("PGOPTIONS", "-c synchronous_commit=off");
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
