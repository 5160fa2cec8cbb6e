//! Where a matrix varied `delay`: what each millisecond between clients and server costs, per queue.

use std::collections::{BTreeMap, BTreeSet};

use qbench_schema::result::LoadMode;
use qbench_schema::round_trip::RoundTripRow;
use qbench_schema::summary::{RunRow, SummaryRow};

use crate::statistics::{CONFIDENCE, Slope, slope};
use crate::sweep::{is_same_but_for, names};
use crate::variant::settings_of;

/// The setting that makes the way to the server longer.
const DELAY: &str = "delay";

/// A latency that may grow with the round trip.
pub(crate) struct Figure {
    /// Its column in `runs.csv`.
    pub(crate) name: &'static str,
    /// Its name for people.
    pub(crate) title: &'static str,
    pub(crate) of_run: fn(&RunRow) -> f64,
    pub(crate) of_cell: fn(&SummaryRow) -> f64,
}

/// Those that are looked at, the first one first of all.
pub(crate) const FIGURES: [Figure; 2] = [
    Figure {
        name: "latency_p50_ms",
        title: "p50",
        of_run: |run| run.latency_p50_ms,
        of_cell: |row| row.latency_p50_ms,
    },
    Figure {
        name: "latency_p99_ms",
        title: "p99",
        of_run: |run| run.latency_p99_ms,
        of_cell: |row| row.latency_p99_ms,
    },
];

/// One scenario, with different delays.
pub(crate) struct Sweep<'a> {
    /// Scenario.
    pub(crate) scenario: &'a str,
    /// One per backend and further settings.
    pub(crate) queues: Vec<Queue<'a>>,
}

/// One backend with one set of settings beside the delay.
pub(crate) struct Queue<'a> {
    /// Its name.
    pub(crate) name: String,
    /// Backend id, for its colour.
    pub(crate) backend: &'a str,
    /// Shortest delay first.
    pub(crate) points: Vec<Point<'a>>,
}

/// One delay.
pub(crate) struct Point<'a> {
    /// What was added to each round trip.
    pub(crate) delay_ms: f64,
    /// What came of it.
    pub(crate) row: &'a SummaryRow,
    runs: Vec<&'a RunRow>,
}

impl Point<'_> {
    /// The round trip that was measured, or what was added where the product has no request that does nothing.
    pub(crate) fn round_trip_ms(&self) -> f64 {
        self.row.round_trip_ms.unwrap_or(self.delay_ms)
    }

    /// The valid runs: each its round trip and its latency.
    pub(crate) fn runs<'p>(&'p self, figure: &'p Figure) -> impl Iterator<Item = (f64, f64)> + 'p {
        let valid = self.runs.iter().filter(|run| run.valid);
        valid.map(|run| (run.round_trip_ms.unwrap_or(self.delay_ms), (figure.of_run)(run)))
    }
}

impl Queue<'_> {
    /// How `figure` grows with the round trip, over valid runs; `None` where they do not tell.
    pub(crate) fn slope(&self, figure: &Figure) -> Option<Slope> {
        let mut blocks: BTreeMap<(&str, u32), Vec<(f64, f64)>> = BTreeMap::new();
        for point in &self.points {
            let valid = point.runs.iter().filter(|run| run.valid);
            for (run, at) in valid.zip(point.runs(figure)) {
                blocks.entry((&run.host_id, run.block)).or_default().push(at);
            }
        }
        slope(&blocks.into_values().collect::<Vec<_>>(), CONFIDENCE)
    }
}

/// The runs of each of `rows`, among all `runs`.
pub(crate) fn runs_of<'a>(rows: &[SummaryRow], runs: &'a [RunRow]) -> Vec<Vec<&'a RunRow>> {
    let of = |row| runs.iter().filter(|run| crate::summary::is_of_cell(run, row)).collect();
    rows.iter().map(of).collect()
}

/// A queue in the making: its first row, and its points.
type FirstAndPoints<'a> = (&'a SummaryRow, Vec<Point<'a>>);

/// Where the delay was varied under a load on a schedule, by scenario. `runs` has those of each row.
pub(crate) fn sweeps<'a>(rows: &'a [SummaryRow], runs: &[Vec<&'a RunRow>]) -> Vec<Sweep<'a>> {
    let mut by_scenario: Vec<(&str, Vec<FirstAndPoints>)> = Vec::new();
    for (row, runs) in rows.iter().zip(runs).filter(|(row, _)| row.mode != LoadMode::Saturation) {
        let Some(delay_ms) = varied_delay_ms(row) else { continue };
        let at = by_scenario.iter().position(|(scenario, _)| *scenario == row.scenario).unwrap_or_else(|| {
            by_scenario.push((&row.scenario, Vec::new()));
            by_scenario.len() - 1
        });
        let point = Point { delay_ms, row, runs: runs.clone() };
        let queues = &mut by_scenario[at].1;
        match queues.iter_mut().find(|(first, _)| is_same_but_for(DELAY, first, row)) {
            Some((_, points)) => points.push(point),
            None => queues.push((row, vec![point])),
        }
    }
    let sweep = |(scenario, mut queues): (&'a str, Vec<FirstAndPoints<'a>>)| {
        queues.retain(|(_, points)| points.len() > 1);
        let firsts: Vec<&SummaryRow> = queues.iter().map(|(first, _)| *first).collect();
        let names = names(&firsts, &BTreeSet::from([DELAY]));
        let queue = |((first, mut points), name): (FirstAndPoints<'a>, String)| {
            points.sort_by(|a, b| a.delay_ms.total_cmp(&b.delay_ms));
            Queue { name, backend: &first.backend, points }
        };
        Sweep { scenario, queues: queues.into_iter().zip(names).map(queue).collect() }
    };
    by_scenario.into_iter().map(sweep).filter(|sweep| !sweep.queues.is_empty()).collect()
}

/// The rows of `round_trip.csv`.
pub(crate) fn rows(sweeps: &[Sweep]) -> Vec<RoundTripRow> {
    let mut rows = Vec::new();
    for sweep in sweeps {
        for queue in &sweep.queues {
            for figure in &FIGURES {
                let Some(slope) = queue.slope(figure) else { continue };
                rows.push(RoundTripRow {
                    scenario: sweep.scenario.to_owned(),
                    backend: queue.backend.to_owned(),
                    name: queue.name.clone(),
                    figure: figure.name.to_owned(),
                    blocks: slope.blocks,
                    runs: slope.points,
                    ms_per_ms: slope.slope,
                    low: slope.interval.map(|(low, _)| low),
                    high: slope.interval.map(|(_, high)| high),
                    at_zero_ms: slope.at_zero,
                });
            }
        }
    }
    rows
}

/// The delay of a row of a matrix that varied it.
fn varied_delay_ms(row: &SummaryRow) -> Option<f64> {
    let is_varied = row.variant.split(',').filter_map(|pair| pair.split_once('=')).any(|(key, _)| key == DELAY);
    settings_of(row).get(DELAY).filter(|_| is_varied).and_then(|text| milliseconds(text))
}

/// A duration as configurations have it: `0s`, `500us`, `2ms`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("ns", 1e-6), ("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    units.into_iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    use qbench_schema::result::{RoundTrip, RoundTrips, RunIdentity, RunResult, RunStatus, Validity};
    use qbench_schema::variant::RunVariant;

    use crate::summary::cell::cell_of;

    fn run(backend: &str, delay: &str, block: u32, round_trip_us: Option<f64>, p50_ms: f64) -> RunRow {
        let mut result = RunResult {
            status: RunStatus::Finished,
            identity: RunIdentity {
                backend: backend.to_owned(),
                scenario: "warm".to_owned(),
                configuration: format!("delay={delay} rate=500"),
                configuration_hash: delay.to_owned(),
                variant: Some(RunVariant { name: format!("delay={delay}"), ..RunVariant::default() }),
                block,
                ..RunIdentity::default()
            },
            validity: Validity::of([]),
            ..RunResult::default()
        };
        (result.end_to_end_ms.p50, result.end_to_end_ms.p99) = (p50_ms, 3.0 * p50_ms);
        let end = round_trip_us.map(|p50| RoundTrip { p50, p99: p50, requests: 9 });
        result.round_trip_us = Some(RoundTrips { before: end, after: end });
        RunRow::of(&result)
    }

    /// The rows of `round_trip.csv` of cells of these runs, which lie beside each other.
    fn rows_of(runs: &[RunRow]) -> Vec<RoundTripRow> {
        let cells: Vec<SummaryRow> =
            runs.chunk_by(|a, b| a.backend == b.backend && a.variant == b.variant).map(cell_of).collect();
        rows(&sweeps(&cells, &runs_of(&cells, runs)))
    }

    #[test]
    fn the_slope_is_that_of_each_block_over_the_round_trips_that_were_measured() {
        let mut runs = Vec::new();
        for (delay, round_trip_ms) in [("0s", 0.1), ("500us", 0.7), ("2ms", 2.2)] {
            for block in 1..=3 {
                let p50_ms = 10.0 + f64::from(block) + (1.0 + f64::from(block)) * round_trip_ms;
                runs.push(run("skip_locked", delay, block, Some(1e3 * round_trip_ms), p50_ms));
            }
        }
        let rows = rows_of(&runs);
        let [p50, p99] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((p50.backend.as_str(), p50.figure.as_str()), ("skip_locked", "latency_p50_ms"));
        assert_eq!((p50.blocks, p50.runs), (3, 9));
        assert!((p50.ms_per_ms - 3.0).abs() < 1e-9 && (p50.at_zero_ms - 12.0).abs() < 1e-9, "{p50:?}");
        assert!(p50.low.unwrap() < 3.0 && p50.high.unwrap() > 3.0 && (p99.ms_per_ms - 9.0).abs() < 1e-9, "{rows:?}");
    }

    #[test]
    fn without_a_measured_round_trip_it_is_that_over_the_delay_and_what_is_not_valid_does_not_count() {
        let mut runs: Vec<RunRow> =
            [("0s", 5.0), ("1ms", 7.0), ("2ms", 9.0)].map(|(delay, p50_ms)| run("nats", delay, 1, None, p50_ms)).into();
        let mut spoiled = run("nats", "2ms", 2, None, 500.0);
        spoiled.valid = false;
        runs.push(spoiled);
        let rows = rows_of(&runs);
        assert_eq!((rows[0].ms_per_ms, rows[0].at_zero_ms, rows[0].runs, rows[0].low), (2.0, 5.0, 3, None));
        assert!(rows_of(&runs[..1]).is_empty(), "one delay is no sweep");
    }

    #[test]
    fn a_delay_reads_as_configurations_write_it() {
        assert_eq!(["0s", "500us", "2ms", "250ns"].map(milliseconds), [0.0, 0.5, 2.0, 0.000_25].map(Some));
        assert_eq!(milliseconds("soon"), None);
    }
}
