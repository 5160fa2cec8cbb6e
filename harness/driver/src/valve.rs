//! Lets workers claim, or keeps them from it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Open: workers claim. Closed: no claim begins, and closing waits for those that run.
#[derive(Debug)]
pub struct Valve {
    open: watch::Sender<bool>,
    /// Claims that run now.
    inside: AtomicU64,
}

impl Valve {
    /// An open valve.
    pub fn open() -> Self {
        Valve { open: watch::Sender::new(true), inside: AtomicU64::new(0) }
    }

    /// Waits until the valve is open and goes in; the claim may run until the pass is dropped.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            // Counted first and looked at second, so that [`Valve::close`] sees every claim that may begin.
            self.inside.fetch_add(1, Ordering::SeqCst);
            if *self.open.borrow() {
                return Pass { valve: self };
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
            // Fails only when the sender is gone, and that is part of this valve.
            let _ = self.open.subscribe().wait_for(|open| *open).await;
        }
    }

    /// Lets claims begin.
    pub fn reopen(&self) {
        self.open.send_replace(true);
    }

    /// Keeps new claims from beginning. Those that run go on: see [`Valve::is_idle`].
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Whether no claim runs.
    pub fn is_idle(&self) -> bool {
        self.inside.load(Ordering::SeqCst) == 0
    }
}

/// Permission for one claim.
pub struct Pass<'a> {
    valve: &'a Valve,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.valve.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_valve_holds_new_claims_back_until_it_is_open_again() {
        let valve = Arc::new(Valve::open());
        let running = valve.enter().await;
        valve.close();
        assert!(!valve.is_idle(), "the claim that ran goes on");
        drop(running);
        let waiting = {
            let valve = Arc::clone(&valve);
            tokio::spawn(async move { drop(valve.enter().await) })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(valve.is_idle() && !waiting.is_finished());
        valve.reopen();
        waiting.await.unwrap();
    }
}
