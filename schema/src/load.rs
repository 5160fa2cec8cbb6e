//! Words of a load, which settings, driver and backends have in common.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use crate::result::Waiting;

/// How intended instants are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrivals {
    /// Equal gaps: one every `1 / rate`.
    Constant,
    /// Independent exponential gaps of mean `1 / rate`, from the seed: a Poisson process, the same one for every backend of a
    /// block.
    Poisson,
}

impl Arrivals {
    /// Every way.
    pub const ALL: [Arrivals; 2] = [Arrivals::Constant, Arrivals::Poisson];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Arrivals::Constant => "constant",
            Arrivals::Poisson => "poisson",
        }
    }
}

/// How a worker learns that there is work. Whether a backend can do so is the backend's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// Asks again after an interval.
    Poll,
    /// Is told by a notification (LISTEN / NOTIFY), with polling as the fallback.
    Notify,
    /// Waits inside the claim command, on the server (XREADGROUP BLOCK) or in process.
    Block,
}

impl Wake {
    /// Every way.
    pub const ALL: [Wake; 3] = [Wake::Poll, Wake::Notify, Wake::Block];

    /// The class of waiting that it belongs to.
    pub fn waiting(self) -> Waiting {
        match self {
            Wake::Poll => Waiting::Poll,
            Wake::Notify | Wake::Block => Waiting::Push,
        }
    }

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Wake::Poll => "poll",
            Wake::Notify => "notify",
            Wake::Block => "block",
        }
    }
}

/// How workers should learn of work, as a user asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskedWake {
    /// In this way.
    Exactly(Wake),
    /// In whatever way the backend tells its workers: everything but polling (METHODOLOGY F8).
    Push,
}

impl AskedWake {
    /// All that can be asked for.
    pub const ALL: [AskedWake; 4] = [
        AskedWake::Exactly(Wake::Poll),
        AskedWake::Exactly(Wake::Notify),
        AskedWake::Exactly(Wake::Block),
        AskedWake::Push,
    ];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            AskedWake::Exactly(wake) => wake.name(),
            AskedWake::Push => "push",
        }
    }

    /// Whether `wake` is what was asked for.
    pub fn is_met_by(self, wake: Wake) -> bool {
        match self {
            AskedWake::Exactly(asked) => wake == asked,
            AskedWake::Push => wake.waiting() == Waiting::Push,
        }
    }
}

/// How servers, and the tables of a queue, are set (METHODOLOGY F5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// As the product comes, but for the memory of this machine.
    #[default]
    Stock,
    /// As somebody would set them who knows the product and this kind of load.
    Tuned,
}

impl Tuning {
    /// Both.
    pub const ALL: [Tuning; 2] = [Tuning::Stock, Tuning::Tuned];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Tuning::Stock => "stock",
            Tuning::Tuned => "tuned",
        }
    }
}

/// How a worker handles jobs. As a user asks for it, some of it is left open; a run decides that ([`WorkerSettings::decided`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Jobs that it works on at a time.
    pub concurrency: NonZeroU32,
    /// Most jobs in one claim.
    pub claim_batch: NonZeroU32,
    /// Jobs that it claims ahead of its free slots.
    pub prefetch: u32,
    /// Jobs that may still wait in its buffer when it claims again; `None` for half of `prefetch`.
    pub refill: Option<u32>,
    /// Most leases in one ack; `None` leaves it to the backend.
    pub ack_batch: Option<NonZeroU32>,
    /// How long a finished job may wait for others to be acked with; `None` leaves it to the backend where the batch is
    /// left to it, too, and is no time else.
    pub ack_linger: Option<Duration>,
}

impl Default for WorkerSettings {
    /// The smallest of everything: one job after the other.
    fn default() -> Self {
        WorkerSettings {
            concurrency: NonZeroU32::MIN,
            claim_batch: NonZeroU32::MIN,
            prefetch: 0,
            refill: None,
            ack_batch: None,
            ack_linger: None,
        }
    }
}

impl WorkerSettings {
    /// The same with nothing left open, on a backend whose own completion buffer holds `jobs` for `linger`.
    #[must_use]
    pub fn decided(self, jobs: NonZeroU32, linger: Duration) -> Self {
        let (ack_batch, linger) = match self.ack_batch {
            None => (jobs, linger),
            Some(asked) => (asked, Duration::ZERO),
        };
        WorkerSettings {
            refill: Some(self.refill_threshold()),
            ack_batch: Some(ack_batch),
            ack_linger: Some(self.ack_linger.unwrap_or(linger)),
            ..self
        }
    }

    /// Jobs that may still wait in its buffer when it claims again.
    pub fn refill_threshold(&self) -> u32 {
        self.refill.unwrap_or(self.prefetch / 2)
    }

    /// Most leases in one ack, as decided.
    pub fn ack_jobs(&self) -> u32 {
        self.ack_batch.map_or(1, NonZeroU32::get)
    }

    /// How long a finished job may wait for others to be acked with, as decided.
    pub fn linger(&self) -> Duration {
        self.ack_linger.unwrap_or_default()
    }

    /// Most jobs that it holds at once, as its buffer counts them: those in work and those prefetched, or one whole claim
    /// where that is more.
    pub fn held_most(&self) -> u32 {
        self.concurrency.get().saturating_add(self.prefetch).max(self.claim_batch.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_the_backend_s_and_a_batch_that_was_asked_for_does_not_linger() {
        let (own_jobs, own_linger) = (NonZeroU32::new(10).expect("not zero"), Duration::from_millis(10));
        let asked = NonZeroU32::new(3);
        let second = Duration::from_secs(1);
        for (ack_batch, ack_linger, jobs, linger) in [
            (None, None, 10, own_linger),
            (None, Some(second), 10, second),
            (asked, None, 3, Duration::ZERO),
            (asked, Some(second), 3, second),
        ] {
            let settings = WorkerSettings { ack_batch, ack_linger, prefetch: 9, ..WorkerSettings::default() };
            let decided = settings.decided(own_jobs, own_linger);
            assert_eq!((decided.ack_jobs(), decided.linger(), decided.refill), (jobs, linger, Some(4)));
        }
    }
}
