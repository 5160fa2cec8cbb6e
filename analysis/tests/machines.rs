//! Whether two machines are alike: calibrations whose ratios are known.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use common::calibration;
use qbench_analysis::{Apart, machines_apart};

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
fn many_calibrations_are_an_observation_each_and_one_round_says_nothing() {
    let many = vec![calibration("", 400.0, 500.0); 4];
    assert_eq!(machines_apart(&many, &many)[0].n, 4);
    let mut one = calibration("", 400.0, 500.0);
    one.rounds.truncate(1);
    let apart = &machines_apart(&[one.clone()], &[one])[0];
    assert_eq!((apart.ratio, apart.alike), (None, false));
}
