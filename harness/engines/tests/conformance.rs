//! Every backend that keeps its jobs on a server or in a file passes the conformance suite there, in each of its option sets, and
//! in every durability class with its defaults.

use std::collections::BTreeSet;

use qbench_backends::conformance::{self, Outcome, Progress};
use qbench_backends::registry::{self, backends};
use qbench_backends::{BackendConfig, BackendOptions, ServerUrl};
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;

/// Starts the server that the backend needs, and holds the backend to every case that applies.
async fn conforms(id: &str, option_set: &str, durability: Durability) {
    let engine = qbench_engines::of(registry::find(id).expect("registered").engine);
    let started = engine.start(StartOptions::new(durability)).await.expect("starts");
    let server = started.expect("backends of this process are tested beside the suite itself");
    check(id, option_set, durability, server.url()).await;
    server.stop().await.expect("ends");
}

async fn check(id: &str, option_set: &str, durability: Durability, url: &ServerUrl) {
    let entry = registry::find(id).expect("registered");
    let (_, options) = entry.option_sets().into_iter().find(|(name, _)| name == option_set).expect("an option set");
    let report = conformance::run(entry, &config(url, durability, options), "", |progress| {
        if let Progress::Ended(result) = progress
            && !matches!(result.outcome, Outcome::NotApplicable(_))
        {
            println!("{:>6.2} s  {}  {:?}", result.took.as_secs_f64(), result.name, result.outcome);
        }
    })
    .await
    .expect("opens");
    println!("{option_set} {report}");
    report.verdict().expect("conforms");
}

fn config(url: &ServerUrl, durability: Durability, options: BackendOptions) -> BackendConfig {
    BackendConfig { url: Some(url.clone()), durability, options, ..BackendConfig::new("qbench_conformance") }
}

/// A test per line, and the list of what they test.
macro_rules! conforming {
    ($($test:ident: $id:literal $option_set:literal $durability:ident,)*) => {
        const TESTED: &[(&str, &str, Durability)] = &[$(($id, $option_set, Durability::$durability)),*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                conforms($id, $option_set, Durability::$durability).await;
            }
        )*
    };
}

// Option sets other than the defaults are tried in one class only: a class changes how tables are kept and when a commit
// returns, and no statement.
conforming! {
    skip_locked: "skip_locked" "" D1,
    skip_locked_d0: "skip_locked" "" D0,
    skip_locked_d2: "skip_locked" "" D2,
    skip_locked_sqlx: "skip_locked" "claim_commit=async,pg_client=sqlx,plans=pinned" D1,
    delete_returning: "delete_returning" "" D1,
    delete_returning_d0: "delete_returning" "" D0,
    delete_returning_d2: "delete_returning" "" D2,
    delete_returning_commit_ack: "delete_returning" "commit=ack,pg_client=sqlx" D1,
    delete_returning_commit_visibility: "delete_returning" "commit=visibility" D1,
    partitioned: "partitioned" "" D1,
    partitioned_d0: "partitioned" "" D0,
    partitioned_d2: "partitioned" "" D2,
    partitioned_32: "partitioned" "partitions=32,pg_client=sqlx" D1,
    partitioned_steal: "partitioned" "steal=true" D1,
    batch_sql: "batch_sql" "" D1,
    batch_sql_d0: "batch_sql" "" D0,
    batch_sql_d2: "batch_sql" "" D2,
    batch_sql_priorities_entrypoints: "batch_sql" "priorities=4,entrypoints=3,pg_client=sqlx" D1,
    advisory_lock: "advisory_lock" "" D1,
    advisory_lock_d0: "advisory_lock" "" D0,
    advisory_lock_d2: "advisory_lock" "" D2,
    advisory_lock_transaction: "advisory_lock" "lock=transaction,statistics=append" D1,
    advisory_lock_append: "advisory_lock" "statistics=append,pg_client=sqlx" D1,
    valkey_streams: "valkey_streams" "" D1,
    valkey_streams_d0: "valkey_streams" "" D0,
    valkey_streams_d2: "valkey_streams" "" D2,
    valkey_streams_delete_trim: "valkey_streams" "delete=trim" D1,
    valkey_streams_delete_none: "valkey_streams" "delete=none" D1,
    valkey_list: "valkey_list" "" D1,
    valkey_list_d0: "valkey_list" "" D0,
    valkey_list_d2: "valkey_list" "" D2,
    nats_jetstream: "nats_jetstream" "" D1,
    nats_jetstream_d0: "nats_jetstream" "" D0,
    nats_jetstream_d2: "nats_jetstream" "" D2,
    nats_jetstream_in_progress: "nats_jetstream" "in_progress=yes" D1,
    sqlite: "sqlite" "" D1,
    sqlite_d0: "sqlite" "" D0,
    sqlite_d2: "sqlite" "" D2,
}

#[test]
fn every_option_set_and_every_class_of_every_backend_outside_this_process_is_tested() {
    let outside = || backends().filter(|entry| qbench_engines::of(entry.engine).needs_a_place());
    let option_sets: BTreeSet<(&str, String)> =
        outside().flat_map(|entry| entry.option_sets().into_iter().map(|(name, _)| (entry.id, name))).collect();
    assert_eq!(option_sets, TESTED.iter().map(|(id, name, _)| (*id, (*name).to_owned())).collect());
    for entry in outside() {
        for class in [Durability::D0, Durability::D1, Durability::D2] {
            assert!(TESTED.contains(&(entry.id, "", class)), "{} is not tested in {class:?}", entry.id);
        }
    }
}

/// The page was written from what the program printed; here it is held to what the suite has now.
#[test]
fn the_page_about_adding_a_backend_shows_the_suite_as_it_is() {
    const PAGE: &str = include_str!("../../../docs/ADDING_A_BACKEND.md");
    let entry = registry::find("valkey_list").expect("registered");
    let capabilities = entry.capabilities(&BackendOptions::default()).expect("no options");
    for (filter, command) in [("", ""), ("round_trip", " --case round_trip")] {
        let expected = conformance::expected_count(&capabilities, entry.engine, filter);
        let rest = conformance::cases().filter(|case| case.name.contains(filter)).count() - expected;
        let shown = format!(
            "$ qbench verify --backend valkey_list{command}\n\
             valkey_list: {expected} of {expected} expected cases passed, 0 failed, {rest} not applicable\n\
             {expected} of {expected} cases passed (backends: 1, option sets: 1, failed option sets: 0)\n"
        );
        assert!(PAGE.contains(&shown), "the page should show\n{shown}");
    }
    for case in conformance::cases() {
        let topic = case.name.split('.').next().unwrap_or_default();
        assert!(PAGE.contains(&format!("`{topic}`")), "the page's table of topics lacks {topic}");
    }
}
