//! `analysis/round_trip.csv`: what each millisecond between clients and server costs, a row per queue and figure.

use serde::{Deserialize, Serialize};

/// How a latency of one queue grows with the round trip to its server, where a matrix varied `delay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundTripRow {
    /// Scenario id.
    pub scenario: String,
    /// Backend id.
    pub backend: String,
    /// The backend, and what tells it from others of its kind.
    pub name: String,
    /// The latency: `latency_p50_ms` or `latency_p99_ms`.
    pub figure: String,
    /// Blocks that have a slope of their own.
    pub blocks: usize,
    /// Valid runs that they are made of.
    pub runs: usize,
    /// Milliseconds of latency per millisecond of round trip: the mean of the blocks' least-squares slopes.
    pub ms_per_ms: f64,
    /// Lower end of its 95 % interval over the blocks; empty below three of them.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What the latency would be with no round trip at all: the mean of where the blocks' lines begin.
    pub at_zero_ms: f64,
}
