//! In which order jobs are delivered, against the order in which they were sent (METHODOLOGY A6).

use std::sync::atomic::{AtomicU64, Ordering};

use qbench_schema::result::ClaimOrder;

/// Watches the numbers of first deliveries go by. Workers report concurrently, so two claims that return in the same
/// microsecond may count either way; what the queue itself turns round is far more than that.
#[derive(Debug, Default)]
pub struct OrderWatch {
    /// Highest number so far, plus one.
    highest: AtomicU64,
    inversions: AtomicU64,
    max_displacement: AtomicU64,
}

impl OrderWatch {
    /// A job is delivered for the first time.
    pub fn saw(&self, job: u64) {
        let highest = self.highest.fetch_max(job + 1, Ordering::Relaxed);
        if highest > job + 1 {
            self.inversions.fetch_add(1, Ordering::Relaxed);
            self.max_displacement.fetch_max(highest - (job + 1), Ordering::Relaxed);
        }
    }

    /// What was seen among `deliveries` first deliveries.
    pub fn figures(&self, deliveries: u64) -> ClaimOrder {
        let inversions = self.inversions.load(Ordering::Relaxed);
        ClaimOrder {
            inversion_pct: if deliveries == 0 { 0.0 } else { 100.0 * inversions as f64 / deliveries as f64 },
            max_displacement: self.max_displacement.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(jobs: &[u64]) -> ClaimOrder {
        let watch = OrderWatch::default();
        jobs.iter().for_each(|job| watch.saw(*job));
        watch.figures(jobs.len() as u64)
    }

    #[test]
    fn jobs_in_the_order_of_their_numbers_are_no_inversions_whatever_is_missing() {
        assert_eq!(of(&[0, 1, 2, 5, 9]), ClaimOrder { inversion_pct: 0.0, max_displacement: 0 });
    }

    #[test]
    fn a_job_that_four_others_overtook_is_one_inversion_by_four_places() {
        assert_eq!(of(&[1, 2, 3, 4, 0]), ClaimOrder { inversion_pct: 20.0, max_displacement: 4 });
    }
}
