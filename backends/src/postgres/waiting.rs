//! A claim that waits for work.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::target::Target;
use crate::capability::Wake;
use crate::error::Result;
use crate::job::Lease;
use crate::seam::Claimer;

/// The ways to wait that the backends of this engine know.
pub(super) const WAKES: &[Wake] = &[Wake::Poll];

/// One look at the queue: what a design does, without the waiting around it.
pub(super) trait Source: Send {
    /// Appends up to `limit` leases; none when there is nothing to claim just now. Never waits for work.
    fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> impl Future<Output = Result<()>> + Send;

    /// Appends up to `limit` leases whose former holders let them expire; none where leases do not expire.
    fn take_expired(&mut self, _limit: u32, _out: &mut Vec<Lease>) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// How a consumer waits between two looks.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// Looks again after this long.
    Poll(Duration),
}

impl Pause {
    /// Returns when it is worth looking again, at `deadline` at the latest.
    async fn until_next_look(self, deadline: Instant) {
        match self {
            Pause::Poll(interval) => sleep_until(deadline.min(Instant::now() + interval)).await,
        }
    }
}

/// The claimer of every backend of this engine: a [`Source`] and the waiting around it.
pub(super) struct WaitingClaimer<S> {
    source: S,
    pause: Pause,
}

impl<S: Source> WaitingClaimer<S> {
    pub(super) fn new(source: S, target: &Target) -> Self {
        WaitingClaimer { source, pause: Pause::Poll(target.poll_interval) }
    }
}

#[async_trait]
impl<S: Source> Claimer for WaitingClaimer<S> {
    async fn claim(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        let before = out.len();
        let deadline = Instant::now() + wait;
        loop {
            self.source.take(limit, out).await?;
            if out.len() > before || Instant::now() >= deadline {
                return Ok(());
            }
            self.pause.until_next_look(deadline).await;
        }
    }

    async fn reclaim(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.source.take_expired(limit, out).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::*;
    use crate::job::{JobId, LeaseToken};

    /// Answers looks from a script: how many jobs each of them finds.
    struct Scripted(VecDeque<u32>);

    impl Source for Scripted {
        async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
            for job in 0..self.0.pop_front().unwrap_or(0).min(limit) {
                let token = LeaseToken([0, 0]);
                out.push(Lease { job: JobId(u64::from(job)), attempt: 1, payload: Bytes::new(), token });
            }
            Ok(())
        }
    }

    fn claimer(found: &[u32]) -> WaitingClaimer<Scripted> {
        let pause = Pause::Poll(Duration::from_millis(1));
        WaitingClaimer { source: Scripted(found.iter().copied().collect()), pause }
    }

    #[tokio::test]
    async fn it_looks_again_until_there_is_work() {
        let mut out = Vec::new();
        claimer(&[0, 0, 2]).claim(5, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        assert_eq!(out.len(), 2);
    }

    #[tokio::test]
    async fn it_gives_up_when_the_time_is_over() {
        let mut out = Vec::new();
        let start = Instant::now();
        claimer(&[]).claim(5, Duration::from_millis(20), &mut out).await.expect("nothing fails here");
        assert!(out.is_empty());
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn without_time_it_looks_once() {
        let mut out = Vec::new();
        let mut claimer = claimer(&[0, 1]);
        claimer.claim(5, Duration::ZERO, &mut out).await.expect("nothing fails here");
        assert!(out.is_empty());
        assert_eq!(claimer.source.0.len(), 1);
    }

    #[tokio::test]
    async fn what_the_caller_already_holds_does_not_end_the_wait() {
        let mut out = Vec::new();
        let mut claimer = claimer(&[1, 0, 1]);
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        claimer.claim(1, Duration::from_secs(60), &mut out).await.expect("nothing fails here");
        assert_eq!(out.len(), 2);
    }
}
