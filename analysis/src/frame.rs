//! The small tables as polars frames, and frames as CSV.

use polars::prelude::*;
use qbench_schema::comparison::ComparisonRow;
use qbench_schema::result::word;
use qbench_schema::round_trip::RoundTripRow;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow, Value, cell_columns, run_columns};

use crate::error::Result;

/// `runs.csv` as a frame.
pub fn of_runs(rows: &[RunRow]) -> Result<DataFrame> {
    let get = |column: &qbench_schema::summary::Column| column.run.map(|get| (column.name, get));
    frame(rows, run_columns().into_iter().filter_map(get))
}

/// `summary.csv` as a frame.
pub fn of_cells(rows: &[SummaryRow]) -> Result<DataFrame> {
    let get = |column: &qbench_schema::summary::Column| column.cell.map(|get| (column.name, get));
    frame(rows, cell_columns().into_iter().filter_map(get))
}

/// `distribution.csv` as a frame.
pub fn of_distribution(rows: &[DistributionRow]) -> Result<DataFrame> {
    let columns: [Getter<DistributionRow>; 8] = [
        ("engine", |row| Value::from(&row.engine)),
        ("backend", |row| Value::from(&row.backend)),
        ("scenario", |row| Value::from(&row.scenario)),
        ("host", |row| Value::from(&row.host)),
        ("configuration_hash", |row| Value::from(&row.configuration_hash)),
        ("quantile", |row| Value::from(&row.quantile)),
        ("latency_ms", |row| Value::from(&row.latency_ms)),
        ("variant", |row| Value::from(&row.variant)),
    ];
    frame(rows, columns.into_iter())
}

/// `comparison.csv` as a frame.
pub fn of_comparison(rows: &[ComparisonRow]) -> Result<DataFrame> {
    let columns: [Getter<ComparisonRow>; 19] = [
        ("figure", |row| Value::from(&row.figure)),
        ("backend", |row| Value::from(&row.backend)),
        ("scenario", |row| Value::from(&row.scenario)),
        ("variant", |row| Value::from(&row.variant)),
        ("reference", |row| Value::from(&row.reference)),
        ("n", |row| Value::Count(row.n as u64)),
        ("paired", |row| Value::from(&row.paired)),
        ("ratio", |row| Value::from(&row.ratio)),
        ("low", |row| Value::from(&row.low)),
        ("high", |row| Value::from(&row.high)),
        ("p", |row| Value::from(&row.p)),
        ("p_smallest", |row| Value::from(&row.p_smallest)),
        ("verdict", |row| Value::Text(word(row.verdict))),
        ("reason", |row| Value::from(&row.reason)),
        ("p_adjusted", |row| Value::from(&row.p_adjusted)),
        ("detectable_ratio", |row| Value::from(&row.detectable_ratio)),
        ("value", |row| Value::from(&row.value)),
        ("reference_value", |row| Value::from(&row.reference_value)),
        ("same_within", |row| Value::from(&row.same_within)),
    ];
    frame(rows, columns.into_iter())
}

/// `round_trip.csv` as a frame.
pub fn of_round_trips(rows: &[RoundTripRow]) -> Result<DataFrame> {
    let columns: [Getter<RoundTripRow>; 10] = [
        ("scenario", |row| Value::from(&row.scenario)),
        ("backend", |row| Value::from(&row.backend)),
        ("name", |row| Value::from(&row.name)),
        ("figure", |row| Value::from(&row.figure)),
        ("blocks", |row| Value::Count(row.blocks as u64)),
        ("runs", |row| Value::Count(row.runs as u64)),
        ("ms_per_ms", |row| Value::from(&row.ms_per_ms)),
        ("low", |row| Value::from(&row.low)),
        ("high", |row| Value::from(&row.high)),
        ("at_zero_ms", |row| Value::from(&row.at_zero_ms)),
    ];
    frame(rows, columns.into_iter())
}

/// A column's name, and what it holds of a row.
type Getter<R> = (&'static str, fn(&R) -> Value);

fn frame<R>(rows: &[R], columns: impl Iterator<Item = Getter<R>>) -> Result<DataFrame> {
    let columns = columns.map(|(name, get)| column(name, rows.iter().map(get).collect())).collect();
    Ok(DataFrame::new(rows.len(), columns)?)
}

/// A column of values, which are all of one kind where they are not absent.
fn column(name: &str, values: Vec<Value>) -> Column {
    match values.iter().find(|value| **value != Value::Absent) {
        Some(Value::Text(_)) => {
            let texts = values.into_iter().map(|value| if let Value::Text(text) = value { Some(text) } else { None });
            Column::new(name.into(), texts.collect::<Vec<_>>())
        }
        Some(Value::Flag(_)) => {
            let flags = values.into_iter().map(|value| if let Value::Flag(flag) = value { Some(flag) } else { None });
            Column::new(name.into(), flags.collect::<Vec<_>>())
        }
        Some(Value::Count(_)) => {
            let counts =
                values.into_iter().map(|value| if let Value::Count(count) = value { Some(count) } else { None });
            Column::new(name.into(), counts.collect::<Vec<_>>())
        }
        Some(Value::Real(_) | Value::Absent) | None => {
            Column::new(name.into(), values.iter().map(Value::number).collect::<Vec<_>>())
        }
    }
}

/// A frame as CSV with a header.
pub fn to_csv(frame: &mut DataFrame) -> Result<Vec<u8>> {
    let mut csv = Vec::new();
    CsvWriter::new(&mut csv).finish(frame)?;
    Ok(csv)
}
