//! Order and colour of backends for tables and charts, from the registry.

use qbench_analysis::{BackendStyle, Palette};
use qbench_backends::registry::backends;

/// Every backend of the registry, as tables and charts show it.
pub fn palette() -> Palette {
    Palette::new(backends().map(|entry| BackendStyle {
        id: entry.id.to_owned(),
        engine: entry.engine.id.to_owned(),
        colour: entry.colour,
    }))
}

#[cfg(test)]
mod tests {
    use qbench_scenarios::Scenario;

    #[test]
    fn tables_show_the_scenarios_in_the_order_in_which_they_are_shipped() {
        let shipped = Scenario::shipped().expect("they are valid");
        let ids: Vec<&str> = shipped.iter().map(|scenario| scenario.id.as_str()).collect();
        assert_eq!(qbench_analysis::SCENARIOS, ids);
    }
}
