//! How far apart two clocks are, from readings that were carried over the channel.
//!
//! As in NTP (RFC 5905, section 8): a reading that was asked for at `t1` and has arrived at `t4` was made in between. In the middle, if both
//! ways took equally long; at either end, if one of them took no time. So half the round trip is what the offset may be wrong by, and of
//! many exchanges the shortest says most.

use std::time::Duration;

use super::protocol::Clocks;

/// One exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// Our clocks when we asked.
    pub(super) asked: Clocks,
    /// Theirs in between.
    pub(super) told: Clocks,
    /// Our monotonic clock when the answer had arrived.
    pub(super) heard_ns: u64,
}

/// Their clocks less ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Of the monotonic clocks, which begin anywhere, in nanoseconds: for instants of one told by the other.
    pub monotonic_ns: i128,
    /// Of the clocks that people read, in nanoseconds.
    pub real_ns: i128,
    /// Half the round trip of the exchange: neither of them is wrong by more.
    pub uncertain_ns: u64,
    /// Exchanges, of which this was the shortest.
    pub exchanges: usize,
}

impl ClockOffset {
    /// From the shortest of several exchanges; `None` without any.
    pub(super) fn of(exchanges: &[Exchange]) -> Option<Self> {
        let round_trip = |exchange: &Exchange| exchange.heard_ns.saturating_sub(exchange.asked.monotonic_ns);
        let shortest = exchanges.iter().min_by_key(|exchange| round_trip(exchange))?;
        let half_ns = round_trip(shortest) / 2;
        let offset = |ours: u64, theirs: u64| i128::from(theirs) - i128::from(ours) - i128::from(half_ns);
        Some(ClockOffset {
            monotonic_ns: offset(shortest.asked.monotonic_ns, shortest.told.monotonic_ns),
            real_ns: offset(shortest.asked.real_ns, shortest.told.real_ns),
            uncertain_ns: half_ns,
            exchanges: exchanges.len(),
        })
    }

    /// An instant of our monotonic clock on theirs.
    pub(super) fn theirs(&self, ours_ns: u64) -> u64 {
        u64::try_from(i128::from(ours_ns) + self.monotonic_ns).unwrap_or(0)
    }

    /// Half the round trip.
    pub fn uncertain(&self) -> Duration {
        Duration::from_nanos(self.uncertain_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(asked_ns: u64, told_ns: u64, heard_ns: u64) -> Exchange {
        let clocks = |monotonic_ns| Clocks { monotonic_ns, real_ns: monotonic_ns + 1_000_000 };
        Exchange { asked: clocks(asked_ns), told: clocks(told_ns), heard_ns }
    }

    #[test]
    fn the_shortest_exchange_decides_and_says_how_far_it_may_be_wrong() {
        // Their clock is 5,000 ahead; the second exchange was held up on its way back.
        let exchanges = [exchange(100, 5_150, 200), exchange(300, 5_340, 900), exchange(1_000, 6_080, 1_160)];
        let offset = ClockOffset::of(&exchanges).unwrap();
        assert_eq!((offset.monotonic_ns, offset.real_ns, offset.uncertain_ns), (5_000, 5_000, 50));
        assert_eq!((offset.exchanges, offset.theirs(400)), (3, 5_400));
        assert_eq!(ClockOffset::of(&[]), None);
    }

    #[test]
    fn however_unequal_the_two_ways_are_the_truth_lies_within_half_the_round_trip() {
        for there_ns in [0, 10, 50, 90, 100] {
            let offset = ClockOffset::of(&[exchange(1_000, 1_000 + there_ns + 7_000, 1_100)]).unwrap();
            assert!((offset.monotonic_ns - 7_000).unsigned_abs() <= u128::from(offset.uncertain_ns), "{offset:?}");
        }
    }

    #[test]
    fn a_clock_that_began_later_is_behind() {
        let offset = ClockOffset::of(&[exchange(9_000, 1_010, 9_020)]).unwrap();
        assert_eq!((offset.monotonic_ns, offset.theirs(10_000), offset.theirs(5)), (-8_000, 2_000, 0));
    }
}
