//! How often a run's connections asked the server and waited for it (METHODOLOGY M6).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter of requests that a producer, claimer or acker sent and waited for. Clones count together.
///
/// One request is whatever is answered as a whole: a statement, a pipeline of any length, BEGIN or COMMIT sent on their
/// own, a poll that found nothing, an XREADGROUP however long it blocked. An attempt that got no answer counts. What a
/// connection needs only once does not count: connecting, and preparing a statement. Neither does the control side.
#[derive(Debug, Clone, Default)]
pub struct RoundTrips(Arc<AtomicU64>);

impl RoundTrips {
    /// Counts one request.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
