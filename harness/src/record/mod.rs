//! Keeps what workers report, off the hot path (METHODOLOGY M2, M3).
//!
//! A worker appends to a buffer of its own; full buffers travel to one writer thread, which fills the histograms and the
//! job file and sends the empty buffer back. Nothing is sampled and nothing is thrown away: a record that cannot be kept
//! is counted, and makes the run invalid.

mod histograms;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use qbench_schema::record::JobRecord;

pub use histograms::StageHistograms;
pub use writer::Recording;

use crate::driver::incidents::Incidents;

/// Records in one buffer: big enough that a hand-over is rare, small enough that twenty of them are nothing.
const BUFFER_RECORDS: usize = 512;

/// A buffer is handed over when it is full or when its oldest record is this old, so that files and progress stay current.
const BUFFER_AGE_US: u64 = 250_000;

/// Buffers on their way back from the writer to whoever needs one next.
type SparePool = Arc<Mutex<Receiver<Vec<JobRecord>>>>;

/// The writer thread of one run.
pub struct Recorder {
    full: Sender<Vec<JobRecord>>,
    spare: SparePool,
    incidents: Arc<Incidents>,
    writer: JoinHandle<Recording>,
}

impl Recorder {
    /// Starts the writer; measured records go to `metrics` as JSON lines, or nowhere without it.
    ///
    /// # Errors
    /// When the file cannot be created or the system gives no thread.
    pub fn start(metrics: Option<&Path>, workers: u32, incidents: Arc<Incidents>) -> std::io::Result<Recorder> {
        let (full, to_write) = channel();
        let (give_back, spare) = channel();
        let writer = writer::Writer::create(metrics, workers)?;
        let writer =
            std::thread::Builder::new().name("recorder".into()).spawn(move || writer.run(to_write, give_back))?;
        Ok(Recorder { full, spare: Arc::new(Mutex::new(spare)), incidents, writer })
    }

    /// A place for one worker's records.
    pub fn sink(&self) -> RecordSink {
        RecordSink {
            buffer: Vec::with_capacity(BUFFER_RECORDS),
            full: self.full.clone(),
            spare: Arc::clone(&self.spare),
            incidents: Arc::clone(&self.incidents),
        }
    }

    /// Ends the writer once every sink is gone and returns what it kept.
    pub fn finish(self) -> Recording {
        drop(self.full);
        self.writer.join().unwrap_or_else(|_| Recording::broken("the recording thread panicked"))
    }
}

/// One worker's way to the writer.
pub struct RecordSink {
    buffer: Vec<JobRecord>,
    full: Sender<Vec<JobRecord>>,
    spare: SparePool,
    incidents: Arc<Incidents>,
}

impl RecordSink {
    /// Keeps `record`. Allocates only while the pool of buffers grows to its working size.
    pub fn push(&mut self, record: JobRecord) {
        self.buffer.push(record);
        let age_us = record.acked_us.saturating_sub(self.buffer[0].acked_us);
        if self.buffer.len() == BUFFER_RECORDS || age_us >= BUFFER_AGE_US {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).try_recv();
        let empty = spare.unwrap_or_else(|_| Vec::with_capacity(BUFFER_RECORDS));
        let full = std::mem::replace(&mut self.buffer, empty);
        if let Err(refused) = self.full.send(full) {
            let dropped = refused.0.len() as u64;
            self.incidents.dropped_records.fetch_add(dropped, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

impl Drop for RecordSink {
    fn drop(&mut self) {
        if !self.buffer.is_empty() {
            self.hand_over();
        }
    }
}
