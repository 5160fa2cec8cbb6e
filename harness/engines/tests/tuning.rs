//! Stock and tuned: what live servers and the queues' tables are set to, and that the page says the same (METHODOLOGY F5).

mod consuming;

use std::collections::BTreeMap;

use consuming::{admin, set_up};
use qbench_backends::registry::backends;
use qbench_backends::{BackendConfig, EngineKind};
use qbench_engines::services::{Server, StartOptions};
use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const NAMESPACE: &str = "qbench_tuning";

fn tuned(settings: &[(&str, &str)]) -> StartOptions {
    let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    StartOptions { tuning: Tuning::Tuned, settings, ..StartOptions::new(Durability::D1) }
}

async fn start(engine: EngineKind, options: StartOptions) -> Box<dyn Server> {
    qbench_engines::of(engine).start(options).await.expect("starts").expect("has a place")
}

/// Of a server that is bound to none.
fn cores() -> usize {
    std::thread::available_parallelism().expect("a number").get()
}

fn config(server: &dyn Server, tuning: Tuning) -> BackendConfig {
    BackendConfig { url: Some(server.url().clone()), tuning, ..BackendConfig::new(NAMESPACE) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tuned_postgres_and_its_tables_are_set_so_and_what_was_asked_for_by_hand_wins() {
    let engine = qbench_backends::postgres::ENGINE;
    let server = start(engine, tuned(&[("checkpoint_timeout", "7min")])).await;
    let mut raw = PgConnection::connect(server.url().expose()).await.expect("connects");
    for (name, value) in engine.tuned(Tuning::Tuned, cores()) {
        let expected = if name == "checkpoint_timeout" { "7min" } else { &value };
        let shown: String =
            sqlx::query_scalar(AssertSqlSafe(format!("SHOW {name}"))).fetch_one(&mut raw).await.expect("shows");
        assert_eq!(shown, expected, "{name}");
    }
    for id in ["skip_locked", "partitioned", "delete_returning"] {
        for tuning in Tuning::ALL {
            let backend = set_up(id, &config(&*server, tuning)).await;
            let question = "SELECT count(*) FILTER (WHERE reloptions @> '{autovacuum_vacuum_threshold=5000}'), count(*) \
                            FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'";
            let (set, all): (i64, i64) =
                sqlx::query_as(question).bind(NAMESPACE).fetch_one(&mut raw).await.expect("counts");
            assert_eq!(set, if tuning == Tuning::Tuned { all } else { 0 }, "{id}, {tuning:?}: {all} tables");
            assert!(all > 0);
            admin(&*backend).await.teardown().await.expect("removes the queue");
        }
    }
    raw.close().await.expect("closes");
    server.stop().await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tuned_valkey_and_a_tuned_sqlite_say_so_themselves() {
    let engine = qbench_backends::valkey::ENGINE;
    let server = start(engine, tuned(&[])).await;
    let client = redis::Client::open(server.url().expose()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
    for (name, value) in engine.tuned(Tuning::Tuned, cores()) {
        let said: BTreeMap<String, String> =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.expect("tells");
        let expected = if value == "1gb" { (1_u64 << 30).to_string() } else { value };
        assert_eq!(said.get(name), Some(&expected), "{name}");
    }
    server.stop().await.expect("ends");

    let engine = qbench_backends::sqlite::ENGINE;
    let place = start(engine, tuned(&[])).await;
    let backend = set_up("sqlite", &config(&*place, Tuning::Tuned)).await;
    let described = admin(&*backend).await.describe().await.expect("tells");
    for (name, value) in engine.tuned(Tuning::Tuned, cores()) {
        // As a number, SQLite's word for memory is 2.
        let expected = if value == "memory" { "2" } else { &value };
        assert_eq!(described.settings.get(name).map(String::as_str), Some(expected), "{name}");
    }
    drop(backend);
    place.stop().await.expect("ends");
}

#[test]
fn the_page_lists_what_is_set() {
    const PAGE: &str = include_str!("../../../docs/BACKENDS.md");
    let mut engines: Vec<EngineKind> = Vec::new();
    for entry in backends() {
        if !engines.contains(&entry.engine) {
            engines.push(entry.engine);
        }
    }
    let tables = qbench_schema::sql::QUEUE.statement("tuned");
    let of_tables: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| PostgreSQL, each table | `")).collect();
    let settings = tables.split_once("SET (").expect("settings").1.trim_end().trim_end_matches(");");
    for setting in settings.split(',') {
        let (name, value) = setting.trim().split_once(" = ").expect("a name and a value");
        let row = of_tables.iter().find(|row| row.contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("the page lacks {name} of each table"));
        assert!(row.contains(&format!("| {value} |")), "{name} = {value}: {row}");
    }
    assert_eq!(
        of_tables.iter().map(|row| row.matches("autovacuum_").count()).sum::<usize>(),
        settings.split(',').count()
    );
    for engine in engines {
        let title = qbench_engines::of(engine).title();
        let rows: Vec<&str> = PAGE.lines().filter(|line| line.starts_with(&format!("| {title} | `"))).collect();
        assert_eq!(rows.len(), engine.tuned.len(), "{title}: {rows:?}");
        for setting in engine.tuned {
            let row = rows.iter().find(|row| row.contains(&format!("`{}`", setting.name)));
            let row = row.unwrap_or_else(|| panic!("{title}: the page lacks {}", setting.name));
            // What depends on the machine is there in words.
            let value =
                if setting.name == "io-threads" { "1 below 3 cores, 3 for 4, 6 for 8" } else { &(setting.value)(4) };
            assert!(row.contains(value) && row.contains(setting.why), "{}: {row}", setting.name);
        }
    }
}
