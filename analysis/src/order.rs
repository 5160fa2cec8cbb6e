//! One order for backends and scenarios, so that every table and chart reads the same way.

/// Engines that are shown first, in this order; others follow alphabetically.
const ENGINES: &[&str] = &["postgresql", "valkey", "redis"];

/// Backends in the order in which they are shown within their engine; others follow alphabetically.
pub const BACKENDS: &[&str] = &[
    "skip_locked",
    "delete_returning",
    "partitioned",
    "batch_sql",
    "advisory_lock",
    "valkey_streams",
    "sqlite",
    "memory",
    "null",
];

/// Scenarios that are shown first, in this order; others follow alphabetically.
const SCENARIOS: &[&str] = &["cold", "warm", "load"];

fn rank(list: &[&str], id: &str) -> u32 {
    list.iter().position(|known| *known == id).unwrap_or(list.len()) as u32
}

/// Place of an engine; equal for all unknown ones.
pub fn engine_rank(engine: &str) -> u32 {
    rank(ENGINES, engine)
}

/// Place of a backend; equal for all unknown ones.
pub fn backend_rank(backend: &str) -> u32 {
    rank(BACKENDS, backend)
}

/// Place of a scenario; equal for all unknown ones.
pub fn scenario_rank(scenario: &str) -> u32 {
    rank(SCENARIOS, scenario)
}

/// `scenarios` without repetition, in the order of tables and charts.
pub fn distinct_scenarios<'a>(scenarios: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<_> = scenarios.into_iter().collect();
    distinct.sort_by_key(|scenario| (scenario_rank(scenario), *scenario));
    distinct.dedup();
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scenarios_come_first_and_others_alphabetically() {
        assert_eq!(distinct_scenarios(["zebra", "load", "ants", "cold", "load"]), ["cold", "load", "ants", "zebra"]);
    }
}
