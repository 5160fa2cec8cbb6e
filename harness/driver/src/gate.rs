//! Where released jobs wait for a free producer.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

/// Hands released jobs to producers in the order of their numbers.
///
/// Jobs are dense numbers, so the queue between pacer and producers is two counters and a semaphore: releasing and taking
/// allocate nothing, whatever the backlog.
#[derive(Debug)]
pub struct ReleaseGate {
    /// One permit per released job that no producer has taken.
    released: Semaphore,
    next: AtomicU64,
    /// First number that will not be released any more; `u64::MAX` while open.
    end: AtomicU64,
}

impl Default for ReleaseGate {
    fn default() -> Self {
        Self::new()
    }
}

impl ReleaseGate {
    /// A gate that starts with job 0.
    pub fn new() -> Self {
        ReleaseGate { released: Semaphore::new(0), next: AtomicU64::new(0), end: AtomicU64::new(u64::MAX) }
    }

    /// Releases the next `jobs` jobs.
    pub fn release(&self, jobs: u64) {
        self.released.add_permits(jobs as usize);
    }

    /// Says that no job from number `end` on will be released. Whoever waits is let through, one after the other, to find
    /// that nothing is left.
    pub fn close(&self, end: u64) {
        self.end.store(end, Ordering::Release);
        self.released.add_permits(1);
    }

    /// Takes back what was released and not yet taken by anybody; returns how many jobs that were. Numbers are given out
    /// when jobs are taken, so none is left out.
    pub fn revoke(&self) -> u64 {
        let mut revoked = 0;
        loop {
            let waiting = self.waiting().min(u64::from(u32::MAX));
            if waiting == 0 {
                return revoked;
            }
            // Where a producer took one of them meanwhile there are fewer, and another look.
            if let Ok(permits) = self.released.try_acquire_many(waiting as u32) {
                revoked += waiting;
                permits.forget();
            }
        }
    }

    /// Jobs released and not taken.
    pub fn waiting(&self) -> u64 {
        self.released.available_permits() as u64
    }

    /// Waits for a released job and takes it, together with up to `limit - 1` more that are released already: a batch is
    /// never waited for, because waiting would be latency that the schedule did not ask for. `None` once the gate is
    /// closed and empty.
    pub async fn take(&self, limit: u32) -> Option<Range<u64>> {
        self.released.acquire().await.expect("the semaphore is never closed").forget();
        let mut taken = 1;
        // All at once where nobody else takes meanwhile; less and less where somebody does.
        let mut more = (self.waiting() as u32).min(limit - 1);
        while more > 0 {
            match self.released.try_acquire_many(more) {
                Ok(permits) => {
                    permits.forget();
                    taken += more;
                    break;
                }
                Err(_) => more = (self.waiting() as u32).min(more / 2),
            }
        }
        let first = self.next.fetch_add(u64::from(taken), Ordering::AcqRel);
        let beyond = first + u64::from(taken);
        let end = beyond.min(self.end.load(Ordering::Acquire)).max(first);
        if end < beyond {
            // The permit that closed the gate is for the next one who waits, too.
            self.released.add_permits(1);
        }
        (first < end).then_some(first..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_released_job_is_taken_once_and_in_order() {
        let gate = ReleaseGate::new();
        gate.release(5);
        assert_eq!(gate.take(1).await, Some(0..1));
        assert_eq!(gate.take(3).await, Some(1..4));
        assert_eq!(gate.take(3).await, Some(4..5), "a batch is not waited for");
        gate.close(5);
        assert_eq!(gate.take(1).await, None);
        assert_eq!(gate.take(8).await, None);
    }

    #[tokio::test]
    async fn what_is_taken_back_leaves_no_hole_in_the_numbers() {
        let gate = ReleaseGate::new();
        gate.release(100);
        assert_eq!(gate.take(30).await, Some(0..30));
        assert_eq!(gate.revoke(), 70);
        assert_eq!(gate.revoke(), 0);
        gate.release(5);
        assert_eq!(gate.take(30).await, Some(30..35));
    }

    #[tokio::test]
    async fn a_closed_gate_still_gives_what_was_released_before() {
        let gate = ReleaseGate::new();
        gate.release(3);
        gate.close(3);
        assert_eq!(gate.take(10).await, Some(0..3));
    }

    #[tokio::test]
    async fn closing_lets_every_waiting_producer_go_however_large_their_batches_are() {
        let gate = std::sync::Arc::new(ReleaseGate::new());
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let gate = std::sync::Arc::clone(&gate);
                tokio::spawn(async move { gate.take(100).await })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.close(0);
        for producer in waiting {
            assert_eq!(producer.await.unwrap(), None);
        }
    }
}
