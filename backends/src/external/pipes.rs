//! The three streams of an adapter, each served by a thread of its own, and how it is started.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::{Mutex, Weak, mpsc};
use std::time::Duration;

use super::child::Child;
use super::manifest::Manifest;
use crate::sync::lock;
use crate::url::ServerUrl;

/// Lines of its own words that are kept for an error, and how much of each.
const KEPT_LINES: usize = 6;
pub(super) const KEPT_CHARS: usize = 300;

/// Longest line that is read. No answer comes near it: a claim of 1,000 jobs of 48 KiB each.
const LINE_MAX_BYTES: u64 = 64 << 20;

/// How long it may take to end after the end of its input.
const END_LIMIT: Duration = Duration::from_secs(3);

/// What to run. The adapter sees the user's PATH and home, and nothing else of the environment: no PGHOST, no address.
pub(super) fn command(manifest: &Manifest) -> Command {
    let mut command = Command::new(&manifest.command[0]);
    command.args(&manifest.command[1..]).current_dir(&manifest.folder).env_clear().env("LC_ALL", "C.UTF-8");
    for key in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    if let Some(installed) = manifest.installed() {
        command.env("QBENCH_ADAPTER_INSTALLED", installed);
    }
    command
}

/// Writes what comes, several lines at once where they have piled up. When nobody can send any more, the adapter's input
/// ends, and it has a moment to end with it.
pub(super) fn write_lines(mut input: ChildStdin, lines: &mpsc::Receiver<String>, child: &Child) {
    let mut buffer = String::new();
    while let Ok(line) = lines.recv() {
        buffer.clear();
        for line in std::iter::once(line).chain(lines.try_iter()) {
            buffer.push_str(&line);
            buffer.push('\n');
        }
        if input.write_all(buffer.as_bytes()).is_err() {
            // It has ended, which the reader of its output notices.
            return;
        }
    }
    drop(input);
    if child.wait(END_LIMIT).is_none() {
        child.kill();
    }
}

/// Keeps the end of what it says on standard error.
pub(super) fn keep_last_words(errors: ChildStderr, last_words: &Mutex<VecDeque<String>>, url: Option<&ServerUrl>) {
    let mut reader = BufReader::new(errors);
    let mut line = Vec::new();
    // Whether the line that comes is the rest of an overlong one, which is not shown anyway.
    let mut amid = false;
    while (&mut reader).take(1 << 16).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Concealed as a whole and cut then: a part of a password would not be recognised.
        let said = conceal(url, &String::from_utf8_lossy(&line));
        let text: String = said.trim().chars().take(KEPT_CHARS).collect();
        let begins = !std::mem::replace(&mut amid, line.last() != Some(&b'\n'));
        line.clear();
        if begins && !text.is_empty() {
            let mut kept = lock(last_words);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(text);
        }
    }
}

/// Who takes the lines that an adapter prints.
pub(super) trait LineTaker {
    /// Takes one line.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence; nothing is read after that.
    fn take_in(&self, line: &str) -> Result<(), String>;

    /// The adapter as a process of the system.
    fn child(&self) -> &Child;

    /// Says for good why nothing comes any more.
    fn give_up(&self, reason: String);
}

/// Reads answers and events until the adapter's output ends or is none of the protocol.
pub(super) fn read_lines(output: ChildStdout, taker: &Weak<impl LineTaker>) {
    let mut reader = BufReader::with_capacity(1 << 16, output);
    let mut line = Vec::new();
    let reason = loop {
        line.clear();
        let read = (&mut reader).take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
        let Some(taker) = taker.upgrade() else { return };
        let taken = match read {
            Err(error) => Err(format!("its output cannot be read: {error}")),
            Ok(0) => break "it closed its output".to_owned(),
            Ok(_) if line.last() != Some(&b'\n') => {
                Err("its output ended amid a line, or a line has no end".to_owned())
            }
            Ok(_) => match std::str::from_utf8(&line) {
                Ok(text) => taker.take_in(text.trim_end()),
                Err(_) => Err("it printed a line that is no text".to_owned()),
            },
        };
        if let Err(reason) = taken {
            break reason;
        }
    };
    let Some(taker) = taker.upgrade() else { return };
    // One that is ending says more by how it ended; its last words are still being read.
    let ended = taker.child().wait(Duration::from_millis(300));
    std::thread::sleep(Duration::from_millis(50));
    taker.give_up(match ended {
        Some(status) => format!("{reason}: it ended by itself ({status})"),
        None => reason,
    });
}

/// `text` without the password of `url`.
pub(super) fn conceal(url: Option<&ServerUrl>, text: &str) -> String {
    url.map_or_else(|| text.to_owned(), |url| url.conceal_in(text))
}
