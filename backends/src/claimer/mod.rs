//! A claim that waits for work: the one claimer of every backend.
//!
//! A design says what one look at its queue is ([`Look`]). How a consumer waits between two looks is a value ([`Waiting`]): by
//! the clock, until notifications announce jobs ([`Announcements`]), on the server, or for a signal within this process
//! ([`Signal`]). Looks that find nothing are counted here.
//!
//! Adapters have a claimer of their own: there the library decides when a job comes, and there is nothing to look at.

mod announcements;
mod notified;
mod shares;
mod signal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(crate) use announcements::Announcements;
pub(crate) use notified::Notified;
pub(crate) use shares::{ANYWHERE, Places, Shares};
pub(crate) use signal::Signal;

use crate::capability::Wake;
use crate::counters::ClientCounters;
use crate::error::Result;
use crate::job::Lease;
use crate::seam::Claimer;

/// One look at a queue: what a design does, without the waiting around it.
pub(crate) trait Look: Send {
    /// Appends up to `limit` leases; none when there is nothing to claim just now. Never waits for work.
    fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> impl Future<Output = Result<()>> + Send;

    /// The same, but the server holds its answer back until there is a job, for about `wait` at most. Asked only of a design that
    /// waits so.
    fn take_held(
        &mut self,
        limit: u32,
        _wait: Duration,
        out: &mut Vec<Lease>,
    ) -> impl Future<Output = Result<()>> + Send {
        self.take(limit, out)
    }

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

/// How a consumer waits between two looks.
pub(crate) enum Waiting {
    /// Looks again after this long.
    Poll(Duration),
    /// Sleeps until jobs are announced.
    Notified(Notified),
    /// Leaves the waiting to the server, which holds its answer back. `looks_first` where such a wait is more than one request:
    /// a job that is there already is then claimed without it.
    OnServer {
        /// Whether a look without a wait comes first.
        looks_first: bool,
    },
    /// Sleeps until a signal within this process.
    Signal(Arc<Signal>),
}

impl Waiting {
    /// The ways to wait of a queue that lives in this process, or whose every user does.
    pub(crate) const WITHIN_PROCESS: &[Wake] = &[Wake::Block, Wake::Poll];

    /// How a consumer of such a queue waits, as `wake` says; `signal` is given when jobs become ready.
    pub(crate) fn within_process(wake: Wake, poll_interval: Duration, signal: &Arc<Signal>) -> Self {
        match wake {
            Wake::Poll => Waiting::Poll(poll_interval),
            Wake::Block | Wake::Notify => Waiting::Signal(Arc::clone(signal)),
        }
    }
}

/// The claimer of a design: its looks, and the waiting around them.
pub(crate) struct WaitingClaimer<L> {
    looks: Looks<L>,
    waiting: Waiting,
}

/// The looks of a design, those in vain counted.
struct Looks<L> {
    look: L,
    counters: ClientCounters,
}

impl<L: Look> Looks<L> {
    /// Says how many jobs a look appended to the `before` that were there, and counts it when there were none.
    fn found(&self, before: usize, out: &[Lease]) -> usize {
        let found = out.len() - before;
        if found == 0 {
            self.counters.empty_claim();
        }
        found
    }

    /// Looks once; returns how many jobs there were.
    async fn look(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<usize> {
        let before = out.len();
        self.look.take(limit, out).await?;
        Ok(self.found(before, out))
    }

    /// Looks once the server has something, or `wait` is over.
    async fn look_held(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<usize> {
        let before = out.len();
        self.look.take_held(limit, wait, out).await?;
        Ok(self.found(before, out))
    }

    /// Looks once for jobs whose leases have expired.
    async fn look_for_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<usize> {
        let before = out.len();
        self.look.take_expired(limit, out).await?;
        Ok(self.found(before, out))
    }

    /// Looks once for announced jobs; returns how many jobs there were, or `None` when it was not worth looking until `deadline`.
    /// Without one it looks at once.
    async fn look_when_notified(
        &mut self,
        notified: &mut Notified,
        limit: u32,
        deadline: Option<Instant>,
        out: &mut Vec<Lease>,
    ) -> Result<Option<usize>> {
        let permits = match deadline {
            None => notified.acquire(limit),
            Some(deadline) => match notified.wait(limit, deadline).await {
                Some(permits) => permits,
                None => return Ok(None),
            },
        };
        let mut pause = Duration::ZERO;
        loop {
            let (began, heard, before) = (Instant::now(), notified.heard(&permits), out.len());
            match self.look(limit, out).await {
                Ok(0) if notified.shows_nothing(&permits, heard) => {
                    // Where there is no time for it, dropping the permits leaves the look to others.
                    let next = Instant::now() + pause;
                    if deadline.is_none_or(|deadline| next >= deadline) {
                        return Ok(Some(0));
                    }
                    sleep_until(next).await;
                    pause = (2 * pause).clamp(Duration::from_millis(1), LOOK_AGAIN_MAX);
                }
                Ok(0) => {
                    notified.found_nothing(permits, began);
                    return Ok(Some(0));
                }
                Ok(found) => {
                    let new = out[before..].iter().filter(|lease| lease.attempt <= 1);
                    notified.found(permits, new.map(|lease| self.look.place_of(lease)), found >= limit as usize);
                    return Ok(Some(found));
                }
                Err(error) => {
                    notified.failed(permits);
                    return Err(error);
                }
            }
        }
    }
}

/// Longest pause between looks of which none shows anything, because jobs are announced during each: the first is made again at once, and then
/// at longer and longer intervals, so that a permit too many costs no more than a consumer that polls.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(10);

/// Between half and one and a half of `interval`, evenly. Workers that were idle at the same time would otherwise look in step
/// from then on: all at once, and then nobody for a whole interval (METHODOLOGY F8).
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.5..1.5))
}

impl<L: Look> WaitingClaimer<L> {
    /// Looks that find nothing are counted in `counters`.
    pub(crate) fn new(look: L, waiting: Waiting, counters: ClientCounters) -> Self {
        WaitingClaimer { looks: Looks { look, counters }, waiting }
    }
}

#[async_trait]
impl<L: Look> Claimer for WaitingClaimer<L> {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        let WaitingClaimer { looks, waiting } = self;
        // Within this process a look takes less time than the clock does: it is asked only where there is something to wait for.
        let mut deadline = match waiting {
            Waiting::Signal(_) => None,
            _ => Some(Instant::now() + wait),
        };
        loop {
            let found = match waiting {
                Waiting::Poll(_) | Waiting::Signal(_) => looks.look(limit, out).await?,
                Waiting::Notified(notified) => {
                    let until = deadline.filter(|_| !wait.is_zero());
                    match looks.look_when_notified(notified, limit, until, out).await? {
                        Some(found) => found,
                        None => return Ok(()),
                    }
                }
                Waiting::OnServer { looks_first } => {
                    if (*looks_first || wait.is_zero()) && looks.look(limit, out).await? > 0 {
                        return Ok(());
                    }
                    let left = deadline.map_or(wait, |deadline| deadline.saturating_duration_since(Instant::now()));
                    if !left.is_zero() {
                        looks.look_held(limit, left, out).await?;
                    }
                    return Ok(());
                }
            };
            if found > 0 {
                return Ok(());
            }
            let now = Instant::now();
            let deadline = *deadline.get_or_insert(now + wait);
            if now >= deadline {
                return Ok(());
            }
            match waiting {
                Waiting::Poll(interval) => sleep_until(deadline.min(now + jittered(*interval))).await,
                Waiting::Signal(signal) if timeout_at(deadline, signal.received()).await.is_err() => return Ok(()),
                // The next look waits by itself, or has been signalled.
                Waiting::Notified(_) | Waiting::OnServer { .. } | Waiting::Signal(_) => {}
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

    fn lease(job: u64) -> Lease {
        Lease { job: JobId(job), attempt: 1, payload: Bytes::new(), token: LeaseToken([0, 0]) }
    }

    /// Answers looks from a script: how many jobs each of them finds.
    struct Scripted(VecDeque<u32>);

    impl Look for Scripted {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            let found = self.0.pop_front().unwrap_or(0).min(limit);
            out.extend((0..u64::from(found)).map(lease));
            Ok(())
        }
    }

    fn claimer(found: &[u32]) -> WaitingClaimer<Scripted> {
        let look = Scripted(found.iter().copied().collect());
        let waiting = Waiting::Poll(Duration::from_millis(1));
        WaitingClaimer::new(look, waiting, ClientCounters::default())
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
        assert_eq!(claimer.looks.look.0.len(), 1);
    }

    #[tokio::test]
    async fn what_the_caller_already_holds_does_not_end_the_wait() {
        let mut out = Vec::new();
        let mut claimer = claimer(&[1, 0, 1]);
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        assert_eq!(out.len(), 2);
    }

    /// Looks of a server that can hold its answer back, which say what they were asked.
    struct Holding {
        asked: Vec<&'static str>,
        found: VecDeque<u32>,
    }

    impl Look for Holding {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            self.asked.push("take");
            Scripted(self.found.pop_front().into_iter().collect()).take(limit, out).await
        }

        async fn take_held(&mut self, limit: u32, _wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
            self.asked.push("held");
            Scripted(self.found.pop_front().into_iter().collect()).take(limit, out).await
        }
    }

    #[tokio::test]
    async fn a_server_that_holds_its_answer_back_is_asked_once() {
        for (looks_first, wait_ms, found, asked, in_vain) in [
            (false, 250, vec![1], vec!["held"], 0),
            (false, 250, vec![], vec!["held"], 1),
            (false, 0, vec![], vec!["take"], 1),
            (true, 250, vec![1], vec!["take"], 0),
            (true, 250, vec![0, 1], vec!["take", "held"], 1),
            (true, 0, vec![0, 1], vec!["take"], 1),
        ] {
            let counters = ClientCounters::default();
            let look = Holding { asked: Vec::new(), found: found.into() };
            let mut claimer = WaitingClaimer::new(look, Waiting::OnServer { looks_first }, counters.clone());
            claimer.claim(1, Duration::from_millis(wait_ms), &mut Vec::new()).await.expect("nothing fails here");
            assert_eq!(claimer.looks.look.asked, asked);
            assert_eq!(counters.wake().empty_claims, in_vain, "{asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_wakes_one_consumer_and_is_kept_for_the_next_one_that_would_sleep() {
        let signal = Arc::<Signal>::default();
        let shelf = Shelf { jobs: Arc::default(), chance: Chance(5), fails: false };
        let mut claimer =
            WaitingClaimer::new(shelf.clone(), Waiting::Signal(Arc::clone(&signal)), ClientCounters::default());
        let start = Instant::now();
        let mut out = Vec::new();
        claimer.claim(1, Duration::from_millis(100), &mut out).await.expect("no look fails");
        assert!(out.is_empty() && start.elapsed() >= Duration::from_millis(100), "it sleeps until the time is over");

        shelf.jobs.lock().unwrap().push_back(1);
        signal.give();
        claimer.claim(1, NEVER, &mut out).await.expect("no look fails");
        assert_eq!(out.len(), 1);

        // Given while the consumer looks and nobody sleeps.
        let late = {
            let (shelf, signal) = (shelf.clone(), Arc::clone(&signal));
            async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                shelf.jobs.lock().unwrap().push_back(2);
                signal.give();
            }
        };
        let (claimed, ()) = tokio::join!(claimer.claim(1, NEVER, &mut out), late);
        claimed.expect("no look fails");
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

    impl Look for Shelf {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            self.chance.pause(3).await;
            if self.fails && self.chance.below(20) == 0 {
                return Err(Error::new(ErrorKind::Rejected, "claim", "no luck"));
            }
            let mut jobs = self.jobs.lock().unwrap();
            let found = jobs.len().min(limit as usize);
            out.extend(jobs.drain(..found).map(lease));
            Ok(())
        }
    }

    /// The same, but as a server looks that has snapshots: what it takes is the first of what was there when it began and still is.
    struct Snapshots(Shelf);

    impl Look for Snapshots {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            let seen = self.0.jobs.lock().unwrap().clone();
            self.0.chance.pause(3).await;
            let mut jobs = self.0.jobs.lock().unwrap();
            let left: Vec<u64> = seen.into_iter().filter(|job| jobs.contains(job)).take(limit as usize).collect();
            jobs.retain(|job| !left.contains(job));
            out.extend(left.into_iter().map(lease));
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

    fn notified<L: Look>(announcements: &Arc<Announcements>, look: L, counts: &ClientCounters) -> WaitingClaimer<L> {
        let waiting = Waiting::Notified(Notified::new(announcements, None, look.places(), NEVER));
        WaitingClaimer::new(look, waiting, counts.clone())
    }

    /// Claims until there are `all` jobs; now and then gives up half way, or is busy for a while.
    async fn consume<L: Look>(mut claimer: WaitingClaimer<L>, mut chance: Chance, done: Arc<AtomicU64>, all: u64) {
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
        whatever_the_order(|shelf| shelf).await;
    }

    #[tokio::test(start_paused = true)]
    async fn no_job_waits_either_where_looks_are_snapshots() {
        whatever_the_order(Snapshots).await;
    }

    /// Jobs, announcements and claims in 200 random orders; with too few permits in any of them the last jobs would wait for ever.
    async fn whatever_the_order<L: Look + 'static>(look: fn(Shelf) -> L) {
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
                let claimer = notified(&announcements, look(own), &ClientCounters::default());
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

    /// A partition without jobs, at which a look takes its time; counts the looks.
    struct Empty(Arc<AtomicU64>);

    impl Look for Empty {
        async fn take(&mut self, _limit: u32, _out: &mut Vec<Lease>) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(())
        }

        fn places(&self) -> Places {
            Places::Only([1].into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_look_is_made_again_only_where_more_was_announced_at_its_own_place() {
        for (announced_at, expected) in [(2, 1), (1, 2), (ANYWHERE, 2)] {
            let announcements = Arc::<Announcements>::default();
            let looks = Arc::<AtomicU64>::default();
            let mut claimer = notified(&announcements, Empty(Arc::clone(&looks)), &ClientCounters::default());
            let (wait, mut out) = (Duration::from_millis(15), Vec::new());
            claimer.claim(1, wait, &mut out).await.expect("no look fails");
            assert_eq!(looks.load(Ordering::Relaxed), 1, "everybody looks once to begin with");
            announcements.announce(Shares::at(1, 1));
            let during = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                announcements.announce(Shares::at(announced_at, 1));
            };
            let (claimed, ()) = tokio::join!(claimer.claim(1, wait, &mut out), during);
            claimed.expect("no look fails");
            assert_eq!(looks.load(Ordering::Relaxed) - 1, expected, "more at {announced_at}");
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
            let mut claimer = notified(&announcements, shelf.clone(), &counts);
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
        let waiting = Waiting::Notified(Notified::new(&announcements, None, shelf.places(), fallback));
        let mut claimer = WaitingClaimer::new(shelf.clone(), waiting, ClientCounters::default());
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
