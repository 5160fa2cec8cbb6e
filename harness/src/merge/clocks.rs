//! One clock for the whole run: that of the first shard.

use anyhow::Context;

use super::shards::{Shard, ShardSet};

/// What to add to the instants of each shard, and how far that may be wrong between two of them.
pub(super) struct Clocks {
    /// In microseconds, by place.
    shifts_us: Vec<i64>,
    /// Error bar of an instant of one shard beside one of another, in microseconds; `None` where clocks were not compared.
    pub(super) error_us: Option<u64>,
}

impl Clocks {
    /// By the clock of the server that all shards asked; where there was none, by the agreed start of the measured phase, which each shard has on its own
    /// clock.
    ///
    /// # Errors
    /// When jobs crossed between shards of which one could not compare its clock.
    pub(super) fn of(set: &ShardSet) -> anyhow::Result<Self> {
        let compared: Option<Vec<_>> = set.shards.iter().map(|shard| shard.figures.server_clock).collect();
        match compared {
            Some(compared) => {
                let mut bounds: Vec<u64> = compared.iter().map(|clock| clock.bound_us()).collect();
                bounds.sort_unstable_by(|one, other| other.cmp(one));
                Ok(Clocks {
                    shifts_us: compared.iter().map(|clock| clock.zero_us - compared[0].zero_us).collect(),
                    error_us: Some(bounds.iter().take(2).sum()),
                })
            }
            None if set.queue_per_shard() => {
                let start = |shard: &Shard| shard.figures.measured_start_us as i64;
                let shift = |shard: &Shard| start(set.first()) - start(shard);
                Ok(Clocks { shifts_us: set.shards.iter().map(shift).collect(), error_us: None })
            }
            None => {
                let blind = set.shards.iter().find(|shard| shard.figures.server_clock.is_none());
                let which = blind.map(|shard| shard.identity.which()).context("all clocks were compared")?;
                anyhow::bail!(
                    "the clock of shard {which} was not compared with the server's, so what it did to jobs of others cannot be put beside their own \
                     instants: run the shards again, or with --queue-per-shard"
                )
            }
        }
    }

    /// An instant of the shard at `place` on the clock of the whole. 0, which stands for what did not happen, stays 0.
    pub(super) fn whole_us(&self, place: usize, at_us: u64) -> u64 {
        if at_us == 0 { 0 } else { at_us.saturating_add_signed(self.shifts_us[place]) }
    }
}
