//! Simulated work: how long a job takes, and how it ends.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;

/// How the work of one job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkEnd {
    /// As it should.
    Succeeded,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
}

/// Which jobs do not succeed: a share of them, chosen by a hash of the job's number and the run's seed. So it is the same
/// jobs for every backend of a block, whoever works on them and however often.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Failures {
    /// Share of the jobs whose work fails, 0 to 1.
    pub failed_share: f64,
    /// Share of the jobs whose work panics, 0 to 1; the two are at most 1 together.
    pub panicked_share: f64,
    /// The run's seed.
    pub seed: u64,
}

impl Failures {
    /// How the work of `job` ends.
    pub fn end_of(&self, job: u64) -> WorkEnd {
        // The upper 53 bits are what a double between 0 and 1 can tell apart.
        let drawn = (mixed(mixed(self.seed) ^ job) >> 11) as f64 / (1_u64 << 53) as f64;
        if drawn < self.failed_share {
            WorkEnd::Failed
        } else if drawn < self.failed_share + self.panicked_share {
            WorkEnd::Panicked
        } else {
            WorkEnd::Succeeded
        }
    }
}

/// SplitMix64's finaliser: every bit of the result depends on every bit of `value` (Steele, Lea and Flood, 2014).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The work itself ended with an error.
struct WorkFailed;

/// Works on `job` for `length`. A panic of the work ends it and nothing else: the worker, its connection and its other jobs
/// live on.
pub(super) async fn run(job: u64, length: Duration, failures: &Failures) -> WorkEnd {
    match AssertUnwindSafe(perform(job, length, failures)).catch_unwind().await {
        Ok(Ok(())) => WorkEnd::Succeeded,
        Ok(Err(WorkFailed)) => WorkEnd::Failed,
        Err(_) => WorkEnd::Panicked,
    }
}

/// What stands for the user's code: an asynchronous sleep (METHODOLOGY L8), and the end that was drawn for the job.
async fn perform(job: u64, length: Duration, failures: &Failures) -> Result<(), WorkFailed> {
    if !length.is_zero() {
        sleep(length).await;
    }
    match failures.end_of(job) {
        WorkEnd::Succeeded => Ok(()),
        WorkEnd::Failed => Err(WorkFailed),
        // Unwinds as every panic does, without the panic hook's lines on standard error for each of perhaps thousands.
        WorkEnd::Panicked => resume_unwind(Box::new("the work of this job panics on purpose")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: u64 = 100_000;

    fn count(failures: &Failures, end: WorkEnd) -> u64 {
        (0..JOBS).filter(|job| failures.end_of(*job) == end).count() as u64
    }

    #[test]
    fn the_shares_are_those_asked_for_whatever_the_seed() {
        for seed in [0, 1, 2, u64::MAX] {
            let failures = Failures { failed_share: 0.05, panicked_share: 0.01, seed };
            // Six standard deviations of a binomial count.
            assert!(count(&failures, WorkEnd::Failed).abs_diff(JOBS / 20) < 420);
            assert!(count(&failures, WorkEnd::Panicked).abs_diff(JOBS / 100) < 190);
        }
        let all = Failures { failed_share: 0.0, panicked_share: 1.0, seed: 1 };
        assert_eq!(count(&all, WorkEnd::Panicked), JOBS);
        assert_eq!(count(&Failures::default(), WorkEnd::Succeeded), JOBS);
    }

    #[test]
    fn another_seed_fails_other_jobs_and_the_same_seed_the_same_ones() {
        let failing = |seed| -> Vec<u64> {
            let failures = Failures { failed_share: 0.5, panicked_share: 0.0, seed };
            (0..1_000).filter(|job| failures.end_of(*job) == WorkEnd::Failed).collect()
        };
        assert_eq!(failing(7), failing(7));
        assert_ne!(failing(7), failing(8));
    }

    #[tokio::test]
    async fn work_ends_as_it_was_drawn_and_a_panic_is_caught() {
        let failures = Failures { failed_share: 0.3, panicked_share: 0.3, seed: 3 };
        for job in 0..100 {
            assert_eq!(run(job, Duration::ZERO, &failures).await, failures.end_of(job));
        }
    }
}
