//! How far a run is, on standard error: a bar for people, JSON lines for the matrix, a few lines for a log.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qbench_schema::progress::{PROGRESS_JSON, PROGRESS_VARIABLE, ProgressLine};

use crate::run::Progress;
use qbench_ground::clock::RunPhase;

/// The right kind for where standard error goes.
pub fn on_stderr(title: &str) -> Box<dyn Progress> {
    if std::env::var(PROGRESS_VARIABLE).is_ok_and(|kind| kind == PROGRESS_JSON) {
        Box::new(JsonLines { last: None })
    } else if std::io::stderr().is_terminal() {
        Box::new(Bar::new(title))
    } else {
        Box::new(PlainLines { title: title.to_owned(), phase: None })
    }
}

/// One line that is drawn over and over.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} {spinner} {bar:30} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar { bar }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn step(&mut self, text: &str) {
        self.bar.set_length(1);
        self.bar.set_position(0);
        self.bar.set_message(text.to_owned());
    }

    fn load(&mut self, phase: RunPhase, done_s: f64, total_s: f64, backlog: u64) {
        self.bar.set_length((total_s * 10.0) as u64);
        self.bar.set_position((done_s * 10.0) as u64);
        self.bar.set_message(format!("{} {done_s:.0} of {total_s:.0} s, backlog {backlog}", phase.name()));
    }
}

/// A line per step and per phase.
struct PlainLines {
    title: String,
    phase: Option<RunPhase>,
}

impl Progress for PlainLines {
    fn step(&mut self, text: &str) {
        eprintln!("{}: {text}", self.title);
    }

    fn load(&mut self, phase: RunPhase, _done_s: f64, total_s: f64, _backlog: u64) {
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            eprintln!("{}: {}, at most {total_s:.0} s", self.title, phase.name());
        }
    }
}

/// For whoever started the run as a child and draws its progress; at most once a second within a phase.
struct JsonLines {
    last: Option<(RunPhase, u64)>,
}

impl JsonLines {
    fn say(phase: RunPhase, done_s: f64, total_s: f64, note: String) {
        let line = ProgressLine { phase: phase.name().to_owned(), done_s, total_s, note: Some(note) };
        if let Ok(text) = serde_json::to_string(&line) {
            eprintln!("{text}");
        }
    }
}

impl Progress for JsonLines {
    fn step(&mut self, text: &str) {
        Self::say(RunPhase::Setup, 0.0, 0.0, text.to_owned());
    }

    fn load(&mut self, phase: RunPhase, done_s: f64, total_s: f64, backlog: u64) {
        let now = (phase, done_s as u64);
        if self.last != Some(now) {
            self.last = Some(now);
            Self::say(phase, done_s, total_s, format!("backlog {backlog}"));
        }
    }
}
