//! A claim that waits for work.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::leased::ANYWHERE;
use super::notify::{Places, Told};
use super::settings::Settings;
use crate::capability::Wake;
use crate::counters::ClientCounters;
use crate::error::Result;
use crate::job::Lease;
use crate::seam::Claimer;

/// One look at the queue: what a design does, without the waiting around it.
pub(super) trait Source: Send {
    /// Appends up to `limit` leases; none when there is nothing to claim just now. Never waits for work.
    fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> impl Future<Output = Result<()>> + Send;

    /// Appends up to `limit` leases whose former holders let them expire; none where leases do not expire.
    fn take_expired(&mut self, _limit: u32, _out: &mut Vec<Lease>) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Where it looks: a consumer is woken for jobs that are there.
    fn places(&self) -> Places {
        Places::Everywhere
    }

    /// Where a job was that it took, as a notification told it.
    fn place_of(&self, _lease: &Lease) -> u32 {
        ANYWHERE
    }
}

/// The claimer of every backend of this engine: a [`Source`] and the waiting around it.
pub(super) struct WaitingClaimer<S> {
    looks: Looks<S>,
    pause: Pause,
}

/// How a consumer waits between two looks.
enum Pause {
    /// Looks again after this long.
    Poll(Duration),
    /// Sleeps until it is told.
    Told(Told),
}

impl<S: Source> WaitingClaimer<S> {
    pub(super) fn new(source: S, settings: &Settings) -> Self {
        let pause = match settings.wake {
            Wake::Notify => {
                let listening = &settings.listening;
                Pause::Told(Told::new(
                    listening.announcements(),
                    listening.current(),
                    source.places(),
                    settings.poll_interval,
                ))
            }
            Wake::Poll | Wake::Block => Pause::Poll(settings.poll_interval),
        };
        WaitingClaimer { looks: Looks { source, counts: settings.counts() }, pause }
    }
}

/// A source whose looks in vain are counted.
struct Looks<S> {
    source: S,
    counts: ClientCounters,
}

impl<S: Source> Looks<S> {
    /// Looks once; returns how many jobs there were.
    async fn look(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<usize> {
        let before = out.len();
        self.source.take(limit, out).await?;
        self.count(out.len() - before)
    }

    /// Looks once for jobs whose leases have expired.
    async fn look_for_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<usize> {
        let before = out.len();
        self.source.take_expired(limit, out).await?;
        self.count(out.len() - before)
    }

    fn count(&self, found: usize) -> Result<usize> {
        if found == 0 {
            self.counts.empty_claim();
        }
        Ok(found)
    }

    /// Looks once as `told` says; returns how many jobs there were, or `None` when it was not worth looking.
    async fn look_when_told(
        &mut self,
        told: &mut Told,
        limit: u32,
        deadline: Option<Instant>,
        out: &mut Vec<Lease>,
    ) -> Result<Option<usize>> {
        let errand = match deadline {
            None => told.set_out(limit),
            Some(deadline) => match told.wait(limit, deadline).await {
                Some(errand) => errand,
                None => return Ok(None),
            },
        };
        let (began, before) = (Instant::now(), out.len());
        match self.look(limit, out).await {
            Ok(0) => told.found_nothing(errand, began),
            Ok(found) => {
                let new = out[before..].iter().filter(|lease| lease.attempt <= 1);
                told.found(errand, new.map(|lease| self.source.place_of(lease)), found >= limit as usize);
            }
            Err(error) => {
                told.failed(errand);
                return Err(error);
            }
        }
        Ok(Some(out.len() - before))
    }
}

#[async_trait]
impl<S: Source> Claimer for WaitingClaimer<S> {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        let deadline = Instant::now() + wait;
        loop {
            let found = match &mut self.pause {
                Pause::Poll(_) => Some(self.looks.look(limit, out).await?),
                Pause::Told(told) => {
                    let deadline = (!wait.is_zero()).then_some(deadline);
                    self.looks.look_when_told(told, limit, deadline, out).await?
                }
            };
            if found != Some(0) || Instant::now() >= deadline {
                return Ok(());
            }
            if let Pause::Poll(interval) = self.pause {
                sleep_until(deadline.min(Instant::now() + interval)).await;
            }
        }
    }

    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.looks.look_for_expired(limit, out).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use tokio::task::JoinSet;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::job::{JobId, LeaseToken};
    use crate::postgres::notify::{Announcements, Shares};

    /// Answers looks from a script: how many jobs each of them finds.
    struct Scripted(VecDeque<u32>);

    impl Source for Scripted {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            for job in 0..self.0.pop_front().unwrap_or(0).min(limit) {
                let token = LeaseToken([0, 0]);
                out.push(Lease { job: JobId(u64::from(job)), attempt: 1, payload: Bytes::new(), token });
            }
            Ok(())
        }
    }

    fn claimer(found: &[u32]) -> WaitingClaimer<Scripted> {
        let source = Scripted(found.iter().copied().collect());
        let pause = Pause::Poll(Duration::from_millis(1));
        WaitingClaimer { looks: Looks { source, counts: ClientCounters::default() }, pause }
    }

    #[tokio::test]
    async fn it_looks_again_until_there_is_work() {
        let mut out = Vec::new();
        claimer(&[0, 0, 2]).claim(5, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        assert_eq!(out.len(), 2);
    }

    #[tokio::test]
    async fn it_gives_up_when_the_time_is_over() {
        let mut out = Vec::new();
        let start = Instant::now();
        claimer(&[]).claim(5, Duration::from_millis(20), &mut out).await.expect("nothing fails here");
        assert!(out.is_empty());
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn without_time_it_looks_once() {
        let mut out = Vec::new();
        let mut claimer = claimer(&[0, 1]);
        claimer.claim(5, Duration::ZERO, &mut out).await.expect("nothing fails here");
        assert!(out.is_empty());
        assert_eq!(claimer.looks.source.0.len(), 1);
    }

    #[tokio::test]
    async fn what_the_caller_already_holds_does_not_end_the_wait() {
        let mut out = Vec::new();
        let mut claimer = claimer(&[1, 0, 1]);
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        assert_eq!(out.len(), 2);
    }

    /// A queue in memory where everything takes its time, an answer included.
    #[derive(Clone)]
    struct Shelf {
        jobs: Arc<Mutex<VecDeque<u64>>>,
        chance: Chance,
        /// Whether looks fail now and then.
        fails: bool,
    }

    impl Source for Shelf {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            self.chance.pause(3).await;
            if self.fails && self.chance.below(20) == 0 {
                return Err(Error::new(ErrorKind::Rejected, "claim", "no luck"));
            }
            let jobs = self.jobs.lock().unwrap();
            let count = jobs.len().min(limit as usize);
            let taken: Vec<u64> = { jobs }.drain(..count).collect();
            out.extend(taken.into_iter().map(|job| Lease {
                job: JobId(job),
                attempt: 1,
                payload: Bytes::new(),
                token: LeaseToken([0, 0]),
            }));
            Ok(())
        }
    }

    /// Pseudo-random numbers (xorshift), the same for the same seed.
    #[derive(Clone)]
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }

        async fn pause(&mut self, most_ms: u64) {
            tokio::time::sleep(Duration::from_millis(self.below(most_ms + 1))).await;
        }
    }

    /// So long that a test which needs it fails.
    const NEVER: Duration = Duration::from_secs(24 * 3600);

    fn told(announcements: &Arc<Announcements>, shelf: Shelf, counts: &ClientCounters) -> WaitingClaimer<Shelf> {
        let pause = Pause::Told(Told::new(announcements, None, shelf.places(), NEVER));
        WaitingClaimer { looks: Looks { source: shelf, counts: counts.clone() }, pause }
    }

    /// Claims until there are `all` jobs; now and then gives up half way, or is busy for a while.
    async fn consume(mut claimer: WaitingClaimer<Shelf>, mut chance: Chance, done: Arc<AtomicU64>, all: u64) {
        while done.load(Ordering::Relaxed) < all {
            let mut out = Vec::new();
            let limit = 1 + chance.below(3) as u32;
            let patience = Duration::from_millis(1 + chance.below(30));
            let call = claimer.claim(limit, Duration::from_millis(20), &mut out);
            let _ = tokio::time::timeout(patience, call).await;
            done.fetch_add(out.len() as u64, Ordering::Relaxed);
            if !out.is_empty() {
                chance.pause(10).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_job_waits_while_a_consumer_sleeps_whatever_the_order_of_events() {
        const JOBS: u64 = 300;
        for seed in 1..=200 {
            let mut chance = Chance(seed * 0x9e37_79b9_7f4a_7c15);
            let announcements = Arc::<Announcements>::default();
            let shelf = Shelf { jobs: Arc::default(), chance: chance.clone(), fails: true };
            let done = Arc::<AtomicU64>::default();
            let mut tasks = JoinSet::new();
            for _ in 0..1 + chance.below(6) {
                let mut own = shelf.clone();
                own.chance = Chance(1 + chance.below(u64::MAX - 1));
                let claimer = told(&announcements, own, &ClientCounters::default());
                tasks.spawn(consume(claimer, Chance(1 + chance.below(1 << 40)), Arc::clone(&done), JOBS));
            }
            let mut sent = 0;
            while sent < JOBS {
                let batch = (1 + chance.below(5)).min(JOBS - sent);
                shelf.jobs.lock().unwrap().extend(sent..sent + batch);
                sent += batch;
                // The word travels by another way than the jobs, and may be slower than a claim.
                let (announcements, delay) = (Arc::clone(&announcements), Duration::from_millis(chance.below(4)));
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    announcements.announce(Shares::of_payload(&batch.to_string()).expect("a number"));
                });
                chance.pause(20).await;
            }
            // Jobs of at most 10 ms each, one after the other: far more than is needed, far less than the fallback.
            let patience = Duration::from_secs(30);
            let ended = tokio::time::timeout(patience, tasks.join_all()).await;
            assert!(ended.is_ok(), "seed {seed}: {} of {JOBS} jobs were claimed", done.load(Ordering::Relaxed));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_rest_a_job_costs_one_look() {
        const JOBS: u64 = 100;
        const CONSUMERS: u64 = 20;
        let announcements = Arc::<Announcements>::default();
        let shelf = Shelf { jobs: Arc::default(), chance: Chance(1), fails: false };
        let counts = ClientCounters::default();
        let done = Arc::<AtomicU64>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..CONSUMERS {
            let mut claimer = told(&announcements, shelf.clone(), &counts);
            let done = Arc::clone(&done);
            tasks.spawn(async move {
                while done.load(Ordering::Relaxed) < JOBS {
                    let mut out = Vec::new();
                    claimer.claim(1, Duration::from_millis(250), &mut out).await.expect("no look fails");
                    done.fetch_add(out.len() as u64, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = counts.wake().empty_claims;
        for job in 0..JOBS {
            shelf.jobs.lock().unwrap().push_back(job);
            announcements.announce(Shares::of_payload("1").expect("a number"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tasks.join_all().await;
        assert_eq!(before, CONSUMERS, "everybody looks once to begin with");
        assert_eq!(counts.wake().empty_claims - before, 0, "nobody looks in vain");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_of_which_nobody_was_told_is_found_by_the_fallback() {
        let announcements = Arc::<Announcements>::default();
        let shelf = Shelf { jobs: Arc::default(), chance: Chance(3), fails: false };
        let fallback = Duration::from_secs(5);
        let pause = Pause::Told(Told::new(&announcements, None, shelf.places(), fallback));
        let source = shelf.clone();
        let mut claimer = WaitingClaimer { looks: Looks { source, counts: ClientCounters::default() }, pause };
        let mut out = Vec::new();
        claimer.claim(1, Duration::from_millis(100), &mut out).await.expect("no look fails");
        shelf.jobs.lock().unwrap().extend([1, 2, 3]);
        let silent = Instant::now();
        for found in 1..=3 {
            while out.len() < found {
                claimer.claim(1, Duration::from_millis(250), &mut out).await.expect("no look fails");
            }
        }
        let took = silent.elapsed();
        assert!(took <= fallback + Duration::from_secs(1), "three jobs took {took:?}: one fallback is enough for all");
    }
}
