//! A run that several generators share: which part of it a shard is, what each leaves for `qbench merge`, and what that says of the whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::record::{Outcome, Phase};

/// Most shards of one run.
pub const SHARDS_MAX: u32 = 256;

/// Which of the shards of a run, as the command line writes it: `2/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShardNumber {
    /// Counted from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl fmt::Display for ShardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for ShardNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=SHARDS_MAX).contains(&of) && (1..=of).contains(&number) => {
                Ok(ShardNumber { number, of })
            }
            _ => Err(format!("expected K/N with K from 1 to N and N from 1 to {SHARDS_MAX}, for instance 2/8")),
        }
    }
}

/// What a shard is: a part of the identity of its run. A single shard is no whole run, and no reader takes it for one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardIdentity {
    /// Which shard it is, counted from 1. Of the whole schedule, in which arrivals are numbered from 0, it has those whose number leaves
    /// `number - 1` when divided by `of`.
    pub number: u32,
    /// How many shards the run has.
    pub of: u32,
    /// Short hash over all that the shards of one run have in common (backend, scenario, settings, seed, block, agreed start): what belongs
    /// together has the same.
    pub run_key: String,
    /// Agreed start of the first phase, RFC 3339 UTC; by the server's clock where the shards meet on a server, else by the host's.
    pub start_at: String,
    /// Whether each shard has a queue of its own, so that no job of another one is ever claimed here.
    pub queue_per_shard: bool,
    /// Load asked for of all shards together, in jobs per second; the shard's own part of it is `offered_jobs_s`.
    pub run_offered_jobs_s: f64,
}

impl ShardIdentity {
    /// Which shard it is.
    pub fn which(&self) -> ShardNumber {
        ShardNumber { number: self.number, of: self.of }
    }
}

/// What only the verdict of a shard has: what `qbench merge` needs beside figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFigures {
    /// Start of the measured phase in microseconds of this shard's clock: the agreed instant.
    pub measured_start_us: u64,
    /// Its end: as planned, or when it was cut short.
    pub measured_end_us: u64,
    /// Whether the queue was empty at the end, and everybody had sent everything.
    pub drained: bool,
    /// This shard's clock against the server's; absent where there is no server to ask.
    pub server_clock: Option<ServerClock>,
    /// The server's own account of the queue that this shard worked on, taken when it was empty; of all shards' jobs where that is one queue. Absent
    /// where it could not be read.
    pub server_account: Option<ServerAccount>,
    /// Jobs of other shards that were completed here.
    pub foreign_completed: u64,
}

/// A shard's clock against the clock of the server that all shards use. The difference of two of them is the offset between two shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerClock {
    /// What the server's clock showed at instant 0 of the shard's, in microseconds since 1970: measured before the load.
    pub zero_us: i64,
    /// How far that may be wrong, in microseconds: half of the shortest round trip.
    pub error_us: u64,
    /// How much more the server's clock showed when it was asked again after the load, in microseconds: one of the two ran faster, or was set.
    pub drift_us: i64,
}

impl ServerClock {
    /// How far an instant that is carried over by this clock may be wrong at any time of the run.
    pub fn bound_us(&self) -> u64 {
        self.error_us + self.drift_us.unsigned_abs()
    }
}

/// The server's own count of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAccount {
    /// Jobs that ever entered the queue, where the server can tell.
    pub enqueued: Option<u64>,
    /// Waiting.
    pub ready: u64,
    /// Claimed and not settled.
    pub in_flight: u64,
    /// Done, where the server keeps or counts them.
    pub done: Option<u64>,
    /// Settled as failed.
    pub dead: u64,
}

/// What became of a job's enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnqueueEnd {
    /// No producer touched it.
    NotAttempted,
    /// It ended without an answer: the job may be in the queue or not.
    Unknown,
    /// The backend refused it for good.
    Refused,
    /// The backend confirmed it.
    Confirmed,
}

/// One line of `<run>_account.jsonl`: a job of this shard, in the order of their numbers, warm-up included. What was done to it by other shards
/// stands in their files.
///
/// Instants are microseconds of this shard's clock; 0 where the thing did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// The job's number in the whole schedule.
    pub job: u64,
    /// Phase that it belongs to.
    pub phase: Phase,
    /// What became of its enqueue.
    pub enqueue: EnqueueEnd,
    /// When the schedule wanted it sent.
    pub intended_us: u64,
    /// When the pacer released it.
    pub released_us: u64,
    /// When a producer handed it to the backend.
    pub sent_us: u64,
    /// When the confirmation reached the producer.
    pub confirmed_us: u64,
    /// Deliveries to workers of this shard.
    pub deliveries: u8,
    /// Highest delivery count that the backend told them.
    pub attempts: u8,
    /// Of the deliveries, those that were given back before their work began.
    pub handed_back: u8,
    /// Acks as done that were confirmed here.
    pub completions: u8,
    /// Acks as failed that were confirmed here.
    pub failures: u8,
    /// Of these, after a panic.
    pub panics: u8,
    /// Acks here that had no answer.
    pub unknown_acks: u8,
}

/// One line of `<run>_foreign.jsonl`: a delivery of another shard's job that was worked on here. Never judged here; instants are microseconds of
/// this shard's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignRecord {
    /// The job's number in the whole schedule.
    pub job: u64,
    /// Worker of this shard, counted from 0.
    pub worker: u32,
    /// Delivery count as the backend tells it.
    pub attempt: u32,
    /// When the claim that contained the job returned.
    pub claimed_us: u64,
    /// When the work began.
    pub started_us: u64,
    /// When the work ended.
    pub finished_us: u64,
    /// When the backend confirmed the ack, or when that was given up.
    pub acked_us: u64,
    /// How the delivery ended.
    pub outcome: Outcome,
}

/// In the verdict of a merged run: what it was made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MergedRun {
    /// Ids of the shards, in the order of their numbers.
    pub shards: Vec<String>,
    /// What they had in common, as each of them has it.
    pub run_key: String,
    /// Agreed start, RFC 3339 UTC.
    pub start_at: String,
    /// Whether each shard had a queue of its own.
    pub queue_per_shard: bool,
    /// Measured jobs that another shard completed than the one that sent them.
    pub foreign_completed: u64,
    /// Error bar of the instants of such a job, in microseconds: those up to its sending and those from its claim on come from two clocks, whose offset
    /// is known to within this. Absent where no job crossed.
    pub clock_error_us: Option<u64>,
    /// By how much an instant of such a job seemed to lie before the one that it follows, at most, in microseconds. It was moved up to that one.
    pub moved_max_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_written_as_it_is_read_and_what_is_none_is_refused_with_an_example() {
        let shard: ShardNumber = "2/8".parse().unwrap();
        assert_eq!((shard, shard.to_string().as_str()), (ShardNumber { number: 2, of: 8 }, "2/8"));
        for wrong in ["0/8", "9/8", "2", "2/", "/8", "a/b", "1/257", "-1/4", "1/0", ""] {
            assert!(wrong.parse::<ShardNumber>().unwrap_err().contains("for instance 2/8"), "{wrong}");
        }
    }
}
