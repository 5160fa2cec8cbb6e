//! How a claim waits for work inside this process, for the backends that live here.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::capability::Wake;
use crate::config::BackendConfig;
use crate::error::Result;

/// How one consumer waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    /// Looks again after this long.
    Poll(Duration),
    /// Sleeps until the bell rings.
    Block,
}

/// The ways that [`Waiting`] knows; in-process backends declare these.
pub(crate) const WAKES: &[Wake] = &[Wake::Block, Wake::Poll];

impl Waiting {
    /// The way that `config` asks for.
    pub(crate) fn of(config: &BackendConfig) -> Self {
        match config.wake {
            Wake::Poll => Waiting::Poll(config.poll_interval),
            Wake::Block | Wake::Notify => Waiting::Block,
        }
    }
}

/// Tells sleeping consumers that there is work.
///
/// One ring wakes one consumer. So that no job sits unseen beside a sleeping consumer, whoever adds jobs rings once, and
/// whoever takes some and leaves others rings for the next one: a chain instead of a herd.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    /// Wakes one sleeping consumer, or the next one that would go to sleep.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    /// The next ring that is for the caller, for a look that takes longer than [`Bell::wait_for`] allows.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.0.notified()
    }

    /// Calls `take` until it says that it took something, or until about `wait` has passed.
    pub(crate) async fn wait_for(
        &self,
        waiting: Waiting,
        wait: Duration,
        mut take: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        if take()? || wait.is_zero() {
            return Ok(());
        }
        let deadline = Instant::now() + wait;
        loop {
            match waiting {
                Waiting::Poll(interval) => sleep_until(deadline.min(Instant::now() + interval)).await,
                Waiting::Block => {
                    let mut rung = pin!(self.0.notified());
                    // Listening starts before the second look, so a job that arrives between look and sleep still rings.
                    rung.as_mut().enable();
                    if take()? {
                        return Ok(());
                    }
                    if timeout_at(deadline, rung).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if take()? || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }
}
