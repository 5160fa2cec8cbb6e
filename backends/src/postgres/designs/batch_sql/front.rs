//! Where the next claim of a worker begins.
//!
//! Claims take jobs from the front of an index, and what they took stays there as dead entries until the next vacuum: at
//! 15,000 jobs/s, a claim after ten seconds would step over 150,000 of them, a page at a time, before it finds its first job.
//! A worker that remembers where it found its last one begins there. What may since have appeared before that place (a job
//! that was given back, one whose insert was committed late) is found by the next claim that begins at the very front: after
//! [`REFRESH`] at the latest, and at once when nothing is found behind.
//!
//! With several priorities nothing is remembered: every new job of a higher one appears before that place, and would wait.

use std::time::Duration;

use tokio::time::Instant;

/// Longest time for which a worker does not look at the very front.
const REFRESH: Duration = Duration::from_millis(100);

/// A place in the order of claims: negated priority, id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) rank: i32,
    pub(super) id: i64,
}

impl Place {
    /// The very front: no job stands before it.
    pub(super) const FIRST: Place = Place { rank: i32::MIN, id: 0 };
}

/// What one worker knows about the front.
#[derive(Debug)]
pub(super) struct Front {
    remembers: bool,
    at: Place,
    refresh_at: Instant,
}

impl Front {
    /// Knows nothing yet, and never will where there are several `priorities`.
    pub(super) fn new(priorities: u32) -> Self {
        Front { remembers: priorities == 1, at: Place::FIRST, refresh_at: Instant::now() }
    }

    /// Where a claim at `now` begins.
    pub(super) fn begin(&mut self, now: Instant) -> Place {
        if now >= self.refresh_at {
            self.at = Place::FIRST;
            self.refresh_at = now + REFRESH;
        }
        self.at
    }

    /// A claim found jobs, `last` of them furthest behind; or it found none.
    pub(super) fn found(&mut self, last: Option<Place>) {
        if self.remembers {
            self.at = last.unwrap_or(Place::FIRST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_claim_begins_where_the_last_one_ended_and_at_the_very_front_now_and_then() {
        let mut front = Front::new(1);
        assert_eq!(front.begin(Instant::now()), Place::FIRST);
        let last = Place { rank: 0, id: 70 };
        front.found(Some(last));
        tokio::time::advance(REFRESH / 2).await;
        assert_eq!(front.begin(Instant::now()), last);
        tokio::time::advance(REFRESH / 2).await;
        assert_eq!(front.begin(Instant::now()), Place::FIRST);
        front.found(Some(last));
        assert_eq!(front.begin(Instant::now()), last);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_found_nothing_makes_the_next_one_begin_at_the_very_front() {
        let mut front = Front::new(1);
        front.begin(Instant::now());
        front.found(Some(Place { rank: 0, id: 70 }));
        front.found(None);
        assert_eq!(front.begin(Instant::now()), Place::FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn with_several_priorities_every_claim_begins_at_the_very_front() {
        let mut front = Front::new(2);
        front.begin(Instant::now());
        front.found(Some(Place { rank: 0, id: 70 }));
        assert_eq!(front.begin(Instant::now()), Place::FIRST);
    }
}
