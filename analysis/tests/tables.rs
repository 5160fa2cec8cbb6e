//! What the terminal shows.
#![allow(clippy::unwrap_used)]

mod common;

use common::{QUICK, Run, write_matrix};
use qbench_analysis::{Asked, analyze};
use qbench_schema::result::{Activity, Durability, LoadMode, Regime, RunResult, RunStatus, Waiting};

fn table(write: impl FnOnce(&std::path::Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    analyze(&[folder.path().to_path_buf()], &folder.path().join("analysis"), &Asked::default(), &common::palette())
        .unwrap()
        .table
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
fn a_mark_needs_three_blocks_a_valid_row_and_rivals_that_wait_alike() {
    let blocks = |count: u32| {
        table(|dir| {
            for block in 1..=count {
                let folder = dir.join(format!("rep-{block:02}"));
                // The fastest of all, and not valid.
                let mut fastest = Run::new("batch_sql", "warm").invalid("the pacer was late").block(block);
                fastest.wait_ms = 0.01;
                fastest.write(&folder);
                // The next one, and it is told of jobs where the others look for them.
                let push = |result: &mut RunResult| {
                    (result.identity.waiting, result.identity.poll_interval_ms) = (Waiting::Push, None);
                };
                Run::new("valkey_streams", "warm").with(push).block(block).write(&folder);
                Run::new("skip_locked", "warm").block(block).write(&folder);
                Run::new("partitioned", "warm").block(block).write(&folder);
            }
        })
    };
    let has_mark = |table: &str, backend: &str| {
        table.lines().find(|line| line.trim_start().starts_with(backend)).unwrap().contains('*')
    };
    let two = blocks(2);
    assert!(!two.lines().any(|line| line.contains("* ") && !line.starts_with('*')), "{two}");
    assert!(two.contains("at least 3 runs of each cell"), "{two}");
    let six = blocks(6);
    for (backend, marked) in
        [("batch_sql", false), ("valkey_streams", false), ("skip_locked", false), ("partitioned", true)]
    {
        assert_eq!(has_mark(&six, backend), marked, "{backend}: {six}");
    }
    assert!(six.contains("valkey_streams (alone in its class)"), "{six}");
}

#[test]
fn a_cell_of_which_the_machine_spoiled_a_run_is_judged_by_the_others() {
    let with = |spoiled: u32, by_the_queue: u32| {
        table(|dir| {
            for block in 1..=8 {
                let run = Run::new("skip_locked", "warm").block(block);
                let run = match block {
                    block if block <= spoiled => {
                        run.spoiled_by_the_host("the hypervisor took 9.0 % of the host's time")
                    }
                    block if block <= spoiled + by_the_queue => run.invalid("the backlog grew by 50.0 jobs/s"),
                    _ => run,
                };
                run.write(&dir.join(format!("rep-{block:02}")));
            }
        })
    };
    let one = with(1, 0);
    assert!(one.contains("yes, 7 of 8 [1]") && one.contains("7 runs per cell"), "{one}");
    assert!(one.contains("run 1: the hypervisor took 9.0 %"), "{one}");
    assert!(with(4, 0).contains("NO [1]"), "half of them is a choice: {}", with(4, 0));
    assert!(with(0, 1).contains("NO [1]"), "{}", with(0, 1));
    assert!(with(1, 1).contains("NO [1]"), "{}", with(1, 1));
}

/// METHODOLOGY F12.
#[test]
fn unlike_servers_machines_and_revisions_are_rows_of_their_own_whatever_their_names_are() {
    let named = |change: fn(&mut RunResult)| {
        let table = table(|dir| {
            Run::new("skip_locked", "warm").write(dir);
            Run::new("skip_locked", "warm").with(change).block(2).write(&dir.join("rep-02"));
        });
        let names =
            table.lines().take_while(|line| !line.starts_with("Cost")).filter(|line| line.contains("skip_locked"));
        names
            .filter(|line| line.contains('('))
            .map(|line| line[..line.find(')').unwrap_or(0) + 1].to_owned())
            .collect::<Vec<_>>()
    };
    for (change, what) in [
        ((|result| result.identity.engine_version = "17.10".to_owned()) as fn(&mut RunResult), ["15.18", "17.10"]),
        (|result| result.identity.host_id = "88d1e07b".to_owned(), ["vm1 3f2a91c0", "vm1 88d1e07b"]),
        (|result| result.identity.git_revision = "beef00000000".to_owned(), ["c0ffee000000", "beef00000000"]),
        (|result| result.identity.topology = "remote 10.0.0.2:5432".to_owned(), ["private", "remote 10.0.0.2:5432"]),
        (
            |result| result.identity.server_settings = [("fsync".to_owned(), "off".to_owned())].into(),
            ["fsync=on", "fsync=off"],
        ),
        (|result| result.identity.waiting = Waiting::Push, ["poll", "push"]),
    ] {
        let names = named(change);
        for word in what {
            assert!(names.iter().any(|name| name.contains(&format!("({word})"))), "{word} in {names:?}");
        }
    }
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
