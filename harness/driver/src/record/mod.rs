//! Keeps what workers report, off the hot path (METHODOLOGY M2, M3).
//!
//! A worker appends to a buffer of its own; full buffers travel to one writer thread, which fills the histograms and the
//! job file and sends the empty buffer back. Nothing is sampled and nothing is thrown away: a record that cannot be kept
//! is counted, and makes the run invalid.

pub(crate) mod account;
mod intervals;
mod latency_log;
mod timeline;
mod writer;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use qbench_schema::record::JobRecord;

pub use writer::{RecordFiles, Recording};

use crate::incidents::Incidents;
use crate::schedule::Schedule;

/// Records in one buffer: big enough that a hand-over is rare, small enough that twenty of them are nothing.
const BUFFER_RECORDS: usize = 512;

/// A buffer is handed over when it is full or when its oldest record is this old, so that files and progress stay current.
const BUFFER_AGE_US: u64 = 250_000;

/// Full buffers that may wait for the writer: half a million records, 45 MB. A disk that stalls for longer than that takes
/// means records that cannot be kept, not memory without end.
const BUFFERS_WAITING: usize = 1_024;

/// Buffers on their way back from the writer to whoever needs one next.
type SparePool = Arc<Mutex<Receiver<Vec<JobRecord>>>>;

/// The writer thread of one run.
pub struct Recorder {
    full: SyncSender<Vec<JobRecord>>,
    spare: SparePool,
    incidents: Arc<Incidents>,
    /// Whether a worker waits for the writer when that cannot follow. In a load on a schedule it must not: its lateness
    /// would be the recorder's. Flat out, what cannot be recorded is no achieved job.
    waits_for_writer: bool,
    writer: JoinHandle<Recording>,
}

impl Recorder {
    /// Starts the writer; measured records go to `files`. `clock_start` is the wall clock at the start of the run's clock.
    ///
    /// # Errors
    /// When a file cannot be created or the system gives no thread.
    pub fn start(
        files: RecordFiles<'_>,
        clock_start: SystemTime,
        schedule: Arc<Schedule>,
        workers: u32,
        incidents: Arc<Incidents>,
    ) -> std::io::Result<Recorder> {
        let (full, to_write) = sync_channel(BUFFERS_WAITING);
        let (give_back, spare) = channel();
        let waits_for_writer = schedule.measured().is_flat_out();
        let writer = writer::Writer::create(&files, clock_start, schedule, workers)?;
        let writer =
            std::thread::Builder::new().name("recorder".into()).spawn(move || writer.run(to_write, give_back))?;
        Ok(Recorder { full, spare: Arc::new(Mutex::new(spare)), incidents, waits_for_writer, writer })
    }

    /// A place for one worker's records.
    pub fn sink(&self) -> RecordSink {
        RecordSink {
            buffer: Vec::with_capacity(BUFFER_RECORDS),
            full: self.full.clone(),
            spare: Arc::clone(&self.spare),
            incidents: Arc::clone(&self.incidents),
            waits_for_writer: self.waits_for_writer,
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
    full: SyncSender<Vec<JobRecord>>,
    spare: SparePool,
    incidents: Arc<Incidents>,
    waits_for_writer: bool,
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
        let refused = match self.full.try_send(full) {
            Err(TrySendError::Full(full)) if self.waits_for_writer => self.full.send(full).err().map(|error| error.0),
            Err(TrySendError::Full(full) | TrySendError::Disconnected(full)) => Some(full),
            Ok(()) => None,
        };
        if let Some(records) = refused {
            let dropped = records.len() as u64;
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
