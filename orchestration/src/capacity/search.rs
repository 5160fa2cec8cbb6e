//! The search for the highest rate that passes: climb, bisect, confirm. Knows rates and outcomes, and nothing of runs.

/// How a probe at one rate came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It kept the limit.
    Passed,
    /// It did not, and why.
    Failed(String),
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Probe at this rate, in jobs per second.
    Probe(f64),
    /// Nothing: the bracket stands, or there is none.
    Done,
}

/// The first rate that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedEnd {
    /// In jobs per second.
    pub rate_jobs_s: f64,
    /// What failed there.
    pub because: String,
}

/// Factor between two rates of the climb.
const CLIMB: f64 = 1.5;
/// The ends of a bracket are no further apart than this.
pub const CLOSE: f64 = 1.05;
/// How often the rate that passed has to pass, before it fails so often that it is no such rate.
const PASSES: u32 = 3;
/// From so many failures on a rate is one that failed, however often it passed.
const FAILURES: u32 = 2;
/// Lowest rate that is tried, in jobs per second.
const LOWEST: f64 = 1.0;

/// What is known of one rate.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    rate: f64,
    passes: u32,
    failures: u32,
    because: String,
}

impl Known {
    /// A single outcome stands until it is tried again; two failures stand for good.
    fn fails(&self) -> bool {
        self.stands_failed() || (self.failures > 0 && self.passes <= self.failures)
    }

    fn stands_failed(&self) -> bool {
        self.failures >= FAILURES
    }

    /// It passed and failed, and neither outweighs the other.
    fn is_contested(&self) -> bool {
        self.fails() && self.passes > 0 && !self.stands_failed()
    }
}

/// A search under way. What comes next depends on the outcomes so far and on nothing else, so that a search that was interrupted goes on from
/// its probes.
#[derive(Debug, Clone)]
pub struct Search {
    start: f64,
    /// What the workers can do at all: never probed, and never passed.
    bound: Option<FailedEnd>,
    known: Vec<Known>,
}

impl Search {
    /// Begins at `start_jobs_s`. `bound` is the rate that the workers cannot pass whatever the queue does.
    pub fn new(start_jobs_s: f64, bound: Option<FailedEnd>) -> Self {
        Search { start: rounded(start_jobs_s.max(LOWEST)), bound, known: Vec::new() }
    }

    /// What to do next.
    pub fn next(&self) -> Step {
        match (self.low(), self.high()) {
            // Before anything is built on it.
            (_, Some(high)) if high.is_contested() => Step::Probe(high.rate),
            (None, None) => Step::Probe(self.start),
            (Some(low), None) => match &self.bound {
                Some(bound) if bound.rate_jobs_s / low.rate <= CLOSE => confirm(low),
                Some(bound) if low.rate * CLIMB >= bound.rate_jobs_s => {
                    Step::Probe(between(low.rate, bound.rate_jobs_s))
                }
                _ => Step::Probe(rounded(low.rate * CLIMB)),
            },
            (None, Some(high)) => match high.rate <= LOWEST {
                true => Step::Done,
                false => Step::Probe(rounded((high.rate / CLIMB).max(LOWEST))),
            },
            (Some(low), Some(high)) => self.within(low, high),
        }
    }

    /// A probe at `rate_jobs_s` ended so.
    pub fn record(&mut self, rate_jobs_s: f64, outcome: &Outcome) {
        let place = match self.known.iter().position(|known| known.rate == rate_jobs_s) {
            Some(place) => place,
            None => {
                let new = Known { rate: rate_jobs_s, passes: 0, failures: 0, because: String::new() };
                self.known.push(new);
                self.known.len() - 1
            }
        };
        let known = &mut self.known[place];
        match outcome {
            Outcome::Passed => known.passes += 1,
            Outcome::Failed(because) => {
                known.failures += 1;
                known.because.clone_from(because);
            }
        }
    }

    /// The highest rate that passes, below every one that fails.
    pub fn passed_jobs_s(&self) -> Option<f64> {
        self.low().map(|low| low.rate)
    }

    /// The lowest rate that fails.
    pub fn failed(&self) -> Option<FailedEnd> {
        let of_probe = self.high().map(|high| FailedEnd { rate_jobs_s: high.rate, because: high.because.clone() });
        of_probe.or_else(|| self.bound.clone())
    }

    /// Whether both ends are close to each other and were confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.next() == Step::Done && self.low().is_some()
    }

    fn within(&self, low: &Known, high: &Known) -> Step {
        if high.rate / low.rate > CLOSE {
            return Step::Probe(between(low.rate, high.rate));
        }
        if !high.stands_failed() {
            return Step::Probe(high.rate);
        }
        confirm(low)
    }

    fn high(&self) -> Option<&Known> {
        self.known.iter().filter(|known| known.fails()).min_by(|a, b| a.rate.total_cmp(&b.rate))
    }

    fn low(&self) -> Option<&Known> {
        let limit = self.high().map_or(f64::INFINITY, |high| high.rate);
        let passing = self.known.iter().filter(|known| !known.fails() && known.rate < limit);
        passing.max_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

/// Tries the rate that passed again until it has passed often enough.
fn confirm(low: &Known) -> Step {
    if low.passes < PASSES { Step::Probe(low.rate) } else { Step::Done }
}

/// The geometric mean, which divides a bracket into two of equal ratio.
fn between(low: f64, high: f64) -> f64 {
    rounded((low * high).sqrt())
}

/// Four digits: rates that people can read, and no further apart than the bracket's own width asks for.
fn rounded(rate: f64) -> f64 {
    let digits = 3 - rate.log10().floor() as i32;
    let scale = 10_f64.powi(digits.max(0));
    (rate * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(rate_jobs_s: f64) -> Option<FailedEnd> {
        Some(FailedEnd { rate_jobs_s, because: "the workers cannot do more".to_owned() })
    }

    /// Searches with `passes` deciding, which is given the rate and how many probes there were before; the rates that were probed.
    fn run(search: &mut Search, mut passes: impl FnMut(f64, usize) -> bool) -> Vec<f64> {
        let mut rates = Vec::new();
        while let Step::Probe(rate) = search.next() {
            assert!(rates.len() < 60, "{rates:?}");
            let outcome =
                if passes(rate, rates.len()) { Outcome::Passed } else { Outcome::Failed(format!("at {rate}")) };
            search.record(rate, &outcome);
            rates.push(rate);
        }
        rates
    }

    #[test]
    fn a_known_capacity_is_bracketed_within_five_percent_wherever_it_is() {
        for capacity in [3.0, 37.0, 180.0, 200.0, 777.0, 1_333.0, 1_900.0] {
            let mut search = Search::new(200.0, bound(2_000.0));
            let rates = run(&mut search, |rate, _| rate <= capacity);
            let (low, high) = (search.passed_jobs_s().expect("some"), search.failed().expect("some").rate_jobs_s);
            assert!(low <= capacity && capacity <= high && high / low <= CLOSE, "{capacity}: {low} to {high}");
            assert!(search.is_confirmed() && rates.len() <= 26, "{capacity}: {} probes", rates.len());
            let at = |rate: f64| rates.iter().filter(|probed| **probed == rate).count();
            assert_eq!((at(low), at(high)), (3, 2), "the lower end passes three times, the upper end fails twice");
        }
    }

    #[test]
    fn without_a_bound_it_climbs_as_far_as_it_has_to() {
        let mut search = Search::new(100.0, None);
        let rates = run(&mut search, |rate, _| rate <= 54_321.0);
        assert_eq!(rates[..3], [100.0, 150.0, 225.0]);
        assert!(search.passed_jobs_s().is_some_and(|low| low > 51_000.0));
    }

    #[test]
    fn a_queue_that_fails_at_once_has_no_rate_that_passed() {
        let mut search = Search::new(10.0, bound(100.0));
        run(&mut search, |_, _| false);
        assert_eq!(search.passed_jobs_s(), None);
        assert_eq!(search.failed().map(|end| end.rate_jobs_s), Some(1.0));
        assert!(!search.is_confirmed());
    }

    #[test]
    fn one_failure_by_bad_luck_at_the_upper_end_is_outvoted() {
        let mut search = Search::new(200.0, bound(2_000.0));
        // The climb fails once at 1,012.5, though the queue carries 1,500.
        let mut unlucky = true;
        run(&mut search, |rate, _| rate <= 1_500.0 && !(rate > 1_000.0 && std::mem::take(&mut unlucky)));
        let (low, high) = (search.passed_jobs_s().expect("some"), search.failed().expect("some").rate_jobs_s);
        assert!(low <= 1_500.0 && 1_500.0 <= high && high / low <= CLOSE, "{low} to {high}");
    }

    #[test]
    fn a_confirmation_that_fails_steps_down_for_good() {
        let mut search = Search::new(200.0, bound(2_000.0));
        let mut tries_at = std::collections::BTreeMap::<u64, u32>::new();
        // Above 900 a rate passes once, and never again.
        run(&mut search, |rate, _| {
            let tries = tries_at.entry(rate.to_bits()).or_default();
            *tries += 1;
            rate <= 900.0 || (rate <= 1_000.0 && *tries == 1)
        });
        let (low, high) = (search.passed_jobs_s().expect("some"), search.failed().expect("some").rate_jobs_s);
        assert!(low <= 900.0 && high > 900.0 && high / low <= CLOSE, "{low} to {high}");
        assert!(search.is_confirmed());
    }

    #[test]
    fn one_failure_by_bad_luck_at_the_lower_end_is_outvoted() {
        let mut search = Search::new(200.0, bound(2_000.0));
        let mut tries_at = std::collections::BTreeMap::<u64, u32>::new();
        // Each rate that the queue carries fails once, when it is tried for the second time.
        run(&mut search, |rate, _| {
            let tries = tries_at.entry(rate.to_bits()).or_default();
            *tries += 1;
            rate <= 1_000.0 && *tries != 2
        });
        let (low, high) = (search.passed_jobs_s().expect("some"), search.failed().expect("some").rate_jobs_s);
        assert!(low <= 1_000.0 && 1_000.0 <= high && high / low <= CLOSE, "{low} to {high}");
    }

    #[test]
    fn a_rate_that_passed_and_failed_is_asked_again_before_the_search_goes_below_it() {
        let mut search = Search::new(200.0, bound(2_000.0));
        let mut tries = 0;
        // It carries the first rate and no higher one; when that is tried for the second time, it fails by bad luck.
        let rates = run(&mut search, |rate, _| {
            tries += u32::from(rate == 200.0);
            rate < 200.0 || (rate == 200.0 && tries != 2)
        });
        assert!(rates.iter().all(|rate| *rate >= 200.0), "{rates:?}");
        assert_eq!((search.passed_jobs_s(), search.is_confirmed()), (Some(200.0), true));
    }

    #[test]
    fn two_searches_of_a_queue_that_scatters_overlap_more_often_than_not_and_lie_around_its_capacity() {
        // Whether a probe passes scatters by 3 % around 1,000 jobs/s, as a logistic law.
        const PAIRS: u64 = 300;
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut overlapping = 0;
        let mut centres = Vec::new();
        for _ in 0..PAIRS {
            let mut bracket = || {
                let mut search = Search::new(200.0, None);
                run(&mut search, |rate, _| draw() < 1.0 / (1.0 + ((rate / 1_000.0_f64).ln() / 0.03).exp()));
                (search.passed_jobs_s().expect("some"), search.failed().expect("some").rate_jobs_s)
            };
            let (a, b) = (bracket(), bracket());
            overlapping += u64::from(a.0 <= b.1 && b.0 <= a.1);
            centres.extend([a, b].map(|(low, high)| (low * high).sqrt()));
        }
        centres.sort_by(f64::total_cmp);
        let median = centres[centres.len() / 2];
        assert!(overlapping * 2 > PAIRS, "{overlapping} of {PAIRS}");
        assert!((0.95..1.02).contains(&(median / 1_000.0)), "{median}");
    }

    #[test]
    fn the_bound_is_never_probed_and_is_what_failed_where_all_pass() {
        let mut search = Search::new(10.0, bound(100.0));
        let mut count = 0;
        while let Step::Probe(rate) = search.next() {
            assert!(rate < 100.0, "{rate}");
            search.record(rate, &Outcome::Passed);
            count += 1;
            if count > 40 {
                break;
            }
        }
        assert!(search.passed_jobs_s().is_some_and(|low| low >= 95.0));
        assert_eq!(search.failed(), bound(100.0));
        assert!(search.is_confirmed(), "{count} probes");
    }
}
