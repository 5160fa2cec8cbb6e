//! Rows as polars frames, and frames as CSV. Columns are the fields of the row types, in the order of their declaration.

use polars::prelude::*;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};

use crate::error::Result;

/// A field type that can be a column.
pub trait Cell: Sized {
    /// Makes a column of one field of every row.
    fn column(name: &str, values: Vec<Self>) -> Column;
}

macro_rules! cells {
    ($($type:ty),*) => { $(
        impl Cell for $type {
            fn column(name: &str, values: Vec<Self>) -> Column {
                Column::new(name.into(), values)
            }
        }
    )* };
}

cells!(String, bool, u32, u64, f64, Option<u64>, Option<f64>);

/// A frame of the named fields of `$rows`. A test holds the names against the serialised row types.
macro_rules! frame {
    ($rows:expr; $($field:ident),* $(,)?) => {
        DataFrame::new(
            $rows.len(),
            vec![$(Cell::column(stringify!($field), $rows.iter().map(|row| row.$field.clone()).collect::<Vec<_>>())),*],
        )
    };
}

/// `runs.csv` as a frame.
pub fn of_runs(rows: &[RunRow]) -> Result<DataFrame> {
    Ok(frame!(rows; run_id, engine, backend, queue_type, scenario, block, status, offered_jobs_s, throughput_jobs_s,
        jobs_intended, jobs_completed, latency_p50_ms, latency_p95_ms, latency_p99_ms, latency_p999_ms,
        schedule_lag_p99_ms, cpu_host_pct, cpu_server_pct, cpu_harness_pct, cpu_background_pct, cpu_server_us_per_job,
        cpu_harness_us_per_job, rss_server_mb, verdict, lost, duplicated, redelivered, valid, regime, durability,
        delivery, drain_s, deadlocks, background_tps, mode, activity, host, configuration_hash, configuration,
        log_bytes_per_job, fsyncs_per_job, round_trips_per_job, dead_tuples_per_job, server_memory_bytes_per_job,
        backlog_slope_jobs_s, empty_claims_s, notifications_sent, notifications_received, listener_reconnects, reasons,
        plan, variant, place, climbs, workers_max_over_min, climbed_keys)?)
}

/// `summary.csv` as a frame.
pub fn of_cells(rows: &[SummaryRow]) -> Result<DataFrame> {
    Ok(frame!(rows; engine, backend, queue_type, scenario, runs, offered_jobs_s, throughput_jobs_s, latency_p50_ms,
        latency_p95_ms, latency_p99_ms, latency_p999_ms, cpu_host_pct, cpu_server_pct, rss_server_mb, lost, duplicated,
        valid, regime, durability, delivery, cpu_harness_pct, cpu_background_pct, cpu_server_us_per_job,
        cpu_harness_us_per_job, schedule_lag_p99_ms, backlog_max, background_tps, background_latency_ms, failed_runs,
        mode, activity, host, configuration_hash, configuration, log_bytes_per_job, fsyncs_per_job,
        round_trips_per_job, dead_tuples_per_job, server_memory_bytes_per_job, backlog_slope_jobs_s, empty_claims_s,
        drain_s, reasons, plan, variant, place, climbs, deadlocks, workers_max_over_min, climbed_keys)?)
}

/// `distribution.csv` as a frame.
pub fn of_distribution(rows: &[DistributionRow]) -> Result<DataFrame> {
    Ok(frame!(rows; engine, backend, scenario, host, configuration_hash, quantile, latency_ms, variant)?)
}

/// A frame as CSV with a header.
pub fn to_csv(frame: &mut DataFrame) -> Result<Vec<u8>> {
    let mut csv = Vec::new();
    CsvWriter::new(&mut csv).finish(frame)?;
    Ok(csv)
}
