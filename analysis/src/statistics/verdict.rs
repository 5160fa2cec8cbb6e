//! The words for comparisons, and what allows them (METHODOLOGY S3).

use qbench_schema::comparison::Verdict;

use super::holm::{Step, holm};
use super::paired::{FEWEST_BLOCKS, RatioInterval, ratio_interval};
use super::power::detectable_effect;
use super::sign_flip::{sign_flip, smallest_p};
use super::unpaired::{permutation, smallest_p_unpaired, unpaired_ratio};

/// Chance of any false "faster" or "slower" in one family of comparisons.
pub const LEVEL: f64 = 0.05;

/// Confidence of the intervals that are shown.
pub const CONFIDENCE: f64 = 0.95;

/// What the runs of two cells measured: logarithms.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// The log-ratio of each block that both have.
    Paired(Vec<f64>),
    /// The logarithms of the runs of each, which do not pair.
    Unpaired(Vec<f64>, Vec<f64>),
    /// Nothing may be compared; a sentence that says why.
    Refused(String),
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A smaller figure.
    Less,
    /// A larger figure.
    More,
}

/// A comparison with its word.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Blocks that both have, or runs of the smaller cell.
    pub n: usize,
    /// Whether blocks paired.
    pub paired: bool,
    /// Geometric mean of the ratios; `None` without any.
    pub ratio: Option<f64>,
    /// The 95 % interval of the ratio; `None` below [`FEWEST_BLOCKS`].
    pub interval: Option<RatioInterval>,
    /// Two-sided p of the exact test, for itself.
    pub p: Option<f64>,
    /// The same for its family, after Holm.
    pub p_adjusted: Option<f64>,
    /// The smallest p that so many blocks can have.
    pub p_smallest: Option<f64>,
    /// The smallest true ratio above 1 that blocks that scatter like these find in four of five studies.
    pub detectable: Option<f64>,
    /// The word.
    pub verdict: Verdict,
    /// Why it is refused or undecided; empty else.
    pub reason: String,
}

/// What can be computed of one comparison by itself.
struct Alone {
    n: usize,
    paired: bool,
    ratio: Option<f64>,
    interval: Option<RatioInterval>,
    /// The interval that two one-sided tests at [`LEVEL`] are read from.
    narrow: Option<RatioInterval>,
    p: Option<f64>,
    p_smallest: Option<f64>,
    detectable: Option<f64>,
    refused: Option<String>,
}

impl Alone {
    fn of(observed: &Observed) -> Self {
        // Two one-sided tests at a level are an interval of twice that level.
        const NARROW: f64 = 1.0 - 2.0 * LEVEL;
        match observed {
            Observed::Refused(reason) => Alone {
                n: 0,
                paired: false,
                ratio: None,
                interval: None,
                narrow: None,
                p: None,
                p_smallest: None,
                detectable: None,
                refused: Some(reason.clone()),
            },
            Observed::Paired(log_ratios) => Alone {
                n: log_ratios.len(),
                paired: true,
                ratio: mean(log_ratios).map(f64::exp),
                interval: ratio_interval(log_ratios, CONFIDENCE),
                narrow: ratio_interval(log_ratios, NARROW),
                p: sign_flip(log_ratios),
                p_smallest: Some(smallest_p(log_ratios.len())),
                detectable: detectable_effect(log_ratios, LEVEL),
                refused: None,
            },
            Observed::Unpaired(a, b) => Alone {
                n: a.len().min(b.len()),
                paired: false,
                ratio: mean(a).zip(mean(b)).map(|(a, b)| (a - b).exp()),
                interval: unpaired_ratio(a, b, CONFIDENCE),
                narrow: unpaired_ratio(a, b, NARROW),
                p: permutation(a, b),
                p_smallest: Some(smallest_p_unpaired(a.len(), b.len())),
                detectable: None,
                refused: None,
            },
        }
    }

    /// `first_level` is what the smallest p of the family is held against where none of them could pass it.
    fn word(&self, step: Step, first_level: Option<f64>, better: Direction, same_within: f64) -> (Verdict, String) {
        if let Some(reason) = &self.refused {
            return (Verdict::Refused, reason.clone());
        }
        let unit = if self.paired { "blocks" } else { "runs of each" };
        let (Some(interval), Some(narrow), Some(p)) = (self.interval, self.narrow, self.p) else {
            return (Verdict::Refused, format!("{} {unit}: an interval takes {FEWEST_BLOCKS}", self.n));
        };
        if narrow.is_within(same_within) {
            return (Verdict::Same, String::new());
        }
        let smallest = self.p_smallest.unwrap_or(1.0);
        let asked = first_level.unwrap_or(step.level);
        if smallest > asked {
            let reason = format!(
                "{} {unit} allow no word: the smallest p that they can have is {smallest:.3}, and {asked:.3} is asked for",
                self.n
            );
            return (Verdict::Refused, reason);
        }
        if step.adjusted_p > LEVEL || !interval.excludes_one() {
            return (Verdict::Undecided, format!("p is {p:.3}, and {:.3} is asked for", step.level));
        }
        match (interval.ratio < 1.0, better) {
            (true, Direction::Less) | (false, Direction::More) => (Verdict::Faster, String::new()),
            (true, Direction::More) | (false, Direction::Less) => (Verdict::Slower, String::new()),
        }
    }
}

/// Judges one family: comparisons of one figure in one scenario against one reference. In their order. `same_within` is the share to either
/// side that counts as no difference.
pub fn judge(family: &[(Observed, Direction)], same_within: f64) -> Vec<Judged> {
    let alone: Vec<Alone> = family.iter().map(|(observed, _)| Alone::of(observed)).collect();
    // What is refused by itself is no test, and takes no share of the level.
    let is_tested = |alone: &&Alone| alone.interval.is_some() && alone.refused.is_none();
    let ps: Vec<f64> = alone.iter().filter(is_tested).filter_map(|alone| alone.p).collect();
    let mut steps = holm(&ps, LEVEL).into_iter();
    // Where none can pass the first step there is no second one.
    let first_level = LEVEL / ps.len().max(1) as f64;
    let is_hopeless = |alone: &Alone| alone.p_smallest.is_none_or(|smallest| smallest > first_level);
    let first_level = alone.iter().filter(is_tested).all(is_hopeless).then_some(first_level);
    alone
        .into_iter()
        .zip(family)
        .map(|(alone, (_, better))| {
            let tested = is_tested(&&alone).then(|| steps.next()).flatten();
            let (verdict, reason) =
                alone.word(tested.unwrap_or(Step { adjusted_p: 1.0, level: LEVEL }), first_level, *better, same_within);
            Judged {
                n: alone.n,
                paired: alone.paired,
                ratio: alone.ratio,
                interval: alone.interval,
                p: alone.p,
                p_adjusted: tested.map(|step| step.adjusted_p),
                p_smallest: alone.p_smallest,
                detectable: alone.detectable,
                verdict,
                reason,
            }
        })
        .collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use qbench_schema::comparison::SAME_WITHIN;

    use super::*;

    /// Log-ratios about `ratio` that scatter by `spread` to either side.
    fn about(ratio: f64, spread: f64, n: usize) -> Observed {
        let scatter = [0.31, -0.73, 0.95, -0.42, 0.08, 0.77, -0.91, -0.05];
        Observed::Paired((0..n).map(|block| ratio.ln() + spread * scatter[block % scatter.len()]).collect())
    }

    fn word(observed: Observed, better: Direction) -> Verdict {
        judge(&[(observed, better)], SAME_WITHIN)[0].verdict
    }

    #[test]
    fn eight_blocks_find_a_fifth_and_say_which_way() {
        assert_eq!(word(about(1.2, 0.03, 8), Direction::Less), Verdict::Slower);
        assert_eq!(word(about(1.2, 0.03, 8), Direction::More), Verdict::Faster);
        assert_eq!(word(about(0.8, 0.03, 8), Direction::Less), Verdict::Faster);
        assert_eq!(word(about(0.8, 0.03, 8), Direction::More), Verdict::Slower);
    }

    #[test]
    fn what_lies_within_five_percent_is_the_same_even_where_it_certainly_differs() {
        assert_eq!(word(about(1.0, 0.02, 8), Direction::Less), Verdict::Same);
        assert_eq!(word(about(1.02, 0.002, 8), Direction::Less), Verdict::Same);
        assert_eq!(word(about(1.0, 0.3, 8), Direction::Less), Verdict::Undecided);
        assert_eq!(word(about(1.06, 0.002, 8), Direction::Less), Verdict::Slower);
    }

    #[test]
    fn too_few_blocks_are_refused_and_say_what_they_lack() {
        let two = &judge(&[(about(2.0, 0.0, 2), Direction::Less)], SAME_WITHIN)[0];
        assert_eq!((two.verdict, two.interval), (Verdict::Refused, None));
        assert!(two.reason.contains("2 blocks") && two.ratio.is_some(), "{two:?}");
        let five = &judge(&[(about(2.0, 0.01, 5), Direction::Less)], SAME_WITHIN)[0];
        assert!(five.interval.is_some_and(|interval| interval.excludes_one()));
        assert_eq!((five.verdict, five.p), (Verdict::Refused, Some(0.0625)));
        assert!(five.reason.contains("0.062") && five.reason.contains("0.050"), "{}", five.reason);
        assert_eq!(word(about(2.0, 0.01, 6), Direction::Less), Verdict::Slower);
    }

    #[test]
    fn five_claims_need_eight_blocks() {
        let five = |n| judge(&vec![(about(2.0, 0.01, n), Direction::Less); 5], SAME_WITHIN);
        assert!(five(8).iter().all(|judged| judged.verdict == Verdict::Slower));
        assert!(five(7).iter().all(|judged| judged.verdict == Verdict::Refused), "2 / 128 is more than 0.05 / 5");
    }

    #[test]
    fn what_is_refused_takes_no_share_of_the_level() {
        let mut family = vec![(Observed::Refused("the classes differ".to_owned()), Direction::Less); 4];
        family.push((about(2.0, 0.01, 6), Direction::Less));
        let judged = judge(&family, SAME_WITHIN);
        assert_eq!(judged[4].verdict, Verdict::Slower);
        assert_eq!((judged[0].verdict, judged[0].reason.as_str()), (Verdict::Refused, "the classes differ"));
    }

    #[test]
    fn runs_that_do_not_pair_are_compared_as_such() {
        let runs = |center: f64| [0.01, -0.02, 0.015, 0.0, -0.01].map(|scatter| center + scatter).to_vec();
        let judged = &judge(&[(Observed::Unpaired(runs(1.0), runs(0.0)), Direction::Less)], SAME_WITHIN)[0];
        assert_eq!((judged.verdict, judged.paired, judged.n), (Verdict::Slower, false, 5));
        assert!((judged.p.unwrap() - 2.0 / 252.0).abs() < 1e-9);
    }
}
