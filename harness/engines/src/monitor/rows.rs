//! CSV files that are whole after every row.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::notes::Notes;

/// A CSV file of one record type. Every row is handed to the kernel in one write, so the rows so far parse even when
/// the harness is killed. A file that cannot be written becomes a note; rows are then dropped.
pub struct RowFile {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
    notes: Notes,
}

/// Longer than any row, so that a row is never written in two pieces.
const BUFFER_BYTES: usize = 64 * 1024;

impl RowFile {
    /// Creates (or empties) the file at `path`.
    pub(crate) fn create(path: &Path, notes: &Notes) -> Self {
        let writer = match File::create(path) {
            Ok(file) => Some(csv::WriterBuilder::new().buffer_capacity(BUFFER_BYTES).from_writer(file)),
            Err(error) => {
                notes.add("create a monitor's file", format!("{}: {error}", path.display()));
                None
            }
        };
        RowFile { path: path.to_path_buf(), writer, notes: notes.clone() }
    }

    /// Appends `row`; the first one writes the header too.
    pub(crate) fn append(&mut self, row: &impl Serialize) {
        let Some(writer) = &mut self.writer else { return };
        let written = writer.serialize(row).and_then(|()| writer.flush().map_err(csv::Error::from));
        if let Err(error) = written {
            self.notes.add("write a monitor's file", format!("{}: {error}", self.path.display()));
        }
    }
}

/// `value` with two digits after the point: more would be noise in a percentage made of 10 ms ticks.
pub(crate) fn two_digits(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
