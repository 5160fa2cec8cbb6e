//! How far away the server is, just before the load and just after it: requests that do nothing, one after the other on one connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qbench_backends::{Backend, ProducerId};
use qbench_schema::result::RoundTrip;

use crate::calibrate::quantile;

/// Longest time for one look.
const DURATION: Duration = Duration::from_millis(200);

/// Most requests of one look: more would not move its percentiles.
const REQUESTS_MAX: usize = 2_000;

/// The round trip to the server behind `backend` now; `None` where it has no request that does nothing.
///
/// # Errors
/// Those of connecting and asking.
pub(super) async fn measure(backend: &Arc<dyn Backend>) -> Result<Option<RoundTrip>, qbench_backends::Error> {
    let mut producer = backend.producer(ProducerId(0)).await?;
    // The first one may still prepare something.
    if !producer.ask_for_nothing().await? {
        return Ok(None);
    }
    let begun = Instant::now();
    let mut took_us = Vec::with_capacity(REQUESTS_MAX);
    while took_us.is_empty() || (begun.elapsed() < DURATION && took_us.len() < REQUESTS_MAX) {
        let before = Instant::now();
        producer.ask_for_nothing().await?;
        took_us.push(before.elapsed().as_secs_f64() * 1e6);
    }
    let requests = took_us.len() as u64;
    Ok(Some(RoundTrip { p50: quantile(&mut took_us, 0.5), p99: quantile(&mut took_us, 0.99), requests }))
}
