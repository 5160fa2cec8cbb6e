//! CSV files that are whole after every row, here or on the host that the rows are told to.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use qbench_schema::files::RunFiles;
use serde::{Deserialize, Serialize};

use super::notes::Notes;

/// A file of the monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsOf {
    /// The host and the roles.
    System,
    /// The server, about itself.
    Server,
}

/// Takes a piece of a file's text.
pub type Tell = Arc<dyn Fn(RowsOf, &str) + Send + Sync>;

/// Where the rows of the monitors go.
#[derive(Clone)]
pub enum RowsTo {
    /// Into the run's files. Their folder must exist.
    Files(RunFiles),
    /// To somebody else: a piece of the file's text at a time, which is whole rows, the header before the first of them.
    Told(Tell),
}

/// A CSV file of one record type. Every row is handed to the kernel in one write, so the rows so far parse even when
/// the harness is killed. A file that cannot be written becomes a note; rows are then dropped.
pub struct RowFile {
    /// For notes.
    name: String,
    writer: Option<csv::Writer<Box<dyn Write + Send>>>,
    notes: Notes,
}

/// Tells what is written.
struct Teller {
    of: RowsOf,
    tell: Tell,
}

impl Write for Teller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        (self.tell)(self.of, text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Longer than any row, so that a row is never written in two pieces.
const BUFFER_BYTES: usize = 64 * 1024;

impl RowFile {
    /// Creates (or empties) the file `of` the run. `product` is the word for the server's.
    pub(crate) fn create(to: &RowsTo, of: RowsOf, product: &str, notes: &Notes) -> Self {
        let (name, output): (String, io::Result<Box<dyn Write + Send>>) = match to {
            RowsTo::Files(files) => {
                let path = match of {
                    RowsOf::System => files.system(),
                    RowsOf::Server => files.server_stats(product),
                };
                (path.display().to_string(), File::create(&path).map(|file| Box::new(file) as Box<dyn Write + Send>))
            }
            RowsTo::Told(tell) => (format!("{of:?}"), Ok(Box::new(Teller { of, tell: Arc::clone(tell) }))),
        };
        let writer = match output {
            Ok(output) => Some(csv::WriterBuilder::new().buffer_capacity(BUFFER_BYTES).from_writer(output)),
            Err(error) => {
                notes.add("create a monitor's file", format!("{name}: {error}"));
                None
            }
        };
        RowFile { name, writer, notes: notes.clone() }
    }

    /// Appends `row`; the first one writes the header too.
    pub(crate) fn append(&mut self, row: &impl Serialize) {
        let Some(writer) = &mut self.writer else { return };
        let written = writer.serialize(row).and_then(|()| writer.flush().map_err(csv::Error::from));
        if let Err(error) = written {
            self.notes.add("write a monitor's file", format!("{}: {error}", self.name));
        }
    }
}

/// `value` with two digits after the point: more would be noise in a percentage made of 10 ms ticks.
pub(crate) fn two_digits(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
