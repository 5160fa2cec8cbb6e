//! Which jobs of a schedule are driven here, where several generators drive parts of the same one.

use qbench_schema::shard::ShardNumber;

/// Every `of`-th job of a schedule, beginning with number `place`. A run alone has all of them.
///
/// A job has two numbers. Its own one is dense among the jobs that are driven here: gate and account count with it. Its number in the whole
/// schedule is what travels through the queue and stands in every file; no two generators have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    place: u64,
    of: u64,
}

impl Share {
    /// All jobs.
    pub const WHOLE: Share = Share { place: 0, of: 1 };

    /// The jobs of one shard: number 2 of 8 has 1, 9, 17, …
    pub fn of_shard(shard: ShardNumber) -> Self {
        Share { place: u64::from(shard.number.max(1)) - 1, of: u64::from(shard.of.max(1)) }
    }

    /// Distance between two jobs of it.
    pub fn step(self) -> u64 {
        self.of
    }

    /// Number in the whole schedule of the job with this own number.
    #[inline]
    pub fn job_of(self, own: u64) -> u64 {
        own * self.of + self.place
    }

    /// Own number of a job of the whole schedule; `None` where somebody else drives it.
    #[inline]
    pub fn own_of(self, job: u64) -> Option<u64> {
        // A run alone is not to pay for a division with each delivery.
        if self.of == 1 {
            return Some(job);
        }
        (job % self.of == self.place).then(|| job / self.of)
    }

    /// How many of the first `jobs` jobs of the whole schedule belong to it.
    pub fn among_first(self, jobs: u64) -> u64 {
        (jobs + (self.of - 1) - self.place) / self.of
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(of: u32) -> impl Iterator<Item = Share> {
        (1..=of).map(move |number| Share::of_shard(ShardNumber { number, of }))
    }

    #[test]
    fn one_shard_of_one_is_the_whole() {
        assert_eq!(Share::of_shard(ShardNumber { number: 1, of: 1 }), Share::WHOLE);
        assert_eq!((Share::WHOLE.job_of(7), Share::WHOLE.own_of(7), Share::WHOLE.among_first(7)), (7, Some(7), 7));
    }

    proptest! {
        #[test]
        fn every_job_belongs_to_exactly_one_shard_under_one_own_number(of in 1_u32..40, jobs in 0_u64..500) {
            for job in 0..jobs {
                let owners: Vec<(Share, u64)> = shares(of).filter_map(|share| Some((share, share.own_of(job)?))).collect();
                prop_assert_eq!(owners.len(), 1);
                prop_assert_eq!(owners[0].0.job_of(owners[0].1), job);
            }
            for share in shares(of) {
                let own: Vec<u64> = (0..jobs).filter_map(|job| share.own_of(job)).collect();
                prop_assert_eq!(share.among_first(jobs), own.len() as u64);
                prop_assert_eq!(own, (0..share.among_first(jobs)).collect::<Vec<u64>>(), "own numbers are dense");
            }
        }
    }
}
