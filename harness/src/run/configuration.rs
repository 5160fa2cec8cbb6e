//! What a run is configured with, and where it ran, short enough to compare runs by.

use std::collections::BTreeMap;

use qbench_engines::ENGINES;
use qbench_ground::short_hash::short_hash;
use qbench_schema::manifest::ConfiguredValue;

/// Settings that differ between runs of one cell without making them another configuration: what is random, what the profile
/// is called (its values are compared), and the class of durability, which is compared as it was read back from the live
/// server. Nor is compared where the servers are.
const NOT_COMPARED: [&str; 5] = ["seed", "profile", "durability", "observer", "server-address"];

/// The settings as `key=value`, separated by spaces, and a short hash over them.
pub(super) fn describe(configuration: &BTreeMap<String, ConfiguredValue>) -> (String, String) {
    let is_address = |key: &str| ENGINES.iter().any(|engine| engine.url_flag().is_some_and(|flag| flag.name == key));
    let compared =
        configuration.iter().filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()) && !is_address(key.as_str()));
    let text = compared.map(|(key, configured)| format!("{key}={}", configured.value)).collect::<Vec<_>>().join(" ");
    let hash = short_hash(&text);
    (text, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(pairs: &[(&str, &str)]) -> String {
        let value = |value: &str| ConfiguredValue { value: value.to_owned(), source: "flag".to_owned() };
        describe(&pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect()).1
    }

    #[test]
    fn another_setting_is_another_configuration_and_another_seed_is_not() {
        let base = [("rate", "500"), ("seed", "1"), ("workers", "20")];
        assert_eq!(hash(&base), hash(&[("rate", "500"), ("seed", "2"), ("workers", "20")]));
        assert_ne!(hash(&base), hash(&[("rate", "500"), ("seed", "1"), ("workers", "21")]));
    }
}
