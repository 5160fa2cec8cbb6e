//! The words of a verdict: what a run was, how far it came, how it ended.

use serde::{Deserialize, Serialize};

/// The engine of queues that live in the harness's own process. They are its floor, not queues to choose, and are not ranked.
pub const IN_PROCESS: &str = "in_process";

/// A value of one of these sets as result files spell it.
pub fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// How far a run came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Written when the run starts. If it still stands later, the run was killed.
    #[default]
    Running,
    /// The run came to its end; whether it is *valid* is another question.
    Finished,
    /// The user stopped it; the files hold what happened until then.
    Interrupted,
    /// It broke; `error` says why, the files hold what happened until then.
    Failed,
}

impl RunStatus {
    /// What a verdict of another program has come to that gives figures and no status.
    pub(super) fn of_the_silent() -> Self {
        RunStatus::Finished
    }
}

/// Whether the offered load could be carried at all (METHODOLOGY L5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Utilisation below 0.9: latency percentiles describe the queue.
    #[default]
    Normal,
    /// Utilisation 0.9 or more: end-to-end percentiles describe how long the run was.
    Overload,
}

/// What survives a crash of the server once an enqueue was confirmed (METHODOLOGY F1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing: unlogged tables; no AOF and no snapshots.
    #[default]
    D0,
    /// All but a bounded tail: `synchronous_commit = off`; AOF synced every second.
    D1,
    /// Everything: the reply waits for the disk.
    D2,
}

/// How often a job may reach a worker when nothing but a worker fails (METHODOLOGY F2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The writer of a verdict did not tell. No backend declares this.
    #[default]
    Unknown,
    /// A job whose worker vanishes is gone.
    AtMostOnce,
    /// A job whose worker vanishes comes back.
    AtLeastOnce,
}

/// How idle workers learn of work (METHODOLOGY F8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// The writer did not tell.
    #[default]
    Unknown,
    /// They look again and again.
    Poll,
    /// They are told: by a notification, a blocked read, or a signal within the process.
    Push,
}

/// The auditor's word on a run (METHODOLOGY A1, A2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every job is accounted for and the backend kept its contract.
    Ok,
    /// Something was lost, invented or doubled against the contract.
    Violated,
    /// The queue was not drained to the end, so nothing can be said.
    #[default]
    Inconclusive,
}

/// Who decides when a job is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// A schedule, blind to completions (METHODOLOGY L1). The only mode whose latencies describe the queue.
    #[default]
    OpenLoop,
    /// Producers and workers go as fast as they can: figures of capacity. A job's intended instant is its actual one.
    Saturation,
}

/// Which sides of the queue work during the measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Producers and workers.
    #[default]
    Both,
    /// Producers alone; workers empty the queue afterwards. Throughput is that of enqueues.
    Enqueue,
    /// Workers alone, on jobs that were put there before. Throughput is that of completions.
    Drain,
}

/// Whose doing something is that was held against a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The machine, and what else it does: another attempt may be free of it.
    Host,
    /// This program and its helpers: what measured was at fault, not what was measured.
    Harness,
    /// The queue, its server, or the load that it was given.
    #[default]
    Queue,
    /// Who stopped the run.
    User,
}
