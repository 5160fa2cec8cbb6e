//! pgbench beside a run: its own account is kept, and nobody else's tables are touched.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected stops there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qbench_backends::ServerUrl;
use qbench_engines::background::{Error, Pgbench, PgbenchConfig};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_ground::clock::RunClock;
use qbench_ground::pinning::{Cores, Pinning, Role};
use qbench_schema::result::Durability;
use sqlx::{Connection, PgConnection};

const PATIENCE: Duration = Duration::from_secs(60);

async fn server() -> PostgresServer {
    PostgresServer::start(StartOptions::new(Durability::D1)).await.unwrap()
}

fn config(server: &PostgresServer) -> PgbenchConfig {
    PgbenchConfig {
        program: server.pgbench().to_path_buf(),
        server: server.url().clone(),
        clients: 2,
        scale: 2,
        cores: None,
    }
}

async fn session(server: &PostgresServer) -> PgConnection {
    PgConnection::connect(server.url().expose()).await.unwrap()
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn run_sql(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn pgbench_runs_beside_foreign_tables_and_reports_its_own_load() {
    let server = server().await;
    let mut user = session(&server).await;
    run_sql(
        &mut user,
        "CREATE TABLE public.pgbench_accounts (mine int); INSERT INTO public.pgbench_accounts VALUES (1)",
    )
    .await;

    let all = Cores::of_this_process().unwrap();
    let one = all.to_string().split(['-', ',']).next().unwrap().to_owned();
    let pinning = Pinning::parse(&format!("background={one}"), &all).unwrap();
    let config = PgbenchConfig { cores: pinning.for_child(Role::Background), ..config(&server) };
    let prepared = Pgbench::prepare(config).await.unwrap();
    assert_eq!(number(&mut user, "SELECT count(*) FROM qbench_background.pgbench_accounts").await, 200_000);
    let clock = RunClock::start();
    let mut pgbench = prepared.start(clock).unwrap();
    pgbench.wait_until_running(PATIENCE).await.unwrap();
    assert!(pgbench.is_running());
    let status = std::fs::read_to_string(format!("/proc/{}/status", pgbench.pid())).unwrap();
    assert!(status.contains(&format!("Cpus_allowed_list:\t{one}\n")), "it is bound to core {one}: {status}");
    let command_line = std::fs::read_to_string(format!("/proc/{}/cmdline", pgbench.pid())).unwrap();
    let password = server.url().expose().split([':', '@']).nth(2).unwrap();
    assert!(!password.is_empty() && !command_line.contains(password), "passwords never reach a process list");

    let from_us = clock.now_us();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let to_us = clock.now_us();
    // The report that reaches over the end of the window comes after it.
    let deadline = Instant::now() + PATIENCE;
    while pgbench.report(from_us, to_us).map_or(0.0, |load| load.covered_s) < 1.9 {
        assert!(Instant::now() < deadline, "pgbench never reported the whole window");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pgbench.stop();
    assert!(!pgbench.is_running());
    let load = pgbench.report(from_us, to_us).unwrap();
    assert!(load.program.starts_with("pgbench (PostgreSQL) 1"), "{load:?}");
    assert_eq!((load.clients, load.scale), (2, 2));
    assert!(load.tps > 0.0 && load.latency_mean_ms > 0.0, "{load:?}");
    assert!(load.covered_s <= (to_us - from_us) as f64 / 1e6 + 0.001, "{load:?}");
    // Two clients that wait for nothing else: clients = rate x latency, up to what a starved machine adds.
    let busy_clients = load.tps * load.latency_mean_ms / 1000.0;
    assert!((0.2..2.2).contains(&busy_clients), "{load:?}");
    assert!(number(&mut user, "SELECT count(*) FROM qbench_background.pgbench_history").await > 0);

    pgbench.remove().await.unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'qbench_background'";
    assert_eq!(number(&mut user, left).await, 0);
    assert_eq!(
        number(&mut user, "SELECT count(*) FROM public.pgbench_accounts").await,
        1,
        "the user's table is untouched"
    );
    user.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn every_run_starts_from_fresh_tables_and_a_foreign_schema_is_refused() {
    let server = server().await;
    let mut user = session(&server).await;
    run_sql(&mut user, "CREATE SCHEMA qbench_background; CREATE TABLE qbench_background.precious ()").await;
    let error = Pgbench::prepare(config(&server)).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("Rename or drop it"), "{error}");
    assert_eq!(number(&mut user, "SELECT count(*) FROM qbench_background.precious").await, 0, "it is still there");
    run_sql(&mut user, "DROP SCHEMA qbench_background CASCADE").await;

    Pgbench::prepare(config(&server)).await.unwrap();
    run_sql(&mut user, "UPDATE qbench_background.pgbench_branches SET bbalance = 5").await;
    let prepared = Pgbench::prepare(config(&server)).await.unwrap();
    assert_eq!(number(&mut user, "SELECT sum(bbalance) FROM qbench_background.pgbench_branches").await, 0);
    prepared.remove().await.unwrap();

    let prepared = Pgbench::prepare(config(&server)).await.unwrap();
    run_sql(&mut user, "CREATE VIEW public.mine AS SELECT bid FROM qbench_background.pgbench_branches").await;
    let error = prepared.remove().await.unwrap_err().to_string();
    assert!(error.contains("other objects depend"), "{error}");
    assert_eq!(number(&mut user, "SELECT count(*) FROM public.mine").await, 2, "what a user built upon it stays");
    assert_eq!(number(&mut user, "SELECT count(*) FROM qbench_background.pgbench_accounts").await, 200_000);
    user.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_pgbench_that_dies_or_never_gets_through_is_told_with_its_own_words() {
    let server = server().await;
    let clock = RunClock::start();
    let pgbench = Pgbench::prepare(config(&server)).await.unwrap().start(clock).unwrap();
    pgbench.wait_until_running(PATIENCE).await.unwrap();
    let from_us = clock.now_us();
    kill(Pid::from_raw(pgbench.pid() as i32), Signal::SIGKILL).unwrap();
    while pgbench.is_running() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = pgbench.report(from_us, clock.now_us()).unwrap_err().to_string();
    assert!(error.starts_with("pgbench ended by itself during the run (signal: 9 (SIGKILL)); "), "{error}");
    pgbench.remove().await.unwrap();

    let prepared = Pgbench::prepare(config(&server)).await.unwrap();
    run_sql(&mut session(&server).await, "DROP TABLE qbench_background.pgbench_tellers").await;
    let pgbench = prepared.start(clock).unwrap();
    let error = pgbench.wait_until_running(PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("\"pgbench_tellers\" does not exist"), "{error}");
    drop(pgbench);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_touched() {
    let config = |clients, scale| PgbenchConfig {
        program: PathBuf::from("/nowhere/pgbench"),
        server: ServerUrl::new("postgres://ann:s3cret@127.0.0.1:1/jobs"),
        clients,
        scale,
        cores: None,
    };
    let told = |config| async { Pgbench::prepare(config).await.unwrap_err().to_string() };
    assert!(told(config(10, 9)).await.starts_with("pgbench with 10 clients needs a scale of at least 10, not 9"));
    assert!(told(config(0, 9)).await.contains("no clients"));
    assert!(told(config(1, 1)).await.starts_with("cannot start /nowhere/pgbench: "));
    let unreachable = PgbenchConfig { program: PathBuf::from("/bin/echo"), ..config(1, 1) };
    let error = told(unreachable).await;
    assert!(!error.contains("s3cret"), "{error}");
}
