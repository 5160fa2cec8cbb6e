//! What the user sees of several hosts at once: a bar for each on a terminal, lines with the host's name elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use qbench_schema::progress::MatrixLine;

use super::remote::Event;

/// One row per host.
pub struct Board {
    rows: Vec<Row>,
    /// `None` where standard error is no terminal.
    all: Option<MultiProgress>,
}

struct Row {
    name: String,
    bar: Option<ProgressBar>,
}

impl Board {
    /// A row for each of `names` on standard error.
    pub fn on_stderr(names: &[&str]) -> Self {
        let all = std::io::stderr().is_terminal().then(MultiProgress::new);
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let row = |name: &&str| {
            let bar = all.as_ref().map(|all| {
                let bar = all.add(ProgressBar::new(1).with_style(style.clone()));
                bar.set_prefix(format!("{name:width$}"));
                bar.set_message("connecting");
                bar
            });
            Row { name: format!("{name:width$}"), bar }
        };
        Board { rows: names.iter().map(row).collect(), all }
    }

    /// Shows what happens on the host in row `row`.
    pub fn show(&self, row: usize, event: &Event) {
        let Some(of) = self.rows.get(row) else { return };
        match event {
            Event::Progress(line) => {
                if let Some(bar) = &of.bar {
                    bar.set_length(line.runs as u64);
                    bar.set_position(line.runs_done as u64);
                    bar.set_message(in_words(line));
                }
            }
            Event::Connected => match &of.bar {
                Some(bar) => bar.set_message("connected"),
                None => self.say(row, "connected"),
            },
            Event::Lost(problem) => {
                self.say(row, &format!("{problem}; its runs go on there, and it is tried again"));
                if let Some(bar) = &of.bar {
                    bar.set_message("no connection");
                }
            }
            Event::Line(text) if text.trim().is_empty() => {}
            Event::Line(text) | Event::Note(text) => self.say(row, text),
        }
    }

    /// A line about the host in row `row`.
    pub fn say(&self, row: usize, text: &str) {
        let Some(of) = self.rows.get(row) else { return };
        let line = format!("{} {text}", of.name);
        match &self.all {
            Some(all) => {
                let _ = all.println(line);
            }
            None => eprintln!("{line}"),
        }
    }

    /// Shows how many of a host's files are here.
    pub fn collected(&self, row: usize, files: usize, of: usize) {
        if let Some(bar) = self.rows.get(row).and_then(|row| row.bar.as_ref()) {
            bar.set_length(of as u64);
            bar.set_position(files as u64);
            bar.set_message("files collected");
        }
    }

    /// Leaves the terminal to others, as for a question; the bars come back with the next event.
    pub fn suspend<T>(&self, ask: impl FnOnce() -> T) -> T {
        match &self.all {
            Some(all) => all.suspend(ask),
            None => ask(),
        }
    }

    /// Takes the bars away.
    pub fn end(&self) {
        for bar in self.rows.iter().filter_map(|row| row.bar.as_ref()) {
            bar.finish_and_clear();
        }
    }
}

fn in_words(line: &MatrixLine) -> String {
    format!("runs, {}, about {} left", line.present, HumanDuration(Duration::from_secs_f64(line.left_s.max(0.0))))
}
