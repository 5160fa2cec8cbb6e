//! Folders of a matrix that varied settings: a row per variant, what a climb brought, how a queue scaled.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::Run;
use qbench_analysis::{Analysis, Asked, analyze, graph};
use qbench_schema::result::{Activity, LoadMode, Regime, RoundTrip, RoundTrips, Skew, WakeCounts};
use qbench_schema::round_trip::RoundTripRow;
use qbench_schema::variant::RunVariant;

/// A run of a variant, in the folder that the matrix would give it.
fn write(run: Run, variant: RunVariant, settings: &[(&str, &str)], block: u32, dir: &Path) {
    let folder = dir.join(format!("rep-{block:02}")).join(variant.folder());
    let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    run.block(block)
        .with(|result| {
            result.identity.configuration = words.join(" ");
            result.identity.configuration_hash = format!("{:08x}", words.join(" ").bytes().map(u32::from).sum::<u32>());
            result.identity.run_id = format!("{} {} {block}", result.identity.backend, variant.name);
            result.identity.variant = Some(variant);
        })
        .write(&folder);
}

/// Place, name and settings of a rung.
type Rung = (u32, &'static str, [(&'static str, &'static str); 3]);

/// A small climb.
const RUNGS: [Rung; 3] = [
    (1, "poll", [("ack-batch", "1"), ("claim-batch", "1"), ("wake", "poll")]),
    (2, "notify", [("ack-batch", "1"), ("claim-batch", "1"), ("wake", "notify")]),
    (3, "batch-ack", [("ack-batch", "10"), ("claim-batch", "1"), ("wake", "notify")]),
];

fn rung(place: u32, name: &str) -> RunVariant {
    let climbed_keys = ["ack-batch", "wake"].map(str::to_owned).to_vec();
    RunVariant { plan: "ladder".into(), name: name.into(), place, climbs: true, climbed_keys }
}

/// Three rungs, of which the top one is told by what the runs counted to be the cheapest.
fn write_climb(dir: &Path) {
    for block in 1..=2 {
        let counted = [(40.0, 3.2, 400), (4.0, 3.0, 20), (2.0, 2.1, 20)];
        for ((place, name, settings), (wait_ms, round_trips, empty_claims)) in RUNGS.into_iter().zip(counted) {
            let mut run = Run::new("skip_locked", "warm").with(|result| {
                result.cost_per_job.round_trips = Some(round_trips);
                result.wake = Some(WakeCounts { empty_claims, ..WakeCounts::default() });
            });
            run.wait_ms = wait_ms;
            write(run, rung(place, name), &settings, block, dir);
        }
    }
}

/// Runs of the small climb at some rate on some of its rungs, made by a version that names the climbed settings or by one
/// that did not yet.
fn write_rungs(rate_jobs_s: u32, places: &[u32], names_climbed_keys: bool, block: u32, dir: &Path) {
    for (place, name, settings) in RUNGS.into_iter().filter(|(place, ..)| places.contains(place)) {
        let run = Run::new("skip_locked", "warm").with(|result| {
            result.identity.offered_jobs_s = f64::from(rate_jobs_s);
            result.throughput_jobs_s = f64::from(rate_jobs_s);
        });
        let mut variant = rung(place, name);
        if !names_climbed_keys {
            variant.climbed_keys.clear();
        }
        let rate = rate_jobs_s.to_string();
        write(run, variant, &[&settings[..], &[("rate", &rate)]].concat(), block, dir);
    }
}

/// Two backends flat out, one of which falls behind and has deadlocks; the order of the text is not that of the numbers.
fn write_scaling(dir: &Path) {
    for (backend, jobs_s, deadlocks) in
        [("skip_locked", [4_000.0, 7_600.0, 9_000.0], [0, 0, 0]), ("advisory_lock", [900.0, 700.0, 300.0], [0, 3, 41])]
    {
        for (place, (workers, (jobs_s, deadlocks))) in
            (1..).zip(["2", "8", "16"].into_iter().zip(jobs_s.into_iter().zip(deadlocks)))
        {
            let run = Run::new(backend, "warm").with(|result| {
                result.identity.mode = LoadMode::Saturation;
                result.identity.activity = Activity::Both;
                result.identity.regime = Regime::Overload;
                result.identity.utilisation = None;
                result.throughput_jobs_s = jobs_s;
                result.identity.offered_jobs_s = jobs_s + f64::from(place);
                result.deadlocks = Some(deadlocks);
                result.skew = Skew { workers_max_over_min: Some(1.0 + f64::from(place) / 10.0), ..Skew::default() };
            });
            let variant = RunVariant {
                plan: "scaling".into(),
                name: format!("workers={workers}"),
                place,
                ..RunVariant::default()
            };
            write(run, variant, &[("saturate", "true"), ("workers", workers)], 1, dir);
        }
    }
}

/// Two queues with three delays, one of which waits for more round trips than the other.
fn write_delays(dir: &Path) {
    for (backend, waits_for) in [("skip_locked", 3.0), ("valkey_streams", 2.0)] {
        for (place, (delay, delay_ms)) in (1..).zip([("0s", 0.0), ("1ms", 1.0), ("2ms", 2.0)]) {
            for block in 1..=3 {
                let mut run = Run::new(backend, "warm").with(|result| {
                    let end = Some(RoundTrip { p50: 1e3 * (0.1 + delay_ms), p99: 3e3, requests: 2_000 });
                    result.round_trip_us = Some(RoundTrips { before: end, after: end });
                });
                run.wait_ms = 1.0 + waits_for * delay_ms;
                let name = format!("delay={delay}");
                let variant = RunVariant { plan: "round-trip".into(), name, place, ..RunVariant::default() };
                write(run, variant, &[("delay", delay), ("workers", "16")], block, dir);
            }
        }
    }
}

fn analyzed(write: impl FnOnce(&Path)) -> (Analysis, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("results"));
    let analysis = analyze(
        &[folder.path().join("results")],
        &folder.path().join("analysis"),
        &Asked::default(),
        &common::palette(),
    )
    .unwrap();
    (analysis, folder)
}

/// The blocks of the table that begin so.
fn blocks(analysis: &Analysis, beginning: &str) -> String {
    analysis.table.split("\n\n").filter(|block| block.starts_with(beginning)).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn every_variant_is_a_row_of_its_own_in_the_order_in_which_it_was_listed() {
    let (analysis, _folder) = analyzed(write_scaling);
    let rows: Vec<_> = analysis.summary.iter().map(|row| (row.backend.as_str(), row.variant.as_str())).collect();
    assert_eq!(rows[..3], [("skip_locked", "workers=2"), ("skip_locked", "workers=8"), ("skip_locked", "workers=16")]);
    assert_eq!(rows.len(), 6);
    assert!(analysis.table.contains("skip_locked (workers=16)"), "{}", analysis.table);

    let (analysis, _folder) = analyzed(write_climb);
    let rows: Vec<_> = analysis.summary.iter().map(|row| (row.variant.as_str(), row.runs)).collect();
    assert_eq!(rows, [("poll", 2), ("notify", 2), ("batch-ack", 2)], "blocks of one variant are one row");
}

#[test]
fn a_variant_that_changes_only_the_seed_is_not_pooled_with_the_others() {
    let (analysis, _folder) = analyzed(|dir| {
        for (place, name) in (1..).zip(["seed=1", "seed=2"]) {
            let variant = RunVariant { name: name.into(), place, ..RunVariant::default() };
            write(Run::new("skip_locked", "warm"), variant, &[("rate", "500")], 1, dir);
        }
    });
    assert_eq!(analysis.summary.len(), 2);
    assert!(analysis.table.contains("skip_locked (seed=2)"), "{}", analysis.table);
}

#[test]
fn flat_out_repeats_that_sent_at_different_rates_are_as_valid_as_each_of_them() {
    let (analysis, _folder) = analyzed(|dir| {
        for block in 1..=2 {
            Run::new("skip_locked", "warm")
                .block(block)
                .with(|result| {
                    result.identity.mode = LoadMode::Saturation;
                    result.identity.offered_jobs_s = 1_000.0 * f64::from(block);
                })
                .write(&dir.join(format!("rep-{block:02}")));
        }
    });
    assert!(analysis.summary[0].valid, "{}", analysis.summary[0].reasons);
}

#[test]
fn the_table_of_a_climb_says_what_each_rung_changed_and_brought() {
    let (analysis, _folder) = analyzed(write_climb);
    insta::assert_snapshot!(blocks(&analysis, "Climb"));
}

#[test]
fn two_climbs_of_one_backend_are_never_mixed_however_much_of_one_is_missing() {
    // The second climb is listed first on the rungs that both have: "400" stands before "800".
    for (names_climbed_keys, places) in [(true, &[2][..]), (false, &[2]), (true, &[2, 3]), (false, &[2, 3])] {
        let (analysis, _folder) = analyzed(|dir| {
            write_rungs(800, &[1, 2, 3], names_climbed_keys, 1, dir);
            write_rungs(400, places, names_climbed_keys, 2, dir);
        });
        let table = blocks(&analysis, "Climb");
        assert_eq!(table.matches("Climb ladder: skip_locked (rate=").count(), 2, "{table}");
        assert!(table.contains("(rate=800) in scenario warm, 800 jobs/s offered on every rung"), "{table}");
        assert!(table.contains("(rate=400) in scenario warm, 400 jobs/s offered on every rung"), "{table}");
    }
}

#[test]
fn two_climbs_without_a_rung_in_common_are_told_apart_by_what_a_climb_says_of_itself() {
    let (analysis, _folder) = analyzed(|dir| {
        write_rungs(800, &[1], true, 1, dir);
        write_rungs(400, &[2], true, 2, dir);
    });
    let table = blocks(&analysis, "Climb");
    assert_eq!(table.matches("Climb ladder: skip_locked (rate=").count(), 2, "{table}");
    assert!(!table.contains("wake=notify"), "the rung below was not run at this rate: {table}");
}

#[test]
fn the_table_of_a_climb_compares_nothing_with_a_rung_that_is_not_valid() {
    let (analysis, _folder) = analyzed(|dir| {
        write_climb(dir);
        let (place, name, settings) = RUNGS[1];
        let slow = Run::new("skip_locked", "warm").invalid("the harness was late");
        write(slow, rung(place, name), &settings, 3, dir);
    });
    insta::assert_snapshot!(blocks(&analysis, "Climb"));
}

#[test]
fn the_share_of_linear_growth_is_that_of_the_first_valid_number_of_workers() {
    let late = |workers: u32, dir: &Path| {
        let run = Run::new("skip_locked", "warm").invalid("the harness was late").with(|result| {
            result.identity.mode = LoadMode::Saturation;
            result.throughput_jobs_s = 9_999.0;
        });
        let name = format!("workers={workers}");
        let variant = RunVariant { plan: "scaling".into(), name, place: 1, ..RunVariant::default() };
        write(run, variant, &[("saturate", "true"), ("workers", &workers.to_string())], 2, dir);
    };
    let (analysis, folder) = analyzed(|dir| {
        write_scaling(dir);
        late(2, dir);
    });
    let table = blocks(&analysis, "Scaling of skip_locked");
    insta::assert_snapshot!(table);
    graph(&folder.path().join("analysis/summary.csv"), &folder.path().join("graphs"), &common::palette()).unwrap();

    let (analysis, folder) = analyzed(|dir| [2, 4].into_iter().for_each(|workers| late(workers, dir)));
    let table = blocks(&analysis, "Scaling of skip_locked");
    assert!(table.contains("No share of linear: there is no valid figure to hold the others against"), "{table}");
    graph(&folder.path().join("analysis/summary.csv"), &folder.path().join("graphs"), &common::palette()).unwrap();
}

#[test]
fn the_table_of_a_scaling_sweep_says_what_is_left_of_linear_growth_and_counts_deadlocks() {
    let (analysis, _folder) = analyzed(|dir| {
        write_scaling(dir);
        let variant =
            RunVariant { plan: "scaling".into(), name: "workers=32".into(), place: 4, ..RunVariant::default() };
        let broken = Run::new("skip_locked", "warm").with(|result| result.identity.mode = LoadMode::Saturation);
        write(broken.failed("too many connections"), variant, &[("saturate", "true"), ("workers", "32")], 1, dir);
    });
    insta::assert_snapshot!(blocks(&analysis, "Scaling"));
}

#[test]
fn the_table_of_longer_ways_says_what_a_millisecond_costs_each_queue_and_so_does_a_file() {
    let (analysis, folder) = analyzed(write_delays);
    let table = blocks(&analysis, "Round trips in scenario warm");
    assert!(table.contains("3 runs per cell") && table.contains("+2 ms"), "{table}");
    let text = fs::read_to_string(folder.path().join("analysis/round_trip.csv")).unwrap();
    let rows: Vec<RoundTripRow> =
        csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 2 * 2, "{text}");
    let slope = |backend: &str| {
        let is_median = |row: &&RoundTripRow| row.backend == backend && row.figure == "latency_p50_ms";
        rows.iter().find(is_median).unwrap()
    };
    let (long, short) = (slope("skip_locked"), slope("valkey_streams"));
    assert_eq!((long.blocks, long.runs), (3, 9));
    assert!(long.ms_per_ms > short.ms_per_ms && long.low.unwrap() < long.ms_per_ms, "{rows:?}");
}

#[test]
fn a_climb_and_a_scaling_sweep_have_a_picture_each_and_other_results_have_none() {
    let pictures = |write: fn(&Path)| -> Vec<String> {
        let (_, folder) = analyzed(write);
        let written =
            graph(&folder.path().join("analysis/summary.csv"), &folder.path().join("graphs"), &common::palette())
                .unwrap();
        let extra = written[qbench_analysis::charts::NAMES.len()..].iter();
        extra
            .map(|path| {
                assert!(fs::metadata(path).unwrap().len() > 20_000, "{} holds something", path.display());
                path.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(pictures(write_climb), ["ladder.png"]);
    assert_eq!(pictures(write_scaling), ["scaling.png"]);
    assert_eq!(pictures(write_delays), ["comparison.png", "round_trip.png"]);
    assert_eq!(pictures(common::write_matrix), [] as [&str; 0]);
}
