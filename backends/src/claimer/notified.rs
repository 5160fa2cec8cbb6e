//! What a consumer knows that waits to be notified of work.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::announcements::{Announcements, Call, Permits};
use super::shares::Places;

/// When it is worth looking, as one consumer sees it: when it is told, when it cannot know, and by the fallback.
pub(crate) struct Notified {
    announcements: Arc<Announcements>,
    /// Keeps it listening. Without one, the fallback is all there is.
    _listener: Option<Arc<dyn Any + Send + Sync>>,
    /// Where it claims from.
    places: Places,
    /// Longest time from a look that found nothing to the next one: a job of which nobody was told waits no longer.
    fallback: Duration,
    /// Whether there may be work that nobody was told of. The consumer then looks at once, until it finds nothing.
    unsure: bool,
    /// Doubts that it knows of.
    doubts: u64,
    /// When it looks in any case.
    look_at: Instant,
}

impl Notified {
    /// A consumer that has not looked yet: jobs may have been there before anybody listened.
    pub(crate) fn new(
        announcements: &Arc<Announcements>,
        listener: Option<Arc<dyn Any + Send + Sync>>,
        places: Places,
        fallback: Duration,
    ) -> Self {
        Notified {
            announcements: Arc::clone(announcements),
            _listener: listener,
            places,
            fallback,
            unsure: true,
            doubts: announcements.doubts(),
            look_at: Instant::now(),
        }
    }

    /// Sets out now, for announced jobs or for none.
    pub(crate) fn acquire(&self, limit: u32) -> Permits {
        self.announcements.acquire(&self.places, limit)
    }

    /// Waits until it is worth looking for up to `limit` jobs, and sets out; `None` when it is not before `deadline`.
    pub(crate) async fn wait(&mut self, limit: u32, deadline: Instant) -> Option<Permits> {
        if !self.unsure && Instant::now() < self.look_at {
            let until = deadline.min(self.look_at);
            match self.announcements.sleep(&self.places, limit, &mut self.doubts, until).await {
                Call::Work(mut permits) => {
                    permits.fill_up(&self.places, limit);
                    return Some(permits);
                }
                Call::Doubt => self.unsure = true,
                Call::Time if Instant::now() < self.look_at => return None,
                Call::Time => {}
            }
        }
        Some(self.acquire(limit))
    }

    /// Jobs announced so far where those that `permits` are for may be: taken before a look, it tells [`Notified::shows_nothing`] what came
    /// meanwhile.
    pub(crate) fn heard(&self, permits: &Permits) -> u64 {
        self.announcements.heard(permits)
    }

    /// Whether a look for `permits` that found nothing says nothing of the jobs that it was for, because more were announced there since
    /// `heard`.
    pub(crate) fn shows_nothing(&self, permits: &Permits, heard: u64) -> bool {
        !permits.is_empty() && self.heard(permits) != heard
    }

    /// Learns from a look for `permits`, begun at `began`, that found nothing.
    pub(crate) fn found_nothing(&mut self, permits: Permits, began: Instant) {
        permits.void();
        self.unsure = false;
        self.look_at = began + self.fallback;
    }

    /// Learns from a look that found jobs, as many as it may take when `full`. `announced` are the places of those that
    /// are delivered for the first time: others may have come back without a word, and settle nothing of the permits.
    pub(crate) fn found(&mut self, mut permits: Permits, announced: impl Iterator<Item = u32>, full: bool) {
        // Found without having been told: there may be more of that kind.
        self.unsure |= permits.is_empty();
        if self.unsure && full {
            // More than this consumer can take, perhaps. Whoever is woken goes on in the same way.
            self.announcements.rouse(&self.places);
        }
        announced.for_each(|place| permits.found(place));
    }

    /// Learns that a look failed: what it was for is still there, for anybody.
    pub(crate) fn failed(&mut self, permits: Permits) {
        drop(permits);
        self.unsure = true;
    }
}
