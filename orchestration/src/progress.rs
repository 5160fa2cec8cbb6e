//! What the user sees while a matrix runs: bars on a terminal, a line per start and end elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use qbench_schema::progress::ProgressLine;

use crate::plan::PlannedRun;

/// Where progress is shown.
pub struct Progress {
    output: Output,
    /// Runs to make, and how many have begun.
    runs: usize,
    begun: usize,
    /// Time that the runs which have not begun will take.
    ahead: Duration,
    present: Option<Present>,
}

enum Output {
    Bars { all: MultiProgress, overall: ProgressBar, run: ProgressBar },
    Lines(Box<dyn Write + Send>),
}

/// The run that is being made.
struct Present {
    name: String,
    began: Instant,
    estimate: Duration,
}

impl Progress {
    /// On standard error: bars when it is a terminal, lines when it is not.
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Progress::lines(Box::new(std::io::stderr()));
        }
        let all = MultiProgress::new();
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        let overall = all.add(ProgressBar::new(1).with_style(style("[{bar:40}] {pos}/{len} runs, {msg}")));
        let run = all.add(ProgressBar::new(1).with_style(style("[{bar:40}] {msg}")));
        Progress::new(Output::Bars { all, overall, run })
    }

    /// A line per start and end of a run, to any writer. A writer that fails is ignored: progress is not worth a matrix.
    pub fn lines(writer: Box<dyn Write + Send>) -> Self {
        Progress::new(Output::Lines(writer))
    }

    fn new(output: Output) -> Self {
        Progress { output, runs: 0, begun: 0, ahead: Duration::ZERO, present: None }
    }

    /// The matrix begins with `runs` to make, in about `estimate`.
    pub(crate) fn begin(&mut self, runs: usize, estimate: Duration) {
        (self.runs, self.begun, self.ahead) = (runs, 0, estimate);
        if let Output::Bars { overall, .. } = &self.output {
            overall.set_length(runs as u64);
        }
        self.show_remaining();
    }

    pub(crate) fn run_started(&mut self, planned: &PlannedRun) {
        self.begun += 1;
        self.ahead = self.ahead.saturating_sub(planned.cell.estimate);
        let name = match self.runs {
            // Nobody knows how many probes a search takes.
            0 => format!("[{}] {}", self.begun, planned.name),
            runs => format!("[{}/{runs}] {} block {}", self.begun, planned.name, planned.block),
        };
        match &mut self.output {
            Output::Bars { run, .. } => {
                run.set_position(0);
                run.set_message(name.clone());
            }
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{name}: started, about {}", HumanDuration(planned.cell.estimate));
            }
        }
        self.present = Some(Present { name, began: Instant::now(), estimate: planned.cell.estimate });
        self.show_remaining();
    }

    /// The run that has just ended is made once more.
    pub(crate) fn run_is_repeated(&mut self, planned: &PlannedRun) {
        self.begun -= 1;
        self.ahead += planned.cell.estimate;
    }

    /// The present run told how far it is.
    pub(crate) fn advanced(&mut self, line: &ProgressLine) {
        if let (Output::Bars { run, .. }, Some(present)) = (&self.output, &self.present) {
            // The bar counts milliseconds of the phase; a phase of unknown length shows its seconds only.
            let total_ms = (line.total_s.max(0.0) * 1000.0) as u64;
            run.set_length(total_ms.max(1));
            run.set_position(((line.done_s.max(0.0) * 1000.0) as u64).min(total_ms));
            let of = if total_ms > 0 { format!(" of {:.0}", line.total_s) } else { String::new() };
            let note = line.note.as_deref().map(|note| format!(", {note}")).unwrap_or_default();
            run.set_message(format!("{}: {} {:.0}{of} s{note}", present.name, line.phase, line.done_s));
        }
        self.show_remaining();
    }

    /// The present run said something that is not progress.
    pub(crate) fn said(&mut self, text: &str) {
        if let Output::Bars { all, .. } = &self.output {
            let _ = all.println(text);
        }
    }

    /// The present run ended; `how` is the end of a sentence.
    pub(crate) fn run_ended(&mut self, how: &str) {
        let Some(present) = self.present.take() else { return };
        let text = format!("{}: {how} after {}", present.name, HumanDuration(present.began.elapsed()));
        match &mut self.output {
            Output::Bars { all, overall, .. } => {
                overall.inc(1);
                let _ = all.println(text);
            }
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{text}");
            }
        }
        self.show_remaining();
    }

    /// Something about the matrix as a whole.
    pub(crate) fn notice(&mut self, text: &str) {
        match &mut self.output {
            Output::Bars { all, .. } => {
                let _ = all.println(text);
            }
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{text}");
            }
        }
    }

    pub(crate) fn end(&mut self) {
        if let Output::Bars { overall, run, .. } = &self.output {
            run.finish_and_clear();
            overall.finish_and_clear();
        }
    }

    fn show_remaining(&self) {
        if let Output::Bars { overall, .. } = &self.output {
            let present = self
                .present
                .as_ref()
                .map(|present| present.estimate.saturating_sub(present.began.elapsed()))
                .unwrap_or_default();
            overall.set_message(format!("about {} left", HumanDuration(self.ahead + present)));
        }
    }
}
