//! What the page's script draws: the seconds of every run, and the latencies of every cell by percentile.

use qbench_schema::result::LoadMode;
use serde::Serialize;

use super::{Curve, Material};
use crate::error::Result;
use crate::order::distinct_scenarios;

#[derive(Serialize)]
struct Data<'a> {
    runs: Vec<Seconds>,
    percentiles: Vec<Percentiles<'a>>,
}

/// The cells of one scenario.
#[derive(Serialize)]
struct Percentiles<'a> {
    scenario: &'a str,
    curves: Vec<Line<'a>>,
    /// Where the largest latencies stand, of which no number of nines is known: behind the last nine that any jobs can tell.
    largest: f64,
}

/// One of them.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    colour: &'a str,
    /// How many nines the quantile has: 2 is p99.
    nines: Vec<f64>,
    ms: Vec<f64>,
}

/// How far behind the last nine the largest stands.
const STEP_TO_LARGEST: f64 = 0.2;

fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// Three digits behind the point: a picture shows no more.
fn short(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn percentiles<'a>(scenario: &'a str, curves: &[Curve<'a>]) -> Percentiles<'a> {
    let known = curves.iter().flat_map(|(.., curve)| curve.iter()).filter(|(quantile, _)| *quantile < 1.0);
    let largest = short(known.map(|(quantile, _)| nines(*quantile)).fold(0.0, f64::max) + STEP_TO_LARGEST);
    let line = |&(name, colour, curve): &Curve<'a>| {
        let place = |quantile: f64| if quantile < 1.0 { short(nines(quantile)) } else { largest };
        let (nines, ms) = curve.iter().map(|(quantile, ms)| (place(*quantile), short(*ms))).unzip();
        Line { name, colour, nines, ms }
    };
    Percentiles { scenario, curves: curves.iter().map(line).collect(), largest }
}

/// Columns of one run, a value per second.
#[derive(Serialize)]
struct Seconds {
    name: String,
    second: Vec<u32>,
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
    hiccup: Vec<Option<f64>>,
    intended: Vec<u64>,
    completed: Vec<u64>,
    backlog: Vec<u64>,
}

/// Fewer digits than a record has: a picture shows no more, and the page stays small.
fn rounded(value: f64) -> Option<f64> {
    (value > 0.0).then(|| (value * 100.0).round() / 100.0)
}

/// Everything that can be explored, as JSON that may stand within a page.
pub(super) fn data(of: &Material) -> Result<String> {
    let mut runs: Vec<&crate::load::Run> = of.runs.iter().filter(|run| !run.result.timeline.is_empty()).collect();
    runs.sort_by_key(|run| {
        let identity = &run.result.identity;
        (identity.scenario.clone(), identity.backend.clone(), identity.block, identity.run_id.clone())
    });
    let seconds = runs.into_iter().map(|run| {
        let identity = &run.result.identity;
        let variant = identity.variant.as_ref().map(|variant| format!(" {}", variant.name)).unwrap_or_default();
        let of = &run.result.timeline;
        // Flat out a latency is only what the length of the queue makes it.
        let is_told = identity.mode != LoadMode::Saturation;
        let latency = |ms: f64| rounded(ms).filter(|_| is_told);
        Seconds {
            name: format!("{} in {}{variant}, block {}", identity.backend, identity.scenario, identity.block),
            second: of.iter().map(|second| second.at_s).collect(),
            p50: of.iter().map(|second| latency(second.end_to_end_p50_ms)).collect(),
            p99: of.iter().map(|second| latency(second.end_to_end_p99_ms)).collect(),
            max: of.iter().map(|second| latency(second.end_to_end_max_ms)).collect(),
            hiccup: of.iter().map(|second| second.hiccup_host_max_ms.and_then(rounded)).collect(),
            intended: of.iter().map(|second| second.intended).collect(),
            completed: of.iter().map(|second| second.completed).collect(),
            backlog: of.iter().map(|second| second.backlog).collect(),
        }
    });
    let scenarios = distinct_scenarios(of.summary.cells.iter().map(|row| row.scenario.as_str()));
    let percentiles = scenarios
        .into_iter()
        .map(|scenario| {
            let curves: Vec<Curve> = of.curves(scenario).filter(|(.., curve)| !curve.is_empty()).collect();
            percentiles(scenario, &curves)
        })
        .filter(|percentiles| !percentiles.curves.is_empty());
    // `<` begins a tag even within a script.
    Ok(serde_json::to_string(&Data { runs: seconds.collect(), percentiles: percentiles.collect() })?
        .replace('<', "\\u003c"))
}
