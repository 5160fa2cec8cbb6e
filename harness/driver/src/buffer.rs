//! A worker's own buffer between claim and work: what waits in it, and when the worker claims again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use qbench_schema::load::WorkerSettings;
use tokio::sync::{Notify, Semaphore};

/// Jobs of one worker that were claimed and are not settled: those that wait, in their order, and a count of all.
///
/// The worker claims until its room is full or the queue gives less than it was asked for, and then again when no more than
/// the low mark are left. So claims are large where jobs wait in the queue, and a job is not claimed ahead while enough wait
/// here.
pub(super) struct Buffer<T> {
    jobs: Mutex<VecDeque<T>>,
    /// One permit per waiting job; closed when no more will come.
    waiting: Semaphore,
    room: Mutex<Room>,
    /// Jobs were settled, or the buffer was closed.
    changed: Notify,
    /// Jobs that the worker has room for.
    most: usize,
    /// Jobs at which it claims again.
    low: usize,
    /// Whether a job keeps its room until its ack was answered.
    until_ack: bool,
}

#[derive(Debug)]
struct Room {
    held: usize,
    /// Whether the last claim gave all that it was asked for and left room for more.
    filling: bool,
    closed: bool,
}

impl<T> Buffer<T> {
    /// Room for the jobs in work and those prefetched behind them, refilled when no more than the refill threshold of those are
    /// left; where none is prefetched, when a slot is free. A claim may always be as large as the claim batch.
    pub(super) fn new(worker: &WorkerSettings) -> Self {
        let most = worker.held_most() as usize;
        let concurrency = worker.concurrency.get();
        let low = if worker.prefetch == 0 { concurrency - 1 } else { concurrency + worker.refill_threshold() };
        Buffer {
            jobs: Mutex::new(VecDeque::with_capacity(most)),
            waiting: Semaphore::new(0),
            room: Mutex::new(Room { held: 0, filling: true, closed: false }),
            changed: Notify::new(),
            most,
            low: low as usize,
            until_ack: true,
        }
    }

    /// Jobs keep their room until they are acked (claim, work, ack, claim …), or only until their work is done: where there
    /// is a completion buffer, our own or the library's, the worker goes on meanwhile.
    pub(super) fn holding_until_ack(self, until_ack: bool) -> Self {
        Buffer { until_ack, ..self }
    }

    /// Jobs that the worker has room for.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time to claim; returns how many jobs there is room for, or `None` once nobody will settle any.
    pub(super) async fn time_to_claim(&self) -> Option<usize> {
        loop {
            let changed = self.changed.notified();
            {
                let room = self.room();
                if room.closed {
                    return None;
                }
                if room.held < self.most && (room.filling || room.held <= self.low) {
                    return Some(self.most - room.held);
                }
            }
            changed.await;
        }
    }

    /// A claim that was asked for `asked` jobs brought `got`.
    pub(super) fn claimed(&self, asked: usize, got: usize) {
        let mut room = self.room();
        room.held += got;
        room.filling = got >= asked && room.held < self.most;
    }

    /// The work of one job is done.
    pub(super) fn worked(&self) {
        if !self.until_ack {
            self.settled(1);
        }
    }

    /// The ack of `jobs` jobs was answered.
    pub(super) fn acked(&self, jobs: usize) {
        if self.until_ack {
            self.settled(jobs);
        }
    }

    /// `jobs` jobs need no room any more.
    pub(super) fn settled(&self, jobs: usize) {
        let mut room = self.room();
        room.held = room.held.saturating_sub(jobs);
        drop(room);
        self.changed.notify_one();
    }

    pub(super) fn push(&self, job: T) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        self.waiting.add_permits(1);
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// The next job to work on; `None` once no more will come, whatever still waits.
    pub(super) async fn next(&self) -> Option<T> {
        self.waiting.acquire().await.ok()?.forget();
        self.pop()
    }

    /// No more jobs will be pushed.
    pub(super) fn no_more_jobs(&self) {
        self.waiting.close();
    }

    /// No more jobs will be settled.
    pub(super) fn no_more_room(&self) {
        self.room().closed = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn buffer(concurrency: u32, prefetch: u32, refill: u32, claim_batch: u32) -> Buffer<()> {
        let jobs = |count| NonZeroU32::new(count).expect("not zero");
        let (concurrency, claim_batch) = (jobs(concurrency), jobs(claim_batch));
        let refill = Some(refill);
        Buffer::new(&WorkerSettings { concurrency, claim_batch, prefetch, refill, ..WorkerSettings::default() })
    }

    /// What a claim may bring now, or `None` when it is not time for one.
    async fn limit(buffer: &Buffer<()>) -> Option<usize> {
        timeout(Duration::from_millis(1), buffer.time_to_claim()).await.ok().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_without_prefetch_claims_when_a_slot_is_free() {
        let buffer = buffer(2, 0, 0, 1);
        assert_eq!(limit(&buffer).await, Some(2));
        buffer.claimed(1, 1);
        assert_eq!(limit(&buffer).await, Some(1));
        buffer.claimed(1, 1);
        assert_eq!(limit(&buffer).await, None, "both slots work");
        buffer.settled(1);
        assert_eq!(limit(&buffer).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claimed_batch_is_worked_off_before_the_next_one() {
        let buffer = buffer(1, 0, 0, 10);
        assert_eq!(limit(&buffer).await, Some(10));
        buffer.claimed(10, 10);
        buffer.settled(9);
        assert_eq!(limit(&buffer).await, None, "the tenth is still in work");
        buffer.settled(1);
        assert_eq!(limit(&buffer).await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefetching_worker_claims_again_at_its_refill_threshold_and_not_before() {
        let buffer = buffer(1, 10, 4, 5);
        buffer.claimed(5, 5);
        assert_eq!(limit(&buffer).await, Some(6), "the queue gave all it was asked for, so there may be more");
        buffer.claimed(5, 5);
        buffer.claimed(1, 1);
        for held in (6..11).rev() {
            buffer.settled(1);
            assert_eq!(limit(&buffer).await, None, "{held} held: one in work and more than four waiting");
        }
        buffer.settled(1);
        assert_eq!(limit(&buffer).await, Some(6), "one in work, four waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_ran_dry_is_not_asked_again_while_enough_jobs_wait_here() {
        let buffer = buffer(1, 10, 4, 10);
        buffer.claimed(10, 7);
        assert_eq!(limit(&buffer).await, None);
        buffer.settled(2);
        assert_eq!(limit(&buffer).await, Some(6));
        buffer.claimed(6, 0);
        assert_eq!(limit(&buffer).await, Some(6), "at the threshold it goes on asking");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_waits_for_room_learns_that_there_will_be_none() {
        let buffer = buffer(1, 0, 0, 1);
        buffer.claimed(1, 1);
        let (claimed, ()) = tokio::join!(buffer.time_to_claim(), async { buffer.no_more_room() });
        assert_eq!(claimed, None);
    }
}
