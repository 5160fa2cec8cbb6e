//! Whether two machines are alike (METHODOLOGY S5).

use std::collections::BTreeMap;

use qbench_schema::calibration::{Calibration, Round};
use serde::Serialize;

use crate::statistics::{cell_interval, shift_ratio};

/// Confidence of the intervals: what lies inside the limits at 90 % passes two one-sided tests at 5 %.
const CONFIDENCE: f64 = 0.9;
/// How far two machines may be apart and still be called alike, for all but the disk: 0.03 is from 1/1.03 to 1.03, so that it is no matter which
/// of them is divided by the other.
const ALIKE_WITHIN: f64 = 0.03;
/// The same for the disk.
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
    /// They are alike where the interval lies inside: 0.03 is from 1/1.03 to 1.03.
    pub alike_within: f64,
    /// Whether they are alike in it.
    pub alike: bool,
}

/// The machines of a result set, as their calibrations tell them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machines(BTreeMap<String, Vec<Calibration>>);

impl Machines {
    pub(crate) fn new(calibrations: Vec<Calibration>) -> Self {
        let mut machines: BTreeMap<String, Vec<Calibration>> = BTreeMap::new();
        for calibration in calibrations {
            machines.entry(calibration.host_id.clone()).or_default().push(calibration);
        }
        Machines(machines)
    }

    /// All calibrations, in the order of time.
    pub(crate) fn calibrations(&self) -> Vec<&Calibration> {
        let mut all: Vec<&Calibration> = self.0.values().flatten().collect();
        all.sort_by_key(|calibration| &calibration.started_at);
        all
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

/// Compares two machines, figure by figure, by ranks: a slow round or two of a machine that others share do not decide. With several
/// calibrations of each, as before and after every block, an observation is the median of one; with one or two, it is a round.
pub fn machines_apart(first: &[Calibration], second: &[Calibration]) -> Vec<Apart> {
    let is_by_round = first.len().min(second.len()) < 3;
    let apart = |(figure, unit, of_round, alike_within): &Figure| {
        let logarithms = |machine: &[Calibration]| -> Vec<f64> {
            let of_one = |calibration: &Calibration| {
                let values: Vec<f64> = calibration.rounds.iter().map(of_round).filter(|value| *value > 0.0).collect();
                let median = || cell_interval(&values, CONFIDENCE).map(|of_rounds| of_rounds.median);
                if is_by_round { values } else { median().into_iter().collect() }
            };
            machine.iter().flat_map(of_one).map(f64::ln).collect()
        };
        let (a, b) = (logarithms(first), logarithms(second));
        let interval = shift_ratio(&b, &a, CONFIDENCE);
        Apart {
            figure: (*figure).to_owned(),
            unit: (*unit).to_owned(),
            n: a.len().min(b.len()),
            ratio: interval.map(|interval| interval.ratio),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            alike_within: *alike_within,
            alike: interval.is_some_and(|interval| interval.is_within(*alike_within)),
        }
    };
    FIGURES.iter().map(apart).collect()
}
