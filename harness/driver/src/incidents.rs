//! Everything that went wrong in a run, counted; and what a connection does after an error.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use qbench_backends::{Error, ErrorKind};

/// A connection that has had no success for so long gives the run up. Longer than any stall that a run should survive.
const PATIENCE: Duration = Duration::from_secs(20);

/// First pause after an error; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Counts of one run, shared by all producers and workers. Only touched when something is wrong.
#[derive(Debug, Default)]
pub struct Incidents {
    errors: Mutex<BTreeMap<String, u64>>,
    fatal: OnceLock<String>,
    /// Claims that returned more than their limit.
    pub overclaimed: AtomicU64,
    /// Deliveries with a payload that was not sent.
    pub corrupted: AtomicU64,
    /// Acks that came after the lease had passed on.
    pub stale_acks: AtomicU64,
    /// Records that could not be kept.
    pub dropped_records: AtomicU64,
}

impl Incidents {
    /// Counts `error` under its code.
    pub fn count(&self, error: &Error) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(error.count_key().to_owned()).or_default() += 1;
    }

    /// Ends the run with a reason; the first one stands.
    pub fn fail(&self, reason: String) {
        let _ = self.fatal.set(reason);
    }

    /// Why the run must end, if it must.
    pub fn fatal(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }

    /// Errors by SQLSTATE or kind.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds one to a counter.
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try the same again after a pause.
    RetryAfter(Duration),
    /// Give up: the run cannot go on.
    GiveUp,
}

/// Patience of one connection.
#[derive(Debug)]
pub struct Patience {
    failing_since: Option<Instant>,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { failing_since: None, pause: FIRST_PAUSE }
    }
}

impl Patience {
    /// An operation succeeded.
    pub fn restore(&mut self) {
        if self.failing_since.is_some() {
            *self = Patience::default();
        }
    }

    /// An operation failed at `now`: counts it, and ends the run in `incidents` when there is no hope left.
    pub fn advise(&mut self, error: &Error, operation: &str, incidents: &Incidents, now: Instant) -> Advice {
        incidents.count(error);
        let failing_since = *self.failing_since.get_or_insert(now);
        let hopeless = matches!(error.kind(), ErrorKind::Config | ErrorKind::Foreign | ErrorKind::Gone);
        if hopeless || now.duration_since(failing_since) >= PATIENCE {
            incidents.fail(if hopeless {
                error.to_string()
            } else {
                format!("{operation} had no success for {} s; last error: {error}", PATIENCE.as_secs())
            });
            return Advice::GiveUp;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Advice::RetryAfter(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_gives_up_only_after_its_patience_and_says_why() {
        let (incidents, mut patience) = (Incidents::default(), Patience::default());
        let error = Error::new(ErrorKind::Unknown, "claim", "connection reset");
        let start = Instant::now();
        assert_eq!(patience.advise(&error, "worker 3", &incidents, start), Advice::RetryAfter(FIRST_PAUSE));
        assert!(incidents.fatal().is_none());
        patience.restore();
        let later = start + PATIENCE;
        assert_eq!(patience.advise(&error, "worker 3", &incidents, later), Advice::RetryAfter(FIRST_PAUSE));
        assert_eq!(patience.advise(&error, "worker 3", &incidents, later + PATIENCE), Advice::GiveUp);
        assert_eq!(incidents.fatal(), Some("worker 3 had no success for 20 s; last error: claim: connection reset"));
        assert_eq!(incidents.errors().get("unknown"), Some(&3));
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let (incidents, mut patience) = (Incidents::default(), Patience::default());
        let error = Error::new(ErrorKind::Rejected, "ack", "deadlock detected").with_code("40P01");
        let now = Instant::now();
        let pauses: Vec<_> = (0..10).map(|_| patience.advise(&error, "ack", &incidents, now)).collect();
        assert_eq!(pauses[1], Advice::RetryAfter(FIRST_PAUSE * 2));
        assert_eq!(pauses[9], Advice::RetryAfter(LONGEST_PAUSE));
        assert_eq!(incidents.errors().get("40P01"), Some(&10));
    }
}
