//! The channel to an observer: the process that leads there, and a thread for each way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::protocol::{Ask, PROTOCOL, Say};
use super::{ALIVE_INTERVAL, SILENCE_LIMIT};
use crate::monitor::RowsOf;
use crate::services::private_server::how_it_ended;

/// Longest wait for an observer to end what it started.
pub(super) const END_LIMIT: Duration = Duration::from_secs(30);
/// Time between two looks whether it has ended.
const END_CHECK: Duration = Duration::from_millis(10);
/// Longest wait for the last words of a channel that broke.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);
/// Lines of what the channel says beside the observer that an error shows.
const SAID_LINES: usize = 5;

/// An open channel. Dropping it ends the observer, and all that it started.
pub(super) struct Channel {
    asks: Mutex<Option<Sender<Ask>>>,
    answers: tokio::sync::Mutex<UnboundedReceiver<Say>>,
    line: Arc<Line>,
    child: Arc<Mutex<Child>>,
    /// How long its end may take when this is dropped.
    end_limit: Duration,
}

/// What the threads of the channel know.
struct Line {
    /// Why it is gone.
    lost: OnceLock<String>,
    heard: Mutex<Instant>,
    /// The last lines that somebody on the way said.
    said: Mutex<VecDeque<String>>,
    rows: Mutex<Option<RowFiles>>,
}

/// The files that rows of the observer's monitors go to.
pub(super) struct RowFiles {
    /// Of its host and the roles.
    pub(super) system: File,
    /// Of the server.
    pub(super) server: File,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Channel {
    /// Starts `command`.
    ///
    /// # Errors
    /// Why it does not start.
    pub(super) fn open(mut command: Command) -> Result<Self, String> {
        // What is sent from a terminal reaches the harness alone, which ends the observer in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let line = Arc::new(Line {
            lost: OnceLock::new(),
            heard: Mutex::new(Instant::now()),
            said: Mutex::default(),
            rows: Mutex::default(),
        });
        let child = Arc::new(Mutex::new(child));
        let (ask, asked) = mpsc::channel();
        let (tell, answers) = unbounded_channel();
        if let Some(input) = input {
            thread::spawn(move || write_asks(input, &asked));
        }
        let overheard = errors.map(|errors| overhear(errors, Arc::clone(&line)));
        if let Some(output) = output {
            let (line, child) = (Arc::clone(&line), Arc::clone(&child));
            thread::spawn(move || {
                let why = read_answers(output, &line, &tell);
                // What was said on the way mostly says why.
                if let Some(ended) = &overheard {
                    let _ = ended.recv_timeout(LAST_WORDS_LIMIT);
                }
                let _ = line.lost.set(line.last_words(&why, status_of(&child)));
                // First now, so that whoever waits for an answer finds the reason.
                drop(tell);
            });
        }
        Ok(Channel {
            asks: Mutex::new(Some(ask)),
            answers: tokio::sync::Mutex::new(answers),
            line,
            child,
            end_limit: Duration::ZERO,
        })
    }

    /// There is an observer at its other end, which will take its time to end what it started.
    pub(super) fn be_patient(&mut self) {
        self.end_limit = END_LIMIT;
    }

    /// Why it is gone, where it is.
    pub(super) fn lost(&self) -> Option<String> {
        let silent = lock(&self.line.heard).elapsed();
        self.line.lost.get().cloned().or_else(|| {
            (silent > SILENCE_LIMIT).then(|| format!("nothing was heard from it for {} s", silent.as_secs()))
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the observer said against it, or why there is no answer.
    pub(super) async fn ask(&self, ask: Ask, limit: Duration) -> Result<Say, String> {
        self.tell(ask);
        self.hear(limit).await
    }

    /// Says what needs no answer. Does not block.
    pub(super) fn tell(&self, ask: Ask) {
        if let Some(asks) = &*lock(&self.asks) {
            // An observer that has gone is noticed by its silence.
            let _ = asks.send(ask);
        }
    }

    /// Waits for the next thing that is said beside rows and signs of life.
    ///
    /// # Errors
    /// What the observer said against what it was asked, or why nothing comes.
    pub(super) async fn hear(&self, limit: Duration) -> Result<Say, String> {
        match tokio::time::timeout(limit, self.answers.lock().await.recv()).await {
            Ok(Some(Say::Refused { reason })) => Err(reason),
            Ok(Some(said)) => Ok(said),
            Ok(None) => Err(self.lost().unwrap_or_else(|| "it has ended".to_owned())),
            Err(_) => Err(self.lost().unwrap_or_else(|| format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// Rows go to these files from now on; to none, where there are none.
    pub(super) fn send_rows_to(&self, files: Option<RowFiles>) {
        *lock(&self.line.rows) = files;
    }

    /// Nothing more is asked, and the observer is waited for.
    pub(super) async fn close(&self) {
        drop(lock(&self.asks).take());
        let deadline = Instant::now() + END_LIMIT;
        while !self.has_ended() && Instant::now() < deadline {
            tokio::time::sleep(END_CHECK).await;
        }
    }

    fn has_ended(&self) -> bool {
        !matches!(lock(&self.child).try_wait(), Ok(None))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // The end of its input is the end of it and of all that it started.
        drop(lock(&self.asks).take());
        let deadline = Instant::now() + self.end_limit;
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(END_CHECK);
        }
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// How a command ended whose output has ended, where it does so soon.
fn status_of(child: &Mutex<Child>) -> Option<ExitStatus> {
    let deadline = Instant::now() + LAST_WORDS_LIMIT;
    loop {
        let status = lock(child).try_wait().ok().flatten();
        if status.is_some() || Instant::now() >= deadline {
            return status;
        }
        thread::sleep(END_CHECK);
    }
}

/// Says what is asked, and now and then that we are still there. Ends, and with it the observer's input, when nothing more can be asked.
fn write_asks(mut input: ChildStdin, asked: &mpsc::Receiver<Ask>) {
    loop {
        let ask = match asked.recv_timeout(ALIVE_INTERVAL) {
            Ok(ask) => ask,
            Err(RecvTimeoutError::Timeout) => Ask::Alive,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Ok(mut line) = serde_json::to_string(&ask) else { continue };
        line.push('\n');
        if input.write_all(line.as_bytes()).and_then(|()| input.flush()).is_err() {
            return;
        }
    }
}

/// Reads what the observer says to its end; why it ended.
fn read_answers(output: impl Read, line: &Line, tell: &UnboundedSender<Say>) -> String {
    let (mut is_known, mut has_stopped) = (false, false);
    for text in BufReader::new(output).lines() {
        let Ok(text) = text else { return "what it says is no text".to_owned() };
        let said = match serde_json::from_str(&text) {
            Ok(said) => said,
            Err(_) if !is_known => {
                if let Some(version) = other_version(&text) {
                    return format!(
                        "it speaks version {version}, and this program version {PROTOCOL}: put the same qbench on both hosts"
                    );
                }
                // Shells greet, and not every one of them keeps quiet where nobody listens.
                line.overheard(&text);
                continue;
            }
            // Not shown: it may hold a password.
            Err(_) => return "it said what is no word of an observer".to_owned(),
        };
        is_known = true;
        *lock(&line.heard) = Instant::now();
        match said {
            Say::Alive => {}
            Say::Rows { of, text } => line.keep(of, &text),
            said => {
                has_stopped |= matches!(said, Say::Stopped { .. });
                if tell.send(said).is_err() {
                    return "nobody waits for it any more".to_owned();
                }
            }
        }
    }
    match has_stopped {
        true => "it was stopped".to_owned(),
        false => "it ended".to_owned(),
    }
}

/// The version of a greeting whose other words are not known here.
fn other_version(text: &str) -> Option<u64> {
    let said: serde_json::Value = serde_json::from_str(text).ok()?;
    said.get("protocol").filter(|_| said["say"] == "hello")?.as_u64()
}

/// Keeps the last lines of what is said on the way beside the observer; tells when there are no more.
fn overhear(errors: impl Read + Send + 'static, line: Arc<Line>) -> mpsc::Receiver<()> {
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        for text in BufReader::new(errors).lines().map_while(Result::ok) {
            line.overheard(&text);
        }
        let _ = end.send(());
    });
    ended
}

impl Line {
    fn overheard(&self, text: &str) {
        let mut said = lock(&self.said);
        said.push_back(text.trim().to_owned());
        while said.len() > SAID_LINES {
            said.pop_front();
        }
    }

    fn last_words(&self, why: &str, status: Option<ExitStatus>) -> String {
        let how =
            status.filter(|status| !status.success()).map(|status| format!(", the command {}", how_it_ended(status)));
        let said: Vec<String> = lock(&self.said).iter().filter(|line| !line.is_empty()).cloned().collect();
        let said = if said.is_empty() { String::new() } else { format!("; last words: {}", said.join(" / ")) };
        format!("{why}{}{said}", how.unwrap_or_default())
    }

    fn keep(&self, of: RowsOf, text: &str) {
        let mut rows = lock(&self.rows);
        let Some(rows) = &mut *rows else { return };
        let file = match of {
            RowsOf::System => &mut rows.system,
            RowsOf::Server => &mut rows.server,
        };
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::warn!("rows of the server's host cannot be written: {error}");
        }
    }
}
