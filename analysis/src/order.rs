//! One order of scenarios, so that every table and chart reads the same way.

/// Scenarios that are shown first, in this order: those that come with the program. Others follow alphabetically.
pub const SCENARIOS: &[&str] = &["cold", "warm", "load", "flat_out", "enqueue", "drain"];

/// Place of a scenario; equal for all unknown ones.
pub fn scenario_rank(scenario: &str) -> u32 {
    SCENARIOS.iter().position(|known| *known == scenario).unwrap_or(SCENARIOS.len()) as u32
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
