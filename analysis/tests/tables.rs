//! What the terminal shows.
#![allow(clippy::unwrap_used)]

mod common;

use common::{QUICK, Run, write_matrix};
use qbench_analysis::analyze;
use qbench_schema::result::{Activity, Durability, LoadMode, Regime, RunStatus};

fn table(write: impl FnOnce(&std::path::Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    analyze(&[folder.path().to_path_buf()], &folder.path().join("analysis"), &common::palette()).unwrap().table
}

#[test]
fn the_quick_matrix() {
    insta::assert_snapshot!(table(write_matrix));
}

#[test]
fn every_kind_of_trouble() {
    insta::assert_snapshot!(table(|dir| {
        Run::new("skip_locked", "load").overloaded().write(dir);
        Run::new("delete_returning", "load").failed("connect to 127.0.0.1:5433: connection refused").write(dir);
        Run::new("partitioned", "load").invalid("schedule_lag p99 is 14.2 ms (limit 5 ms)").write(dir);
        Run::new("batch_sql", "load").with(|result| result.status = RunStatus::Running).write(dir);
        Run::new("valkey_streams", "load").with(|result| result.cpu_pct.server = None).write(dir);
    }));
}

#[test]
fn three_repeats() {
    insta::assert_snapshot!(table(|dir| {
        for block in 1..=3 {
            for (backend, ..) in QUICK {
                Run::new(backend, "warm").block(block).write(&dir.join(format!("rep-{block:02}")));
            }
        }
    }));
}

#[test]
fn durability_classes_are_not_ranked_against_each_other() {
    insta::assert_snapshot!(table(|dir| {
        let in_class =
            |backend: &str, class: Durability| Run::new(backend, "warm").with(|r| r.identity.durability = class);
        in_class("skip_locked", Durability::D2).write(dir);
        in_class("partitioned", Durability::D2).write(dir);
        in_class("batch_sql", Durability::D0).write(dir);
        in_class("valkey_streams", Durability::D0).write(dir);
        Run::new("memory", "warm")
            .with(|result| {
                result.identity.engine = "in_process".into();
                result.identity.durability = Durability::D0;
            })
            .write(dir);
    }));
}

#[test]
fn a_row_that_may_not_be_ranked_never_has_the_mark() {
    let table = table(|dir| {
        // The fastest of all, and not valid.
        let mut fastest = Run::new("valkey_streams", "warm").invalid("the pacer was late");
        fastest.wait_ms = 0.01;
        fastest.write(dir);
        Run::new("skip_locked", "warm").write(dir);
        Run::new("partitioned", "warm").write(dir);
    });
    let line = |backend: &str| table.lines().find(|line| line.trim_start().starts_with(backend)).unwrap();
    assert!(!line("valkey_streams").contains('*'), "{table}");
    assert!(line("partitioned").contains('*'), "{table}");
}

#[test]
fn a_load_without_a_schedule_has_rates_and_costs_and_no_latency() {
    insta::assert_snapshot!(table(|dir| {
        let flat_out = |backend: &str, rate_jobs_s: f64| {
            Run::new(backend, "drain").with(|result| {
                result.identity.mode = LoadMode::Saturation;
                result.identity.activity = Activity::Drain;
                result.identity.regime = Regime::Overload;
                result.identity.utilisation = None;
                result.throughput_jobs_s = rate_jobs_s;
                result.backlog.max = 50_000;
            })
        };
        flat_out("skip_locked", 9_800.0).write(dir);
        flat_out("valkey_streams", 31_000.0).invalid("the harness was bound by its own CPU: 180 %").write(dir);
    }));
}

#[test]
fn another_machine_and_another_setting_are_rows_of_their_own_and_named_by_what_differs() {
    insta::assert_snapshot!(table(|dir| {
        let mut block = 0;
        let mut on = |host: &str, batch: u32| {
            block += 1;
            let run = Run::new("skip_locked", "warm").with(|result| {
                result.identity.host = host.to_owned();
                result.identity.run_id = format!("{host} {batch}");
                result.identity.configuration = format!("claim-batch={batch} rate=500");
                result.identity.configuration_hash = format!("{batch:08x}");
            });
            run.write(&dir.join(format!("rep-{block:02}")));
        };
        on("vm1", 1);
        on("vm1", 10);
        on("vm2", 1);
        Run::new("valkey_streams", "warm").write(dir);
    }));
}
