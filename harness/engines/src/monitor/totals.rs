//! A server's own counters, counted from the first sample.

use std::collections::BTreeMap;

/// Turns counters that a server has kept since it started into totals that start at zero and never fall.
#[derive(Debug, Default)]
pub(crate) struct Totals(BTreeMap<&'static str, Counter>);

#[derive(Debug)]
struct Counter {
    last: u64,
    total: u64,
}

impl Totals {
    /// Total of counter `name` since its first sample, when the server says `now`. A counter that fell was reset (a
    /// restarted or crashed server starts again at zero), so counting goes on from its new value.
    pub(crate) fn total(&mut self, name: &'static str, now: u64) -> u64 {
        let counter = self.0.entry(name).or_insert(Counter { last: now, total: 0 });
        counter.total += if now >= counter.last { now - counter.last } else { now };
        counter.last = now;
        counter.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_start_at_zero_and_survive_a_reset_of_the_server() {
        let mut totals = Totals::default();
        let seen: Vec<u64> = [100, 130, 130, 7, 9].map(|now| totals.total("commits", now)).to_vec();
        assert_eq!(seen, [0, 30, 30, 37, 39]);
        assert_eq!(totals.total("rollbacks", 5), 0, "counters are independent");
    }
}
