//! What a run is configured with, and where it ran, short enough to compare runs by.

use std::collections::BTreeMap;

use qbench_engines::ENGINES;
use qbench_schema::manifest::ConfiguredValue;

/// Settings that differ between runs of one cell without making them another configuration: what is random, what the profile
/// is called (its values are compared), and the class of durability, which is compared as it was read back from the live
/// server. Nor is compared where the servers are.
const NOT_COMPARED: [&str; 3] = ["seed", "profile", "durability"];

/// The settings as `key=value`, separated by spaces, and a short hash over them.
pub(super) fn describe(configuration: &BTreeMap<String, ConfiguredValue>) -> (String, String) {
    let is_address = |key: &str| ENGINES.iter().any(|engine| engine.url_flag().is_some_and(|flag| flag.name == key));
    let compared =
        configuration.iter().filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()) && !is_address(key.as_str()));
    let text = compared.map(|(key, configured)| format!("{key}={}", configured.value)).collect::<Vec<_>>().join(" ");
    let hash = format!("{:08x}", fnv1a(text.as_bytes()) >> 32);
    (text, hash)
}

/// A short name for a machine, made of what it is known by. The words themselves (systemd's machine id, addresses of network
/// cards) are nobody's business.
pub(super) fn short_id(words: &[String]) -> String {
    format!("{:08x}", fnv1a(words.join("\n").as_bytes()) >> 32)
}

/// FNV-1a, 64 bits: the same on every machine and in every version, which the standard library's hashers are not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
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

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
