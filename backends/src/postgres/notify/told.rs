//! What a consumer knows that waits to be told of work.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::announcements::{Announcements, Call, Errand};
use super::listener::Listener;
use super::shares::Places;

/// When it is worth looking, as one consumer sees it: when it is told, when it cannot know, and by the fallback.
pub(in crate::postgres) struct Told {
    announcements: Arc<Announcements>,
    /// Keeps it listening. Without one, the fallback is all there is.
    _listener: Option<Arc<Listener>>,
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

impl Told {
    /// A consumer that has not looked yet: jobs may have been there before anybody listened.
    pub(in crate::postgres) fn new(
        announcements: &Arc<Announcements>,
        listener: Option<Arc<Listener>>,
        places: Places,
        fallback: Duration,
    ) -> Self {
        Told {
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
    pub(in crate::postgres) fn set_out(&self, limit: u32) -> Errand {
        self.announcements.set_out(&self.places, limit)
    }

    /// Waits until it is worth looking for up to `limit` jobs, and sets out; `None` when it is not before `deadline`.
    pub(in crate::postgres) async fn wait(&mut self, limit: u32, deadline: Instant) -> Option<Errand> {
        if !self.unsure && Instant::now() < self.look_at {
            let until = deadline.min(self.look_at);
            match self.announcements.sleep(&self.places, limit, &mut self.doubts, until).await {
                Call::Work(mut errand) => {
                    errand.fill_up(&self.places, limit);
                    return Some(errand);
                }
                Call::Doubt => self.unsure = true,
                Call::Time if Instant::now() < self.look_at => return None,
                Call::Time => {}
            }
        }
        Some(self.set_out(limit))
    }

    /// Learns from a look for `errand`, begun at `began`, that found nothing.
    pub(in crate::postgres) fn found_nothing(&mut self, errand: Errand, began: Instant) {
        errand.in_vain();
        self.unsure = false;
        self.look_at = began + self.fallback;
    }

    /// Learns from a look that found jobs, as many as it may take when `full`. `announced` are the places of those that
    /// are delivered for the first time: others may have come back without a word, and settle nothing of the errand.
    pub(in crate::postgres) fn found(&mut self, mut errand: Errand, announced: impl Iterator<Item = u32>, full: bool) {
        // Found without having been told: there may be more of that kind.
        self.unsure |= errand.is_empty();
        if self.unsure && full {
            // More than this consumer can take, perhaps. Whoever is woken goes on in the same way.
            self.announcements.rouse(&self.places);
        }
        announced.for_each(|place| errand.found(place));
    }

    /// Learns that a look failed: what it was for is still there, for anybody.
    pub(in crate::postgres) fn failed(&mut self, errand: Errand) {
        drop(errand);
        self.unsure = true;
    }
}
