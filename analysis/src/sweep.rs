//! Rows that belong together because a matrix varied one thing between them: climbs rung by rung, and numbers of workers.

use std::collections::{BTreeMap, BTreeSet};

use qbench_schema::result::LoadMode;
use qbench_schema::summary::SummaryRow;

use crate::variant::{bare, differing_keys, settings_of};

/// The setting whose sweep shows how a queue scales.
const WORKERS: &str = "workers";

/// One climb: the same rungs for every backend that climbed them.
pub(crate) struct Ladder<'a> {
    /// Id of the plan file.
    pub(crate) plan: &'a str,
    /// Scenario.
    pub(crate) scenario: &'a str,
    /// Names of the rungs, lowest first.
    pub(crate) rungs: Vec<&'a str>,
    /// Who climbed.
    pub(crate) series: Vec<Climber<'a>>,
}

/// One backend on one machine, with its row on each rung.
pub(crate) struct Climber<'a> {
    /// Its name.
    pub(crate) name: String,
    /// Backend id, for its colour.
    pub(crate) backend: &'a str,
    /// One entry per rung; `None` where it was not run.
    pub(crate) rows: Vec<Option<&'a SummaryRow>>,
}

impl Climber<'_> {
    /// What rung `index` changed, from the settings that the runs really had: `claim-batch=10`. Empty on the first rung.
    pub(crate) fn change(&self, index: usize) -> String {
        let (Some(row), Some(before)) = (self.rows[index], index.checked_sub(1).and_then(|below| self.rows[below]))
        else {
            return String::new();
        };
        let settings = settings_of(row);
        let words = differing_keys(&[before, row])
            .into_iter()
            .map(|key| format!("{}={}", bare(key), settings.get(key).copied().unwrap_or("not set")));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The climbs among `rows`, in the order of their first rows.
pub(crate) fn ladders(rows: &[SummaryRow]) -> Vec<Ladder<'_>> {
    let mut ladders: Vec<Ladder> = Vec::new();
    for row in rows.iter().filter(|row| row.climbs) {
        if !ladders.iter().any(|ladder| ladder.plan == row.plan && ladder.scenario == row.scenario) {
            ladders.push(ladder(&row.plan, &row.scenario, rows));
        }
    }
    ladders
}

fn ladder<'a>(plan: &'a str, scenario: &'a str, rows: &'a [SummaryRow]) -> Ladder<'a> {
    let members: Vec<&SummaryRow> =
        rows.iter().filter(|row| row.climbs && row.plan == plan && row.scenario == scenario).collect();
    let rungs: BTreeMap<u32, &str> = members.iter().map(|row| (row.place, row.variant.as_str())).collect();
    let places: Vec<u32> = rungs.keys().copied().collect();
    let mut series: Vec<(&SummaryRow, Climber)> = Vec::new();
    let mut all_climbed = BTreeSet::new();
    for &row in &members {
        let rung = places.iter().position(|place| *place == row.place).unwrap_or_default();
        let climbed = climbed_keys(row, &members);
        let is_mine = |(first, climber): &&mut (&SummaryRow, Climber)| {
            is_same_backend(first, row)
                && first.climbed_keys == row.climbed_keys
                && differing_keys(&[*first, row]).into_iter().all(|key| climbed.contains(bare(key)))
                // Two climbs of one plan that was edited between them agree in all that it does not change.
                && climber.rows[rung].is_none()
        };
        match series.iter_mut().find(is_mine) {
            Some((_, climber)) => climber.rows[rung] = Some(row),
            None => {
                let mut rows = vec![None; places.len()];
                rows[rung] = Some(row);
                series.push((row, Climber { name: row.backend.clone(), backend: &row.backend, rows }));
            }
        }
        all_climbed.extend(climbed);
    }
    let firsts: Vec<&SummaryRow> = series.iter().map(|(first, _)| *first).collect();
    let mut names_of_climbs = names(&firsts, &all_climbed);
    if names_of_climbs.iter().collect::<BTreeSet<_>>().len() < firsts.len() {
        names_of_climbs = names(&firsts, &BTreeSet::new());
    }
    let series =
        series.into_iter().zip(names_of_climbs).map(|((_, climber), name)| Climber { name, ..climber }).collect();
    Ladder { plan, scenario, rungs: rungs.into_values().collect(), series }
}

/// The settings that the rungs change in the climb of `row`. Results of earlier versions do not name them: there it is all in
/// which the rungs differ, but for what differs on one and the same rung, as the rate of two climbs does.
fn climbed_keys<'a>(row: &'a SummaryRow, members: &[&'a SummaryRow]) -> BTreeSet<&'a str> {
    if !row.climbed_keys.is_empty() {
        return row.climbed_keys.split_whitespace().collect();
    }
    let alike: Vec<&SummaryRow> = members.iter().copied().filter(|other| is_same_backend(other, row)).collect();
    let on_one_rung: BTreeSet<&str> = alike
        .iter()
        .flat_map(|row| {
            differing_keys(&alike.iter().copied().filter(|other| other.place == row.place).collect::<Vec<_>>())
        })
        .collect();
    differing_keys(&alike).difference(&on_one_rung).map(|key| bare(key)).collect()
}

fn is_same_backend(row: &SummaryRow, other: &SummaryRow) -> bool {
    (&row.engine, &row.backend, &row.host) == (&other.engine, &other.backend, &other.host)
}

/// One scenario, flat out, with different numbers of workers.
pub(crate) struct Scaling<'a> {
    /// Scenario.
    pub(crate) scenario: &'a str,
    /// One per backend and further settings.
    pub(crate) series: Vec<Curve<'a>>,
}

/// One backend with one set of settings beside the number of workers.
pub(crate) struct Curve<'a> {
    /// Its name.
    pub(crate) name: String,
    /// Backend id, for its colour.
    pub(crate) backend: &'a str,
    /// Fewest workers first.
    pub(crate) points: Vec<Point<'a>>,
}

/// One number of workers.
#[derive(Clone, Copy)]
pub(crate) struct Point<'a> {
    /// How many.
    pub(crate) workers: u32,
    /// What came of it.
    pub(crate) row: &'a SummaryRow,
}

impl<'a> Curve<'a> {
    /// What the others are held against: the fewest workers whose figure is valid.
    pub(crate) fn base(&self) -> Option<&Point<'a>> {
        self.points.iter().find(|point| point.row.valid && point.row.throughput_jobs_s > 0.0)
    }

    /// Throughput of a valid point over what it would be if every worker carried as much as at [`Curve::base`], in percent.
    pub(crate) fn efficiency_pct(&self, point: &Point) -> Option<f64> {
        let per_worker = |point: &Point| point.row.throughput_jobs_s / f64::from(point.workers);
        let base = self.base().filter(|_| point.row.valid)?;
        Some(per_worker(point) / per_worker(base) * 100.0)
    }
}

/// A curve in the making: its first row, and its points.
type FirstAndPoints<'a> = (&'a SummaryRow, Vec<Point<'a>>);

/// Where the number of workers was varied under a load without a schedule, by scenario.
pub(crate) fn scalings(rows: &[SummaryRow]) -> Vec<Scaling<'_>> {
    let mut by_scenario: Vec<(&str, Vec<FirstAndPoints>)> = Vec::new();
    for row in rows.iter().filter(|row| row.mode == LoadMode::Saturation) {
        let Some(workers) = varied_workers(row) else { continue };
        let at = by_scenario.iter().position(|(scenario, _)| *scenario == row.scenario).unwrap_or_else(|| {
            by_scenario.push((&row.scenario, Vec::new()));
            by_scenario.len() - 1
        });
        let curves = &mut by_scenario[at].1;
        match curves.iter_mut().find(|(first, _)| is_same_but_for(WORKERS, first, row)) {
            Some((_, points)) => points.push(Point { workers, row }),
            None => curves.push((row, vec![Point { workers, row }])),
        }
    }
    by_scenario
        .into_iter()
        .map(|(scenario, curves)| Scaling { scenario, series: curves_of(curves) })
        .filter(|scaling| !scaling.series.is_empty())
        .collect()
}

/// Curves of more than one point, each from its first row and its points.
fn curves_of<'a>(mut curves: Vec<FirstAndPoints<'a>>) -> Vec<Curve<'a>> {
    curves.retain(|(_, points)| points.len() > 1);
    let names = names(&curves.iter().map(|(first, _)| *first).collect::<Vec<_>>(), &BTreeSet::from([WORKERS]));
    let curve = |((first, mut points), name): ((&'a SummaryRow, Vec<Point<'a>>), String)| {
        points.sort_by_key(|point| point.workers);
        Curve { name, backend: &first.backend, points }
    };
    curves.into_iter().zip(names).map(curve).collect()
}

/// The number of workers of a row of a matrix that varied it.
fn varied_workers(row: &SummaryRow) -> Option<u32> {
    let pairs = row.variant.split(',').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == WORKERS)?.1.parse().ok()
}

/// Whether two rows are of one backend that does the same, and of one configuration but for the setting `key`.
pub(crate) fn is_same_but_for(key: &str, row: &SummaryRow, other: &SummaryRow) -> bool {
    is_same_backend(row, other)
        && row.activity == other.activity
        && differing_keys(&[row, other]).into_iter().all(|differing| differing == key)
}

/// A name for the series that each of `rows` stands for: the backend, and what tells two of one backend apart, `ignored`
/// settings left out.
pub(crate) fn names(rows: &[&SummaryRow], ignored: &BTreeSet<&str>) -> Vec<String> {
    let name = |row: &&SummaryRow| {
        let same: Vec<&SummaryRow> = rows.iter().copied().filter(|other| other.backend == row.backend).collect();
        let differs = |of: fn(&SummaryRow) -> &String| same.iter().any(|other| of(other) != of(row));
        let mut words = Vec::new();
        if differs(|row| &row.engine) {
            words.push(row.engine.clone());
        }
        if differs(|row| &row.host) {
            words.push(row.host.clone());
        }
        let settings = settings_of(row);
        words.extend(
            differing_keys(&same)
                .into_iter()
                .filter(|key| !ignored.contains(bare(key)))
                .map(|key| format!("{}={}", bare(key), settings.get(key).copied().unwrap_or("not set"))),
        );
        if words.is_empty() { row.backend.clone() } else { format!("{} ({})", row.backend, words.join(" ")) }
    };
    rows.iter().map(name).collect()
}
