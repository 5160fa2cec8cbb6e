//! What the user sees while a matrix runs: bars on a terminal, a line per start and end elsewhere, and for the agent of a host what it shows of
//! them far away.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use qbench_schema::progress::{MatrixLine, PROGRESS_JSON, PROGRESS_VARIABLE, ProgressLine};

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
    Bars {
        all: MultiProgress,
        overall: ProgressBar,
        run: ProgressBar,
    },
    Lines {
        writer: Box<dyn Write + Send>,
        /// When the last [`MatrixLine`] was written; `None` where nobody asked for them.
        told: Option<Instant>,
    },
}

/// How often a [`MatrixLine`] is written at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The run that is being made.
struct Present {
    name: String,
    began: Instant,
    estimate: Duration,
}

impl Progress {
    /// On standard error: bars when it is a terminal, lines when it is not. Where [`PROGRESS_VARIABLE`] asks for them, a [`MatrixLine`] a second is
    /// among the lines.
    pub fn on_stderr() -> Self {
        let is_asked = std::env::var_os(PROGRESS_VARIABLE).is_some_and(|value| value == PROGRESS_JSON);
        if is_asked || !std::io::stderr().is_terminal() {
            let told = is_asked.then(Instant::now);
            return Progress::new(Output::Lines { writer: Box::new(std::io::stderr()), told });
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
        Progress::new(Output::Lines { writer, told: None })
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
            Output::Lines { writer, .. } => {
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
        let Some(present) = &self.present else { return };
        let of = if line.total_s > 0.0 { format!(" of {:.0}", line.total_s) } else { String::new() };
        let note = line.note.as_deref().map(|note| format!(", {note}")).unwrap_or_default();
        let text = format!("{}: {} {:.0}{of} s{note}", present.name, line.phase, line.done_s);
        if let Output::Bars { run, .. } = &self.output {
            // The bar counts milliseconds of the phase; a phase of unknown length shows its seconds only.
            let total_ms = (line.total_s.max(0.0) * 1000.0) as u64;
            run.set_length(total_ms.max(1));
            run.set_position(((line.done_s.max(0.0) * 1000.0) as u64).min(total_ms));
            run.set_message(text.clone());
        }
        self.tell(text);
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
            Output::Lines { writer, .. } => {
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
            Output::Lines { writer, .. } => {
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

    /// For whoever asked for them, at most one a second.
    fn tell(&mut self, present: String) {
        let left_s = self.left().as_secs_f64();
        let Output::Lines { writer, told: Some(told) } = &mut self.output else { return };
        if told.elapsed() < TELL_EVERY {
            return;
        }
        *told = Instant::now();
        let line = MatrixLine { runs_done: self.begun.saturating_sub(1), runs: self.runs, left_s, present };
        if let Ok(line) = serde_json::to_string(&line) {
            let _ = writeln!(writer, "{line}");
        }
    }

    /// Time that everything will take from now on.
    fn left(&self) -> Duration {
        let present = |present: &Present| present.estimate.saturating_sub(present.began.elapsed());
        self.ahead + self.present.as_ref().map(present).unwrap_or_default()
    }

    fn show_remaining(&self) {
        if let Output::Bars { overall, .. } = &self.output {
            overall.set_message(format!("about {} left", HumanDuration(self.left())));
        }
    }
}
