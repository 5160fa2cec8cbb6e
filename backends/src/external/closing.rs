//! Channels that were closed and whose adapters still give back what nobody has seen.
//!
//! A consumer is dropped, and a drop cannot wait. So closing is asked for at once and waited for by the next question of the
//! control side: an account of the queue is only true when nothing is on its way back any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::process::{Process, Question};
use super::protocol::Request;
use crate::sync::lock;

/// How long an adapter may give jobs back, beyond the limit of an ordinary request: a library that starts jobs without limit
/// may have thousands, and write them one by one.
pub(super) const CLOSE_EXTRA: Duration = Duration::from_secs(45);

/// The closings under way of one backend.
#[derive(Default)]
pub(super) struct Closings {
    asked: Mutex<Vec<Closing>>,
    /// Taken by whoever waits; others wait behind him for the same ones.
    awaited: tokio::sync::Mutex<Vec<Closing>>,
}

/// One of them. Keeps the adapter's process, which is ended when nobody needs it any more.
struct Closing {
    process: Arc<Process>,
    question: Question,
    limit: Duration,
    deadline: Instant,
}

impl Closings {
    /// Closes `channel`, on which a worker still has `held`; of everything else nobody has seen anything. An adapter that has
    /// gone misses nothing.
    pub(super) fn close(&self, process: &Arc<Process>, channel: u32, held: Vec<u64>, timeout: Duration) {
        process.forget_mailbox(channel);
        if let Ok(question) = process.send(&Request::Close { channel, held }) {
            let limit = timeout + CLOSE_EXTRA;
            let closing = Closing { process: Arc::clone(process), question, limit, deadline: Instant::now() + limit };
            lock(&self.asked).push(closing);
        }
    }

    /// Waits until every channel that was closed so far has given its jobs back, or its adapter has broken.
    pub(super) async fn finish(&self) {
        let mut awaited = self.awaited.lock().await;
        awaited.append(&mut lock(&self.asked));
        // Removed when it is done, so that nothing is lost when the caller is.
        while let Some(Closing { process, question, limit, deadline }) = awaited.last_mut() {
            if let Err(error) = process.answer(question, *limit, *deadline).await {
                tracing::warn!("an adapter did not give back what nobody had seen: {error}");
            }
            awaited.pop();
        }
    }
}
