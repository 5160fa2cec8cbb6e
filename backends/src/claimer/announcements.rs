//! Announced jobs, and the consumers that sleep until there are some.
//!
//! A semaphore whose permits are announced jobs. A consumer *sets out* for jobs before it looks for them ([`Permits`]), and as
//! many consumers are woken as the announced jobs need: no herd. Nothing is lost between a look and a sleep, because what is
//! announced while nobody sleeps stays here until somebody sets out for it.
//!
//! Why no job waits beside a sleeping consumer. At any time there are at least as many permits (kept here, or with consumers
//! that are about to look) as announced jobs that are ready. An announcement adds as many of one as of the other. A look
//! that finds jobs gives back what it did not find of what it set out for; one that finds none shows that there was nothing when
//! it began, so its permits are void. A consumer that vanishes half way gives back all of them. Too many permits cost an empty look each;
//! too few, after a job became ready and nobody was told, cost the time to the next look by the fallback.
//!
//! Where more was announced at the same place while an empty look was under way, it shows nothing. On a server that looks at a snapshot, *a* sets
//! out for the first job and looks before there is a second one; *b* sets out for the second and takes the first; *a* finds none. With *a*'s permit
//! void, the second job would have none. So *a* keeps it, and looks again ([`Announcements::heard`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::shares::{Places, Shares};
use crate::sync::lock;

/// What all consumers of one opened backend share.
#[derive(Default)]
pub(crate) struct Announcements {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Announced jobs for which nobody has set out.
    unclaimed: Shares,
    /// By the order in which they fell asleep: whoever sleeps longest is woken first.
    sleepers: BTreeMap<u64, Sleeper>,
    /// Consumers that ever fell asleep.
    slept: u64,
    /// How often announcements may have been missed.
    doubts: u64,
    /// Jobs announced so far, with those that are long done.
    heard: Shares,
}

struct Sleeper {
    places: Places,
    /// Most jobs that it claims at once.
    room: u64,
    wake: oneshot::Sender<Call>,
}

/// Why a sleeping consumer wakes up.
pub(crate) enum Call {
    /// There is work to set out for.
    Work(Permits),
    /// There may be work that nobody knows of.
    Doubt,
    /// The time is over.
    Time,
}

impl Announcements {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half way, so a poisoned lock still guards a consistent state.
        lock(&self.state)
    }

    /// Says that so many more jobs are ready, and wakes as many consumers as they need.
    pub(crate) fn announce(self: &Arc<Self>, shares: Shares) {
        let mut state = self.lock();
        state.heard.add_all(shares.clone());
        self.hand_out(state, shares);
    }

    /// Jobs announced so far where those that `permits` are for may be.
    pub(crate) fn heard(&self, permits: &Permits) -> u64 {
        self.lock().heard.jobs_near(&permits.shares)
    }

    fn hand_out(self: &Arc<Self>, mut state: MutexGuard<'_, State>, shares: Shares) {
        let mut woken = Vec::new();
        for (place, mut jobs) in shares {
            while jobs > 0 {
                let next = state.sleepers.iter().find(|(_, sleeper)| sleeper.places.contain(place));
                let Some(sleeper) = next.map(|(id, _)| *id).and_then(|id| state.sleepers.remove(&id)) else {
                    state.unclaimed.add(place, jobs);
                    break;
                };
                let share = jobs.min(sleeper.room);
                jobs -= share;
                woken.push((sleeper.wake, self.permits(Shares::at(place, share))));
            }
        }
        // Sent while the lock is held, so that a sleeper is in the list or has its call, and never neither. Permits that
        // nobody takes come back here, so they must not be dropped under the lock.
        let refused: Vec<_> =
            woken.into_iter().filter_map(|(wake, permits)| wake.send(Call::Work(permits)).err()).collect();
        drop(state);
        drop(refused);
    }

    /// How often announcements may have been missed so far.
    pub(crate) fn doubts(&self) -> u64 {
        self.lock().doubts
    }

    /// Says that announcements may have been missed: every consumer has to look for itself once.
    pub(crate) fn doubt(&self) {
        let mut state = self.lock();
        state.doubts += 1;
        for (_, sleeper) in std::mem::take(&mut state.sleepers) {
            // A sleeper that is gone needs no waking.
            let _ = sleeper.wake.send(Call::Doubt);
        }
    }

    /// Wakes one consumer that claims from any of `places`, because there may be more work than was announced.
    pub(crate) fn rouse(&self, places: &Places) {
        let mut state = self.lock();
        let next = state.sleepers.iter().find(|(_, sleeper)| sleeper.places.overlap(places));
        if let Some(sleeper) = next.map(|(id, _)| *id).and_then(|id| state.sleepers.remove(&id)) {
            let _ = sleeper.wake.send(Call::Doubt);
        }
    }

    /// Sets out for up to `room` jobs at `places` that were announced; possibly for none.
    pub(crate) fn acquire(self: &Arc<Self>, places: &Places, room: u32) -> Permits {
        let shares = self.lock().unclaimed.take(places, room.into());
        self.permits(shares)
    }

    /// Sleeps until there is work at `places`, or doubt, or until `until`. `doubts` is how many of them the consumer knows
    /// of; one that came while it was awake wakes it at once. What it is woken with is safe if the call is dropped.
    pub(crate) async fn sleep(self: &Arc<Self>, places: &Places, room: u32, doubts: &mut u64, until: Instant) -> Call {
        let (wake, call) = oneshot::channel();
        let mut asleep = {
            let mut state = self.lock();
            if state.doubts > *doubts {
                *doubts = state.doubts;
                return Call::Doubt;
            }
            let shares = state.unclaimed.take(places, room.into());
            if !shares.is_empty() {
                drop(state);
                return Call::Work(self.permits(shares));
            }
            let id = state.slept;
            state.slept += 1;
            state.sleepers.insert(id, Sleeper { places: places.clone(), room: room.into(), wake });
            Asleep { announcements: self, id, places, call }
        };
        let called = match timeout_at(until, &mut asleep.call).await {
            Ok(Ok(call)) => call,
            _ => asleep.wake_up(),
        };
        if let Call::Doubt = called {
            *doubts = self.lock().doubts;
        }
        called
    }

    fn permits(self: &Arc<Self>, shares: Shares) -> Permits {
        Permits { announcements: Arc::clone(self), shares }
    }
}

/// A consumer in the list of sleepers, or with a call on its way to it.
struct Asleep<'a> {
    announcements: &'a Announcements,
    id: u64,
    places: &'a Places,
    call: oneshot::Receiver<Call>,
}

impl Asleep<'_> {
    /// Leaves the list; a call that had been sent by then counts.
    fn wake_up(&mut self) -> Call {
        self.announcements.lock().sleepers.remove(&self.id);
        self.call.try_recv().unwrap_or(Call::Time)
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        // Dropped with a call that was not taken: permits give their jobs back by themselves.
        if let Call::Doubt = self.wake_up() {
            self.announcements.rouse(self.places);
        }
    }
}

/// Announced jobs for which one consumer has set out. What is not settled is handed out again when this is dropped, so that a
/// look that fails or is given up leaves them to others.
pub(crate) struct Permits {
    announcements: Arc<Announcements>,
    shares: Shares,
}

impl Permits {
    /// True when the consumer goes to look without knowing of any work.
    pub(crate) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Sets out for announced jobs besides, up to `room` in all.
    pub(crate) fn fill_up(&mut self, places: &Places, room: u32) {
        let room = u64::from(room).saturating_sub(self.shares.jobs());
        let more = self.announcements.lock().unclaimed.take(places, room);
        self.shares.add_all(more);
    }

    /// One of the jobs was found at `place`.
    pub(crate) fn found(&mut self, place: u32) {
        self.shares.remove_one(place);
    }

    /// There was nothing to find: somebody else had been faster.
    pub(crate) fn void(mut self) {
        self.shares = Shares::default();
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        if !self.shares.is_empty() {
            self.announcements.hand_out(self.announcements.lock(), std::mem::take(&mut self.shares));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinHandle;
    use tokio::time::sleep;

    use super::super::shares::ANYWHERE;
    use super::*;

    /// A consumer that sleeps at `places` until it is called, for ten seconds at most.
    fn sleeper(announcements: &Arc<Announcements>, places: Places, room: u32) -> JoinHandle<Call> {
        let announcements = Arc::clone(announcements);
        tokio::spawn(async move {
            let until = Instant::now() + Duration::from_secs(10);
            announcements.sleep(&places, room, &mut 0, until).await
        })
    }

    async fn asleep(announcements: &Announcements, count: usize) {
        while announcements.lock().sleepers.len() != count {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn shares(call: &Call) -> &Shares {
        match call {
            Call::Work(permits) => &permits.shares,
            Call::Doubt | Call::Time => panic!("woken without work"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_woken_as_there_are_jobs_and_the_longest_asleep_first() {
        let announcements = Arc::<Announcements>::default();
        let mut sleepers = Vec::new();
        for count in 1..=4 {
            sleepers.push(sleeper(&announcements, Places::Everywhere, 10));
            asleep(&announcements, count).await;
        }
        announcements.announce(Shares::at(ANYWHERE, 15));
        asleep(&announcements, 2).await;
        let mut sleepers = sleepers.into_iter();
        let calls = [sleepers.next().unwrap().await.unwrap(), sleepers.next().unwrap().await.unwrap()];
        assert_eq!(calls.each_ref().map(|call| shares(call).jobs()), [10, 5]);
        assert!(sleepers.all(|other| !other.is_finished()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_in_a_partition_wakes_nobody_who_does_not_claim_there() {
        let announcements = Arc::<Announcements>::default();
        let of_1 = sleeper(&announcements, Places::Only([1].into()), 10);
        let of_2 = sleeper(&announcements, Places::Only([2].into()), 10);
        asleep(&announcements, 2).await;
        announcements.announce(Shares::at(2, 1));
        assert_eq!(shares(&of_2.await.unwrap()), &Shares::at(2, 1));
        assert!(!of_1.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_announced_while_everybody_is_busy_waits_for_the_next_one() {
        let announcements = Arc::<Announcements>::default();
        announcements.announce(Shares::at(ANYWHERE, 3));
        let call = sleeper(&announcements, Places::Everywhere, 2).await.unwrap();
        assert_eq!(shares(&call).jobs(), 2);
        assert_eq!(announcements.acquire(&Places::Everywhere, 2).shares.jobs(), 1);
        assert!(announcements.lock().unclaimed.jobs() == 1, "given back, because nobody settled it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_passes_on_what_it_was_woken_with() {
        let announcements = Arc::<Announcements>::default();
        let mut doubts = 0;
        let until = Instant::now() + Duration::from_secs(10);
        let mut first = Box::pin(announcements.sleep(&Places::Everywhere, 10, &mut doubts, until));
        assert!(tokio::time::timeout(Duration::ZERO, &mut first).await.is_err());
        let second = sleeper(&announcements, Places::Everywhere, 10);
        asleep(&announcements, 2).await;
        announcements.announce(Shares::at(ANYWHERE, 1));
        drop(first);
        assert_eq!(shares(&second.await.unwrap()).jobs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_left_in_the_list_once_the_time_is_over() {
        let announcements = Arc::<Announcements>::default();
        let call =
            announcements.sleep(&Places::Everywhere, 1, &mut 0, Instant::now() + Duration::from_millis(250)).await;
        assert!(matches!(call, Call::Time));
        assert!(announcements.lock().sleepers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_reaches_those_who_sleep_and_those_who_were_awake() {
        let announcements = Arc::<Announcements>::default();
        let sleeping = sleeper(&announcements, Places::Everywhere, 1);
        asleep(&announcements, 1).await;
        announcements.doubt();
        assert!(matches!(sleeping.await.unwrap(), Call::Doubt));
        let mut known = 0;
        let until = Instant::now() + Duration::from_secs(1);
        assert!(matches!(announcements.sleep(&Places::Everywhere, 1, &mut known, until).await, Call::Doubt));
        assert!(
            matches!(announcements.sleep(&Places::Everywhere, 1, &mut known, until).await, Call::Time),
            "once only"
        );
    }
}
