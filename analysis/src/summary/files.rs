//! Rows written as JSON; the tables of an analysis read again.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use qbench_schema::comparison::ComparisonRow;
use qbench_schema::summary::{DistributionRow, RunRow, SummaryRow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Rows as `summary.json` and `answers.json` have them.
///
/// # Errors
/// [`Error::Json`] when a row cannot be serialised.
pub fn to_json<T: Serialize>(rows: &[T]) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(rows)?;
    json.push(b'\n');
    Ok(json)
}

/// Reads a `summary.csv`.
///
/// # Errors
/// [`Error::Input`] when it cannot be read, lacks a column, or has no rows.
pub fn read_cells(path: &Path) -> Result<Vec<SummaryRow>> {
    let content = fs::read(path).map_err(|error| Error::Input {
        path: path.to_path_buf(),
        reason: match error.kind() {
            ErrorKind::NotFound => "there is no such file; `qbench analyze` writes it".to_owned(),
            _ => error.to_string(),
        },
    })?;
    let cells: Vec<SummaryRow> = parse(path, &content)?;
    if cells.is_empty() {
        return Err(Error::Input {
            path: path.to_path_buf(),
            reason: "it has no rows; run `qbench analyze` on folders with results".to_owned(),
        });
    }
    Ok(cells)
}

/// Reads a `distribution.csv`; `None` when there is none.
///
/// # Errors
/// [`Error::Input`] when it is there and cannot be read or lacks a column.
pub fn read_distribution(path: &Path) -> Result<Option<Vec<DistributionRow>>> {
    optional(path)?.map(|content| parse(path, &content)).transpose()
}

/// Reads a `runs.csv`; no rows when there is none, and when it is of an older version.
///
/// # Errors
/// [`Error::Input`] when it is there and cannot be read.
pub fn read_runs(path: &Path) -> Result<Vec<RunRow>> {
    Ok(optional(path)?.and_then(|content| parse(path, &content).ok()).unwrap_or_default())
}

/// Reads a `comparison.csv`; no rows when there is none.
///
/// # Errors
/// [`Error::Input`] when it is there and cannot be read or lacks a column.
pub fn read_comparison(path: &Path) -> Result<Vec<ComparisonRow>> {
    optional(path)?.map_or_else(|| Ok(Vec::new()), |content| parse(path, &content))
}

/// What a file has; `None` when there is none.
fn optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Input { path: path.to_path_buf(), reason: error.to_string() }),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, content: &[u8]) -> Result<Vec<T>> {
    csv::Reader::from_reader(content).into_deserialize().collect::<Result<_, _>>().map_err(|error| Error::Input {
        path: path.to_path_buf(),
        reason: format!("it is not what `qbench analyze` writes ({error}); analyze the results again"),
    })
}
