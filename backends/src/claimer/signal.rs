//! Waking within this process.

use tokio::sync::Notify;

/// Tells sleeping consumers that there is work.
///
/// One signal wakes one consumer, or the next one that would go to sleep. So that no job sits unseen beside a sleeping
/// consumer, whoever adds jobs gives one signal, and whoever takes some and leaves others gives one for the next consumer: a
/// chain instead of a herd. Signals that nobody waits for are kept as one, which is enough for that chain.
#[derive(Debug, Default)]
pub(crate) struct Signal(Notify);

impl Signal {
    /// Wakes one sleeping consumer, or the next one that would go to sleep.
    pub(crate) fn give(&self) {
        // A permit that stays when nobody sleeps is what makes a sleep after a look in vain safe: `notify_waiters` keeps none.
        self.0.notify_one();
    }

    /// Sleeps until a signal is for the caller.
    pub(super) async fn received(&self) {
        self.0.notified().await;
    }
}
