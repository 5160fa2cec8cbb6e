//! Whether two machines are alike (METHODOLOGY S5).

use std::collections::BTreeMap;

use qbench_schema::calibration::{Calibration, Round};
use serde::Serialize;

use crate::statistics::unpaired_ratio;

/// Confidence of the intervals: what lies inside the limits at 90 % passes two one-sided tests at 5 %.
const CONFIDENCE: f64 = 0.9;
/// How far two machines may be apart and still be called alike, for all but the disk.
const ALIKE_WITHIN: f64 = 0.03;
/// For the disk.
const ALIKE_WITHIN_ON_DISK: f64 = 0.1;

/// A figure of a calibration: its name, unit, value in a round, and how far it may differ.
type Figure = (&'static str, &'static str, fn(&Round) -> f64, f64);

const FIGURES: [Figure; 6] = [
    ("cpu_one_core", "million steps/s", |round| round.cpu_one_core, ALIKE_WITHIN),
    ("cpu_all_cores", "million steps/s", |round| round.cpu_all_cores, ALIKE_WITHIN),
    ("memory_mb_s", "MB/s", |round| round.memory_mb_s, ALIKE_WITHIN),
    ("fdatasync_us", "us", |round| round.fdatasync_us, ALIKE_WITHIN_ON_DISK),
    ("fsync_us", "us", |round| round.fsync_us, ALIKE_WITHIN_ON_DISK),
    ("loopback_us", "us", |round| round.loopback_us, ALIKE_WITHIN),
];

/// What two machines have apart in one figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apart {
    /// The figure of a calibration.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// Observations of the machine that has fewer.
    pub n: usize,
    /// The second machine over the first; `None` below three observations of each.
    pub ratio: Option<f64>,
    /// Lower end of its 90 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// A share to either side: they are alike where the interval lies inside.
    pub alike_within: f64,
    /// Whether they are alike in it.
    pub alike: bool,
}

/// The machines of a result set, as their calibrations tell them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machines(BTreeMap<String, Vec<Calibration>>);

impl Machines {
    pub(crate) fn new(calibrations: &[Calibration]) -> Self {
        let mut machines: BTreeMap<String, Vec<Calibration>> = BTreeMap::new();
        for calibration in calibrations {
            machines.entry(calibration.host_id.clone()).or_default().push(calibration.clone());
        }
        Machines(machines)
    }

    /// What two machines, by their ids, have apart; `None` where one of them was not calibrated.
    pub(crate) fn apart(&self, first: &str, second: &str) -> Option<Vec<Apart>> {
        Some(machines_apart(self.0.get(first)?, self.0.get(second)?))
    }

    /// Each pair of them once: their names, and what the second has apart from the first.
    pub(crate) fn pairs(&self) -> Vec<(String, String, Vec<Apart>)> {
        let all: Vec<&Vec<Calibration>> = self.0.values().collect();
        let name = |machine: &[Calibration]| {
            machine.first().map_or_else(String::new, |one| format!("{} {}", one.host, one.host_id))
        };
        let pairs = all
            .iter()
            .enumerate()
            .flat_map(|(place, first)| all[place + 1..].iter().map(move |second| (first, second)));
        pairs.map(|(first, second)| (name(first), name(second), machines_apart(first, second))).collect()
    }
}

/// `cpu_one_core 0.80 [0.79, 0.81]`, for each figure in which two machines are not alike; nothing where they are.
pub(crate) fn differences(apart: &[Apart]) -> String {
    let told = apart.iter().filter(|apart| !apart.alike).map(|apart| match (apart.ratio, apart.low, apart.high) {
        (Some(ratio), Some(low), Some(high)) => format!("{} {ratio:.2} [{low:.2}, {high:.2}]", apart.figure),
        _ => format!("{} not known", apart.figure),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What a terminal shows of the machines; nothing where there is one.
pub(crate) fn render(machines: &Machines) -> String {
    let line = |(first, second, apart): &(String, String, Vec<Apart>)| match differences(apart) {
        differences if differences.is_empty() => {
            format!("Machines: {second} and {first} are alike in all that was measured before and after their blocks\n")
        }
        differences => {
            format!("Machines: {second} over {first}: not alike ({differences}); ratios across them are withheld\n")
        }
    };
    machines.pairs().iter().map(line).collect()
}

/// Compares two machines, figure by figure. With several calibrations of each, as before and after every block, an observation is the median of
/// one; with one or two, it is a round.
pub fn machines_apart(first: &[Calibration], second: &[Calibration]) -> Vec<Apart> {
    let is_by_round = first.len().min(second.len()) < 3;
    let apart = |(figure, unit, of_round, alike_within): &Figure| {
        let logarithms = |machine: &[Calibration]| -> Vec<f64> {
            let of_one = |calibration: &Calibration| {
                let mut values: Vec<f64> =
                    calibration.rounds.iter().map(of_round).filter(|value| *value > 0.0).collect();
                values.sort_by(f64::total_cmp);
                let median = values.get(values.len() / 2).copied();
                if is_by_round { values } else { median.into_iter().collect() }
            };
            machine.iter().flat_map(of_one).map(f64::ln).collect()
        };
        let (a, b) = (logarithms(first), logarithms(second));
        let interval = unpaired_ratio(&b, &a, CONFIDENCE);
        Apart {
            figure: (*figure).to_owned(),
            unit: (*unit).to_owned(),
            n: a.len().min(b.len()),
            ratio: interval.map(|interval| interval.ratio),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            alike_within: *alike_within,
            alike: interval
                .is_some_and(|interval| 1.0 - alike_within < interval.low && interval.high < 1.0 + alike_within),
        }
    };
    FIGURES.iter().map(apart).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten rounds that scatter by a percent.
    fn machine(cpu: f64, disk: f64) -> Calibration {
        let scatter = [0.3, -0.7, 0.9, -0.4, 0.1, 0.8, -0.9, -0.1, 0.5, -0.5];
        let round = |scatter: &f64| {
            let by = 1.0 + scatter / 100.0;
            Round {
                cpu_one_core: cpu * by,
                cpu_all_cores: 2.0 * cpu * by,
                memory_mb_s: 9_000.0 * by,
                fdatasync_us: disk * by,
                fsync_us: 2.0 * disk * by,
                loopback_us: 20.0 * by,
            }
        };
        Calibration { rounds: scatter.iter().map(round).collect(), ..Calibration::default() }
    }

    fn alike(apart: &[Apart]) -> Vec<&str> {
        apart.iter().filter(|apart| apart.alike).map(|apart| apart.figure.as_str()).collect()
    }

    #[test]
    fn machines_are_alike_where_the_whole_interval_lies_inside_the_limits() {
        let same = machines_apart(&[machine(400.0, 500.0)], &[machine(404.0, 530.0)]);
        assert_eq!(alike(&same).len(), 6, "{same:?}");
        let slower = machines_apart(&[machine(400.0, 500.0)], &[machine(320.0, 560.0)]);
        assert_eq!(alike(&slower), ["memory_mb_s", "loopback_us"], "{slower:?}");
        let cpu = &slower[0];
        assert!((cpu.ratio.unwrap() - 0.8).abs() < 1e-9 && cpu.high.unwrap() < 0.82, "{cpu:?}");
        // At the very limit: half of the interval is beyond it.
        assert!(!machines_apart(&[machine(400.0, 500.0)], &[machine(412.0, 500.0)])[0].alike);
    }

    #[test]
    fn many_calibrations_are_an_observation_each_and_one_round_says_nothing() {
        let many = vec![machine(400.0, 500.0); 4];
        assert_eq!(machines_apart(&many, &many)[0].n, 4);
        let mut one = machine(400.0, 500.0);
        one.rounds.truncate(1);
        let apart = &machines_apart(&[one.clone()], &[one])[0];
        assert_eq!((apart.ratio, apart.alike), (None, false));
    }
}
