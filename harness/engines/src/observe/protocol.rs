//! What run and observer say to each other: a line of JSON each, over the observer's standard input and output.
//!
//! The observer says `Say::Hello` first. Then each `Ask` that wants an answer gets one before the next is read; rows of the monitors and
//! signs of life come in between. A line may hold a password, of a server that was started or given, so lines are never shown.

use std::collections::BTreeMap;
use std::net::IpAddr;

use qbench_schema::manifest::Host;
use qbench_schema::result::Durability;
use serde::{Deserialize, Serialize};

use crate::monitor::{MonitorSummary, RowsOf};

/// The version of this conversation. Another one is refused: neither side could rely on what the other one does.
pub const PROTOCOL: u32 = 1;

/// What the run asks of the observer.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(super) enum Ask {
    /// Nothing: the run is still there. No answer.
    Alive,
    /// What time is it? Answered by [`Say::Clock`].
    Clock,
    /// Start a private server. Answered by [`Say::Server`].
    Start(StartAsked),
    /// Watch a server that runs already. Answered by [`Say::Server`].
    Adopt {
        /// The product, by the id of its kind.
        engine: String,
        /// Where it is, with its password.
        url: String,
    },
    /// Drop the host's page cache. Answered by [`Say::Cooled`].
    Cool,
    /// Start the monitors. Answered by [`Say::Watching`].
    Watch(Box<WatchAsked>),
    /// The run is in another phase, by its name. No answer.
    Phase {
        /// As [`qbench_ground::clock::RunPhase::name`] has it.
        name: String,
    },
    /// The measured phase begins now. No answer.
    MeasuredStart,
    /// The measured phase ends now. No answer.
    MeasuredEnd,
    /// End the monitors. Answered by [`Say::Watched`].
    Unwatch,
    /// End the server, and the observer. Answered by [`Say::Stopped`].
    Stop,
}

/// A private server to start.
#[derive(Serialize, Deserialize)]
pub(super) struct StartAsked {
    /// The product, by the id of its kind.
    pub(super) engine: String,
    /// What it promises to keep in a crash.
    pub(super) durability: Durability,
    /// How it is set on top of that, by its name.
    pub(super) tuning: String,
    /// Connections that will be open at once.
    pub(super) connections: u32,
    /// The address of the observer's host that it listens on.
    pub(super) listen: IpAddr,
}

/// What to watch, and by which clock.
#[derive(Serialize, Deserialize)]
pub(super) struct WatchAsked {
    /// When the run began, in nanoseconds of the observer's own monotonic clock.
    pub(super) began_ns: u64,
    /// The phase that the run is in, by its name.
    pub(super) phase: String,
    /// What the backend keeps on the server.
    pub(super) objects: Vec<String>,
    /// Time between two rows.
    pub(super) interval_us: u64,
    /// The backend, for the backlog in rows of a server that does not tell it.
    pub(super) backend: BackendAsked,
}

/// How the observer opens the backend's control side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackendAsked {
    /// Its id.
    pub id: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
    /// What its objects are under.
    pub namespace: String,
    /// The class that it was asked for.
    pub durability: Durability,
    /// How its workers wait, by its name.
    pub wake: String,
    /// How many they are.
    pub workers: u32,
}

/// What the observer says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Say {
    /// Who it is; first of all.
    Hello(Box<Hello>),
    /// The observer is still there.
    Alive,
    /// What time it is.
    Clock(Clocks),
    /// The server runs.
    Server(Box<ServerSaid>),
    /// What came of dropping the page cache, a sentence.
    Cooled {
        /// The sentence.
        sentence: String,
    },
    /// The monitors are at work.
    Watching,
    /// Rows of a file.
    Rows {
        /// Which one.
        of: RowsOf,
        /// Whole lines of it.
        text: String,
    },
    /// What the monitors say about the run, and what a private server that ended by itself said last.
    Watched {
        /// Everything of the measured phase.
        summary: Box<MonitorSummary>,
        /// How the server ended, if it did.
        died: Option<String>,
    },
    /// Nothing runs there any more; what made trouble on the way, if anything.
    Stopped {
        /// The trouble.
        trouble: Option<String>,
    },
    /// What was asked cannot be done: why.
    Refused {
        /// The sentence.
        reason: String,
    },
}

/// Who an observer is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of its program.
    pub protocol: u32,
    /// Version of its program.
    pub version: String,
    /// Git revision that its program was built from.
    pub revision: String,
    /// Which machine it is on: a short hash.
    pub host_id: String,
    /// That machine.
    pub host: Host,
    /// The address by which the run reached it, where the channel tells: ssh does.
    pub reached_at: Option<IpAddr>,
}

/// Both clocks of a host at one instant, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clocks {
    /// `CLOCK_MONOTONIC`, which begins anywhere.
    pub(super) monotonic_ns: u64,
    /// `CLOCK_REALTIME`, which people read.
    pub(super) real_ns: u64,
}

/// A server that runs.
#[derive(Serialize, Deserialize)]
pub(super) struct ServerSaid {
    /// Where it is, with its password.
    pub(super) url: String,
    /// Of a private one: its version.
    pub(super) version: Option<String>,
    /// Of a private one: every setting that it was started with.
    pub(super) settings: BTreeMap<String, String>,
    /// Why its process is not accounted for, where it is not.
    pub(super) unaccounted: Option<String>,
}
