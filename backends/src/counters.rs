//! What the connections of a run did: how often they asked the server and waited for it (METHODOLOGY M6), and how they learned
//! of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use qbench_schema::result::WakeCounts;

/// A counter of requests that a producer, claimer or acker sent and waited for. Clones count together.
///
/// One request is whatever is answered as a whole: a statement, a pipeline of any length, BEGIN or COMMIT sent on their
/// own, a poll that found nothing, an XREADGROUP however long it blocked. An attempt that got no answer counts. What a
/// connection needs only once does not count: connecting, and preparing a statement. Neither does the control side.
///
/// Beside the requests it counts what waiting for work is made of: looks that found none, and notifications.
#[derive(Debug, Clone, Default)]
pub struct ClientCounters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    notifications_sent: AtomicU64,
    notifications_received: AtomicU64,
    empty_claims: AtomicU64,
    listener_reconnects: AtomicU64,
}

impl ClientCounters {
    /// Counts one request.
    pub fn add_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Counts a change that told waiting consumers of ready jobs.
    pub fn notification_sent(&self) {
        self.0.notifications_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a notification that arrived.
    pub fn notification_received(&self) {
        self.0.notifications_received.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a look for work, by a claim or a reclaim, that found none, however many requests it took.
    pub fn empty_claim(&self) {
        self.0.empty_claims.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a listener's connection that was lost and made anew.
    pub fn listener_reconnect(&self) {
        self.0.listener_reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// What waiting for work cost so far.
    pub fn wake(&self) -> WakeCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WakeCounts {
            notifications_sent: read(&self.0.notifications_sent),
            notifications_received: read(&self.0.notifications_received),
            empty_claims: read(&self.0.empty_claims),
            listener_reconnects: read(&self.0.listener_reconnects),
        }
    }
}
