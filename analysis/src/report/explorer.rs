//! The seconds of every run, as the page's script reads them.

use serde::Serialize;

use super::Material;
use crate::error::Result;

#[derive(Serialize)]
struct Data {
    runs: Vec<Seconds>,
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
        Seconds {
            name: format!("{} in {}{variant}, block {}", identity.backend, identity.scenario, identity.block),
            second: of.iter().map(|second| second.at_s).collect(),
            p50: of.iter().map(|second| rounded(second.end_to_end_p50_ms)).collect(),
            p99: of.iter().map(|second| rounded(second.end_to_end_p99_ms)).collect(),
            max: of.iter().map(|second| rounded(second.end_to_end_max_ms)).collect(),
            hiccup: of.iter().map(|second| second.hiccup_host_max_ms.and_then(rounded)).collect(),
            intended: of.iter().map(|second| second.intended).collect(),
            completed: of.iter().map(|second| second.completed).collect(),
            backlog: of.iter().map(|second| second.backlog).collect(),
        }
    });
    // `<` begins a tag even within a script.
    Ok(serde_json::to_string(&Data { runs: seconds.collect() })?.replace('<', "\\u003c"))
}
