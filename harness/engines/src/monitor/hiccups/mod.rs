//! The machine's own hiccups (METHODOLOGY M7): how late it wakes up somebody who sleeps and does nothing else.
//!
//! Two meters, after Gil Tene's jHiccup. One is a thread of the harness. The other is a process of its own with a thread on each
//! core, because a hypervisor stops one core at a time: on a shared host six of seven pauses that a thread on one core saw were
//! not seen on the other one. The thread of the harness shares a core with one of the process's. Where both are late the
//! machine was; where only the harness's is, the harness was stopped.

mod meter;
pub mod process;
mod series;

use std::sync::Arc;

use qbench_ground::clock::monotonic_ns;
use serde::{Deserialize, Serialize};

use crate::helper::HelperProgram;

pub use series::{Pause, Report};

use meter::{Meter, cores};
use process::MeterProcess;
use series::{Control, Series};

/// What both meters saw in the measured phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hiccups {
    /// The process of its own, which shares nothing with the harness but the machine. `None` where it did not run, which a note says.
    pub host: Option<Report>,
    /// The thread of the harness.
    pub harness: Option<Report>,
    /// Why one of them is missing, a sentence each.
    pub notes: Vec<String>,
}

/// Both meters at work. Dropping them ends them.
pub struct HiccupMeters {
    control: Arc<Control>,
    inner: Option<Meter>,
    process: Option<MeterProcess>,
    notes: Vec<String>,
}

impl HiccupMeters {
    /// Starts both; what does not start becomes a note. Takes some hundredths of a second. `None` for `program` is a harness that
    /// has no program to be the process.
    pub fn start(program: Option<HelperProgram>) -> Self {
        let mut notes = Vec::new();
        let control = Arc::new(Control::default());
        let inner = Meter::start(&control, cores().into_iter().next(), 0)
            .map_err(|error| notes.push(format!("the harness's own hiccups are not known: {error}")))
            .ok();
        let process = program.and_then(|program| {
            MeterProcess::start(program).map_err(|reason| notes.push(without_process(&reason))).ok()
        });
        HiccupMeters { control, inner, process, notes }
    }

    /// The process, where it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(MeterProcess::pid)
    }

    /// What the harness's own meter costs.
    pub(crate) fn inner(&self) -> InnerMeter {
        InnerMeter(Arc::clone(&self.control))
    }

    /// The measured phase begins now.
    pub fn begin(&self) {
        if let Some(now_ns) = monotonic_ns() {
            self.control.begin(now_ns);
            self.process.iter().for_each(|process| process.begin(now_ns));
        }
    }

    /// The measured phase ends now.
    pub fn end(&self) {
        if let Some(now_ns) = monotonic_ns() {
            self.control.end(now_ns);
            self.process.iter().for_each(|process| process.end(now_ns));
        }
    }

    /// Ends both. What they saw between [`HiccupMeters::begin`] and [`HiccupMeters::end`], and the latest wake-up of each second after that, too.
    pub fn finish(mut self) -> Hiccups {
        let series = self.inner.take().and_then(Meter::finish);
        let harness = series.map(|series| Series::report(vec![series])).filter(|report| report.ticks > 0);
        let mut notes = std::mem::take(&mut self.notes);
        let host = self
            .process
            .take()
            .and_then(|process| process.finish().map_err(|reason| notes.push(without_process(&reason))).ok());
        Hiccups { host: host.filter(|report| report.ticks > 0), harness, notes }
    }
}

fn without_process(reason: &str) -> String {
    format!(
        "the host's own hiccups are not known, and a pause of the harness cannot be told from one of the host: the meter that is \
         a process of its own gives no figures: {reason}"
    )
}

/// What the harness's own meter has used so far, which no job has caused.
#[derive(Clone)]
pub(crate) struct InnerMeter(Arc<Control>);

impl InnerMeter {
    /// Context switches: a thousand a second.
    pub(crate) fn switches(&self) -> u64 {
        self.0.wake_ups()
    }

    /// CPU time in nanoseconds, as of its latest wake-up.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.0.cpu_ns()
    }
}
