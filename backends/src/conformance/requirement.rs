//! What a case may require of a backend's declared capabilities.

use crate::capability::{Capabilities, Order, Recovery, Wake};
use crate::entry::EngineKind;

/// A capability without which a case says nothing about a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Leases expire, and reclaim finds them.
    LeaseExpiry,
    /// The server takes jobs back when a connection ends.
    ConnectionLoss,
    /// Jobs of a silent consumer come back by ordinary claims.
    Heartbeat,
    /// Its connections are the backend's own, which opens them anew.
    OwnConnections,
    /// So are its notifications: which of them there are is not a library's decision.
    OwnNotifications,
    /// Jobs of a vanished consumer are gone.
    NoRecovery,
    /// Leases do not expire.
    NoLeaseExpiry,
    /// Jobs can be given back.
    Nack,
    /// Jobs cannot be given back.
    NoNack,
    /// Jobs can be settled as failed.
    RecordsFailures,
    /// Jobs cannot be settled as failed.
    NoFailures,
    /// A late ack is told from a good one.
    StaleAck,
    /// Deliveries are counted.
    Attempts,
    /// A consumer may hold several claims at once.
    SeveralClaims,
    /// Claimed jobs are counted.
    InFlight,
    /// This way of waking up.
    Wakes(Wake),
    /// First in, first out over the whole queue.
    Fifo,
    /// First in, first out within partitions.
    FifoPerPartition,
    /// There is a server, with connections to it.
    Server,
    /// There are objects outside this process, which somebody else could have made.
    Objects,
}

impl Requirement {
    /// Whether a backend that declares `capabilities` has it.
    pub fn is_met(self, capabilities: &Capabilities, engine: EngineKind) -> bool {
        match self {
            Requirement::LeaseExpiry => capabilities.recovery == Recovery::LeaseExpiry,
            Requirement::ConnectionLoss => capabilities.recovery == Recovery::ConnectionLoss,
            Requirement::Heartbeat => capabilities.recovery == Recovery::Heartbeat,
            Requirement::OwnConnections | Requirement::OwnNotifications => capabilities.recovery != Recovery::Heartbeat,
            Requirement::NoRecovery => capabilities.recovery == Recovery::None,
            Requirement::NoLeaseExpiry => capabilities.recovery != Recovery::LeaseExpiry,
            Requirement::Nack => capabilities.nack,
            Requirement::NoNack => !capabilities.nack,
            Requirement::RecordsFailures => capabilities.records_failures,
            Requirement::NoFailures => !capabilities.records_failures,
            Requirement::StaleAck => capabilities.detects_stale_ack,
            Requirement::Attempts => capabilities.counts_attempts,
            Requirement::SeveralClaims => !capabilities.one_claim_at_a_time,
            Requirement::InFlight => capabilities.sees_in_flight,
            Requirement::Wakes(wake) => capabilities.wakes.contains(&wake),
            Requirement::Fifo => capabilities.order == Order::Fifo,
            Requirement::FifoPerPartition => capabilities.order == Order::FifoPerPartition,
            Requirement::Server => engine.has_server,
            Requirement::Objects => engine.has_objects,
        }
    }

    /// Why a case does not apply to a backend that lacks it.
    pub fn absence(self) -> &'static str {
        match self {
            Requirement::LeaseExpiry => "recovery is not by lease expiry",
            Requirement::ConnectionLoss => "recovery is not by connection loss",
            Requirement::Heartbeat => "recovery is not by a library's heartbeats",
            Requirement::OwnConnections => "a library keeps the connections",
            Requirement::OwnNotifications => "a library decides who is told of what",
            Requirement::NoRecovery => "jobs of a vanished consumer come back",
            Requirement::NoLeaseExpiry => "recovery is by lease expiry",
            Requirement::Nack => "nack is not supported",
            Requirement::NoNack => "nack is supported",
            Requirement::RecordsFailures => "failures are not recorded",
            Requirement::NoFailures => "failures are recorded",
            Requirement::StaleAck => "stale acks are not detected",
            Requirement::Attempts => "attempts are not counted",
            Requirement::SeveralClaims => "a consumer must settle one claim before the next",
            Requirement::InFlight => "jobs in flight are not seen",
            Requirement::Wakes(Wake::Poll) => "wake-up by poll is not supported",
            Requirement::Wakes(Wake::Notify) => "wake-up by notify is not supported",
            Requirement::Wakes(Wake::Block) => "wake-up by block is not supported",
            Requirement::Fifo => "order is not first in, first out",
            Requirement::FifoPerPartition => "order is not first in, first out per partition",
            Requirement::Server => "it lives in this process and has no server",
            Requirement::Objects => "it keeps nothing outside this process",
        }
    }
}
