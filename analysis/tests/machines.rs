//! Whether two machines are alike: calibrations whose ratios are known.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use common::{Run, calibration, palette};
use qbench_analysis::{Apart, Asked, analyze, machines_apart};
use qbench_schema::calibration::{Calibration, Round};

fn alike(apart: &[Apart]) -> Vec<&str> {
    apart.iter().filter(|apart| apart.alike).map(|apart| apart.figure.as_str()).collect()
}

#[test]
fn machines_are_alike_where_the_whole_interval_lies_inside_the_limits() {
    let same = machines_apart(&[calibration("", 400.0, 500.0)], &[calibration("", 404.0, 530.0)]);
    assert_eq!(alike(&same).len(), 6, "{same:?}");
    let slower = machines_apart(&[calibration("", 400.0, 500.0)], &[calibration("", 320.0, 560.0)]);
    assert_eq!(alike(&slower), ["memory_mb_s", "loopback_us"], "{slower:?}");
    let cpu = &slower[0];
    assert!((cpu.ratio.unwrap() - 0.8).abs() < 1e-9 && cpu.high.unwrap() < 0.82, "{cpu:?}");
    // At the very limit: half of the interval is beyond it.
    assert!(!machines_apart(&[calibration("", 400.0, 500.0)], &[calibration("", 412.0, 500.0)])[0].alike);
}

#[test]
fn it_is_no_matter_which_machine_is_divided_by_the_other() {
    // Without any scatter the interval is the ratio itself: 1/1.0305 is above 0.97 and yet as far from 1 as 1.0305 is.
    let steady = |cpu: f64| Calibration {
        rounds: vec![Round { cpu_one_core: cpu, ..Round::default() }; 10],
        ..Calibration::default()
    };
    for (ratio, expected) in [(1.0305, false), (1.0295, true)] {
        let machines = [steady(400.0), steady(400.0 * ratio)];
        let [one, two] = machines.each_ref().map(std::slice::from_ref);
        let found = [machines_apart(one, two), machines_apart(two, one)].map(|apart| apart[0].alike);
        assert_eq!(found, [expected; 2], "{ratio}");
    }
}

#[test]
fn rounds_that_a_neighbour_spoiled_do_not_make_one_machine_two() {
    let mut disturbed = calibration("", 400.0, 500.0);
    disturbed.rounds[2].cpu_one_core /= 3.0;
    disturbed.rounds[7].loopback_us *= 4.0;
    let apart = machines_apart(&[calibration("", 400.0, 500.0)], &[disturbed]);
    assert_eq!(alike(&apart).len(), 6, "{apart:?}");
}

#[test]
fn many_calibrations_are_an_observation_each_and_one_round_says_nothing() {
    let many = vec![calibration("", 400.0, 500.0); 4];
    assert_eq!(machines_apart(&many, &many)[0].n, 4);
    let mut one = calibration("", 400.0, 500.0);
    one.rounds.truncate(1);
    let apart = &machines_apart(&[one.clone()], &[one])[0];
    assert_eq!((apart.ratio, apart.alike), (None, false));
}

#[test]
fn runs_that_no_two_calibrations_surround_are_told_block_by_block() {
    let folder = tempfile::tempdir().unwrap();
    let block = |number: u32| folder.path().join(format!("rep-{number:02}"));
    (1..=4).for_each(|number| Run::new("skip_locked", "warm").block(number).without_metrics().write(&block(number)));
    // All runs began on 2 January at 03:04:05.
    let write = |number: u32, name: &str, started_at: &str| {
        let of_block = Calibration { started_at: started_at.to_owned(), ..calibration("3f2a91c0", 400.0, 500.0) };
        std::fs::write(block(number).join(name), serde_json::to_vec(&of_block).unwrap()).unwrap();
    };
    write(1, "calibration_before.json", "2026-01-02T03:03:00Z");
    write(1, "calibration_after.json", "2026-01-02T03:05:00Z");
    // Stopped before it ended.
    write(2, "calibration_before.json", "2026-01-02T03:03:00Z");
    // Stopped, and gone on with the next day.
    write(3, "calibration_before.json.attempt-1", "2026-01-02T03:03:00Z");
    write(3, "calibration_before.json", "2026-01-03T03:03:00Z");
    write(3, "calibration_after.json", "2026-01-03T03:05:00Z");
    let told = || -> Vec<String> {
        let output = folder.path().join("analysis");
        let analysis = analyze(&[folder.path().to_path_buf()], &output, &Asked::default(), &palette()).unwrap();
        analysis.problems.iter().map(ToString::to_string).filter(|problem| problem.contains("calibration")).collect()
    };
    let first = told();
    assert_eq!(first.len(), 3, "{first:?}");
    for (problem, block) in first.iter().zip(["rep-02", "rep-03", "rep-04"]) {
        assert!(problem.contains(block) && problem.contains("1 of its 1 runs are not between"), "{problem}");
    }
    // What an earlier session set aside belongs to its runs.
    write(3, "calibration_after.json.attempt-1", "2026-01-02T03:05:00Z");
    assert_eq!(told().len(), 2);
}
