//! What intervals and words promise, held against blocks that were drawn (METHODOLOGY S3, S7).

use super::verdict::{Direction, Observed, judge};
use super::{ratio_interval, shift_ratio, steadiness};
use qbench_schema::comparison::{SAME_WITHIN, Verdict};

/// Even numbers in a fixed order. Source: Steele, Lea, Flood, *Fast splittable pseudorandom number generators* (OOPSLA 2014).
struct Draws(u64);

impl Draws {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.even()).ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    /// Student's t with three degrees of freedom: tails so heavy that it has no fourth moment.
    fn heavy(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 3.0).sqrt()
    }

    /// Exponential, its mean taken off: as skewed as latencies under load are.
    fn skewed(&mut self) -> f64 {
        -(1.0 - self.even()).ln() - 1.0
    }
}

/// How often the 95 % interval of `n` draws holds the truth, which is 1, in percent.
fn coverage(n: usize, draw: fn(&mut Draws) -> f64) -> f64 {
    const STUDIES: usize = 6_000;
    let mut draws = Draws(n as u64);
    let holds = (0..STUDIES).filter(|_| {
        let log_ratios: Vec<f64> = (0..n).map(|_| 0.1 * draw(&mut draws)).collect();
        ratio_interval(&log_ratios, 0.95).is_some_and(|interval| interval.low <= 1.0 && 1.0 <= interval.high)
    });
    100.0 * holds.count() as f64 / STUDIES as f64
}

#[test]
fn the_interval_holds_the_truth_in_95_of_100_studies_with_normal_and_with_heavy_tails() {
    for n in 3..=10 {
        for draw in [Draws::normal, Draws::heavy] {
            let covered = coverage(n, draw);
            assert!((93.0..=97.0).contains(&covered), "n = {n}: {covered:.1} %");
        }
    }
}

/// Stated in docs/METHODOLOGY.md.
#[test]
fn with_skewed_ratios_the_interval_holds_the_truth_less_often() {
    let covered: Vec<f64> = (3..=10).map(|n| coverage(n, Draws::skewed)).collect();
    assert!(covered.iter().all(|covered| (85.0..93.0).contains(covered)), "{covered:.1?}");
}

/// What two machines are compared by: 90 % of the intervals hold the truth, whatever the rounds are drawn from.
#[test]
fn the_interval_by_ranks_holds_the_truth_in_90_of_100_pairs_of_machines() {
    const PAIRS: usize = 3_000;
    for n in [3, 10, 25, 40] {
        for draw in [Draws::normal as fn(&mut Draws) -> f64, Draws::heavy, Draws::skewed] {
            let mut draws = Draws(3 + n as u64);
            let mut machine = || -> Vec<f64> { (0..n).map(|_| 0.1 * draw(&mut draws)).collect() };
            let holds = (0..PAIRS).filter(|_| {
                let interval = shift_ratio(&machine(), &machine(), 0.9);
                interval.is_some_and(|interval| interval.low <= 1.0 && 1.0 <= interval.high)
            });
            let covered = 100.0 * holds.count() as f64 / PAIRS as f64;
            assert!((88.0..=93.0).contains(&covered), "n = {n}: {covered:.1} %");
        }
    }
}

/// Five arms that do the same, a reference and four others, so that the four comparisons have the reference's luck in common.
#[test]
fn arms_that_do_the_same_differ_in_no_more_than_5_of_100_studies() {
    const STUDIES: usize = 4_000;
    for (n, draw) in [(8, Draws::normal as fn(&mut Draws) -> f64), (8, Draws::heavy), (10, Draws::normal)] {
        let mut draws = Draws(7 + n as u64);
        let mut with_a_word = 0;
        for _ in 0..STUDIES {
            let mut arm = || -> Vec<f64> { (0..n).map(|_| 0.2 * draw(&mut draws)).collect() };
            let reference = arm();
            let family: Vec<(Observed, Direction)> = (0..4)
                .map(|_| {
                    let log_ratios = arm().iter().zip(&reference).map(|(a, b)| a - b).collect();
                    (Observed::Paired(log_ratios), Direction::Less)
                })
                .collect();
            let is_word = |verdict| matches!(verdict, Verdict::Faster | Verdict::Slower);
            with_a_word += usize::from(judge(&family, SAME_WITHIN).iter().any(|judged| is_word(judged.verdict)));
        }
        let share = 100.0 * with_a_word as f64 / STUDIES as f64;
        assert!(share <= 6.0, "n = {n}: {share:.1} % of the studies");
    }
}

/// A difference of 4 % is "the same" by definition; one of 8 % must not be called so more often than the level of the tests.
#[test]
fn what_differs_by_more_than_the_bounds_is_hardly_ever_called_the_same() {
    const STUDIES: usize = 4_000;
    let mut draws = Draws(99);
    let mut same = 0;
    for _ in 0..STUDIES {
        // Right at the bound: the worst case.
        let log_ratios = (0..8).map(|_| 1.05_f64.ln() + 0.03 * draws.normal()).collect();
        same += usize::from(
            judge(&[(Observed::Paired(log_ratios), Direction::Less)], SAME_WITHIN)[0].verdict == Verdict::Same,
        );
    }
    let share = 100.0 * same as f64 / STUDIES as f64;
    assert!(share <= 6.0, "{share:.1} % of the studies");
}

/// Seconds of one run with what they have in common, as those of a server have: one in a hundred may be called unsteady, not one in five.
#[test]
fn steady_seconds_are_hardly_ever_called_unsteady() {
    const RUNS: usize = 1_000;
    for autocorrelation in [0.0, 0.4] {
        let mut draws = Draws(5);
        let unsteady = (0..RUNS).filter(|_| {
            let mut state = 0.0;
            let seconds: Vec<f64> = (0..60)
                .map(|_| {
                    state = autocorrelation * state + draws.normal();
                    20.0 + 4.0 * state
                })
                .collect();
            steadiness(&seconds, 0.0).is_some_and(|judged| !judged.steady)
        });
        let share = 100.0 * unsteady.count() as f64 / RUNS as f64;
        assert!(share <= 4.0, "{share:.1} % of the runs");
    }
}
