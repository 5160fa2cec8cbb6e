//! A running adapter: requests and their answers, jobs that its library started, and what is known when it breaks.
//!
//! Three threads serve its streams, so that a pipe which is full or silent never holds up a thread of the driver. The first
//! trouble ends the adapter: what was asked and not answered is then of unknown outcome, and everything asked later fails at
//! once with the same sentence.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak, mpsc};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::child::{self, Child, Streams};
use super::manifest::Manifest;
use super::payloads::{Payloads, Peer};
use super::pipes::{LineTaker, command, conceal, keep_last_words, read_lines, write_lines};
use super::protocol::{Hello, Line, Numbered, Request, VERSION, Welcome};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Lease;
use crate::sync::lock;
use crate::url::ServerUrl;

/// How long an adapter may take to load its library and answer `hello`.
const HELLO_LIMIT: Duration = Duration::from_secs(30);

/// How much of a line is shown that is no message.
const SHOWN_CHARS: usize = 120;

/// What an adapter answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) jobs: Vec<Lease>,
    pub(super) stale: Vec<u32>,
    pub(super) result: Value,
}

/// Jobs that the library started and no worker took yet.
#[derive(Default)]
pub(super) struct Mailbox {
    pub(super) jobs: Mutex<VecDeque<Lease>>,
    pub(super) arrived: Notify,
}

/// A request on its way.
struct Pending {
    op: &'static str,
    answer: oneshot::Sender<Result<Answer>>,
}

/// A request that was sent.
pub(super) struct Question {
    op: &'static str,
    answered: oneshot::Receiver<Result<Answer>>,
}

#[derive(Default)]
struct State {
    pending: HashMap<u64, Pending>,
    mailboxes: HashMap<u32, Arc<Mailbox>>,
    last_id: u64,
    /// Why it answers nothing any more.
    gone: Option<String>,
}

/// A running adapter. Dropping it drops the sender of its lines; that ends the adapter's input, and the adapter with it.
pub(super) struct Process {
    id: &'static str,
    pub(super) child: Arc<Child>,
    outgoing: mpsc::Sender<String>,
    state: Arc<Mutex<State>>,
    payloads: Arc<Payloads>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    last_channel: AtomicU32,
    url: Option<ServerUrl>,
}

impl Process {
    /// Starts the adapter and greets it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is not installed, cannot be started or speaks another version; [`ErrorKind::Gone`] when
    /// it ended, printed something else or did not answer; what it says itself, for instance that there is no server.
    pub(super) async fn start(
        manifest: &'static Manifest,
        hello: Hello<'_>,
        url: Option<&ServerUrl>,
        payloads: &Arc<Payloads>,
    ) -> Result<(Arc<Self>, String)> {
        manifest.require_installed()?;
        let (child, streams) = child::spawn(command(manifest)).map_err(|error| {
            Error::config(format!("{} cannot be started: {}: {error}", manifest.id, manifest.command.join(" ")))
        })?;
        let (outgoing, lines) = mpsc::channel();
        let process = Arc::new(Process {
            id: manifest.id,
            child: Arc::new(child),
            outgoing,
            state: Arc::default(),
            payloads: Arc::clone(payloads),
            last_words: Arc::default(),
            last_channel: AtomicU32::new(0),
            url: url.cloned(),
        });
        process.serve(streams, lines)?;
        let hello = Request::Hello(hello);
        let answer = match process.ask(&hello, HELLO_LIMIT).await {
            // Nothing has happened yet that could be unknown.
            Err(error) if error.kind() == ErrorKind::Unknown => return Err(process.gone_error("hello")),
            answer => answer?,
        };
        let welcome: Welcome = process.read_result("hello", answer.result)?;
        if welcome.protocol != VERSION {
            let sentence = format!("it speaks protocol {}, and this qbench speaks {VERSION}", welcome.protocol);
            process.give_up(sentence.clone());
            return Err(Error::config(format!("{}: {sentence}", process.id)));
        }
        let peer: Weak<Process> = Arc::downgrade(&process);
        payloads.introduce(peer);
        let library = process.conceal(&welcome.library);
        Ok((process, library))
    }

    /// Starts the threads of its streams.
    fn serve(self: &Arc<Self>, streams: Streams, lines: mpsc::Receiver<String>) -> Result<()> {
        let Streams { input, output, errors } = streams;
        let thread = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let started = std::thread::Builder::new().name(format!("qbench-{name}")).spawn(body);
            started.map(drop).map_err(|error| Error::new(ErrorKind::Connect, self.id, error.to_string()))
        };
        let child = Arc::clone(&self.child);
        thread("adapter-in", Box::new(move || write_lines(input, &lines, &child)))?;
        let last_words = Arc::clone(&self.last_words);
        let url = self.url.clone();
        thread("adapter-err", Box::new(move || keep_last_words(errors, &last_words, url.as_ref())))?;
        let process = Arc::downgrade(self);
        thread("adapter-out", Box::new(move || read_lines(output, &process)))
    }

    /// A number for a channel.
    pub(super) fn new_channel(&self) -> u32 {
        self.last_channel.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where jobs that the library starts on `channel` arrive.
    pub(super) fn mailbox(&self, channel: u32) -> Arc<Mailbox> {
        Arc::clone(self.lock().mailboxes.entry(channel).or_default())
    }

    /// Lets go of what arrived on `channel`, and of what still may.
    pub(super) fn forget_mailbox(&self, channel: u32) {
        self.lock().mailboxes.remove(&channel);
    }

    /// Sends `request` and waits for its answer, at most `limit`: an adapter that takes longer is taken for hung and ended.
    ///
    /// # Errors
    /// What the adapter says; [`ErrorKind::Unknown`] when it broke before it answered; [`ErrorKind::Gone`] when it had
    /// broken before, and nothing was asked.
    pub(super) async fn ask(&self, request: &Request<'_>, limit: Duration) -> Result<Answer> {
        let mut question = self.send(request)?;
        self.answer(&mut question, limit, Instant::now() + limit).await
    }

    /// Sends `request`, to wait for its answer later.
    ///
    /// # Errors
    /// [`ErrorKind::Gone`] when the adapter had broken before.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Question> {
        let op = request.op();
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut state = self.lock();
            if state.gone.is_some() {
                drop(state);
                return Err(self.gone_error(op));
            }
            state.last_id += 1;
            let id = state.last_id;
            state.pending.insert(id, Pending { op, answer });
            id
        };
        let line = serde_json::to_string(&Numbered { id, request })
            .map_err(|error| Error::new(ErrorKind::Server, op, error.to_string()))?;
        let _ = self.outgoing.send(line);
        Ok(Question { op, answered })
    }

    /// Waits for the answer until `deadline`, which is `limit` after the question. Nothing is lost when the caller is.
    ///
    /// # Errors
    /// As [`Process::ask`].
    pub(super) async fn answer(&self, question: &mut Question, limit: Duration, deadline: Instant) -> Result<Answer> {
        let op = question.op;
        match timeout_at(deadline, &mut question.answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.unknown_error(op)),
            Err(_) => {
                self.give_up(format!("it did not answer `{op}` within {} s and was ended", limit.as_secs_f64()));
                Err(self.unknown_error(op))
            }
        }
    }

    /// Reads a control answer.
    ///
    /// # Errors
    /// [`ErrorKind::Gone`]: an adapter that answers something else is ended.
    pub(super) fn read_result<T: serde::de::DeserializeOwned>(&self, op: &str, result: Value) -> Result<T> {
        serde_json::from_value(result).map_err(|error| {
            let problem = self.conceal(&error.to_string());
            self.give_up(format!("its answer to `{op}` is none of the protocol: {problem}"));
            self.gone_error(op)
        })
    }

    /// Why nothing can be asked of it, for a request that was not sent.
    pub(super) fn gone_error(&self, op: &str) -> Error {
        Error::new(ErrorKind::Gone, self.context(op), self.why_gone())
    }

    fn unknown_error(&self, op: &str) -> Error {
        Error::new(ErrorKind::Unknown, self.context(op), self.why_gone())
    }

    fn context(&self, op: &str) -> String {
        format!("{} {op}", self.id)
    }

    fn why_gone(&self) -> String {
        let reason = self.lock().gone.clone().unwrap_or_else(|| "it has ended".to_owned());
        let words: Vec<String> = lock(&self.last_words).iter().cloned().collect();
        match words.is_empty() {
            true => format!("{reason}; it left no words on standard error"),
            false => format!("{reason}; its last words: {}", words.join(" / ")),
        }
    }

    /// Whether it still answers.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone.is_some()
    }

    /// `text` without the server's password, for words of the adapter that reach a file or the user.
    pub(super) fn conceal(&self, text: &str) -> String {
        conceal(self.url.as_ref(), text)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Peer for Process {
    fn untaken(&self) -> u64 {
        self.lock().mailboxes.values().map(|mailbox| lock(&mailbox.jobs).len() as u64).sum()
    }

    fn forget_untaken(&self) {
        self.lock().mailboxes.values().for_each(|mailbox| lock(&mailbox.jobs).clear());
    }

    fn tell(&self, notice: &Request<'_>) {
        if let Ok(line) = serde_json::to_string(notice) {
            let _ = self.outgoing.send(line);
        }
    }
}

impl LineTaker for Process {
    fn take_in(&self, text: &str) -> Result<(), String> {
        let rubbish = |problem: String| {
            // Concealed as a whole and cut then: a part of a password would not be recognised.
            let shown: String = self.conceal(text).chars().take(SHOWN_CHARS).collect();
            let problem = self.conceal(&problem);
            format!("it printed a line that is no message of the protocol ({problem}): `{shown}`")
        };
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| rubbish(error.to_string()))?;
        let jobs = (line.jobs.into_iter())
            .map(|delivery| self.payloads.lease(delivery))
            .collect::<Result<Vec<Lease>, String>>()
            .map_err(&rubbish)?;
        match (line.id, line.event.as_deref()) {
            (Some(id), None) => {
                let pending = self.lock().pending.remove(&id);
                let Pending { op, answer } = pending.ok_or_else(|| rubbish(format!("nothing was asked as {id}")))?;
                let _ = answer.send(match line.error {
                    Some(error) => Err(error.into_error(&self.context(op), |words| self.conceal(words))),
                    None => Ok(Answer { jobs, stale: line.stale, result: line.result }),
                });
                Ok(())
            }
            (None, Some("started")) => {
                let channel = line.channel.ok_or_else(|| rubbish("`started` without a channel".to_owned()))?;
                // On a channel that was closed meanwhile, nobody waits for them: the adapter takes them back.
                let mailbox = self.lock().mailboxes.get(&channel).cloned();
                if let Some(mailbox) = mailbox {
                    lock(&mailbox.jobs).extend(jobs);
                    mailbox.arrived.notify_one();
                }
                Ok(())
            }
            _ => Err(rubbish("neither an answer nor an event `started`".to_owned())),
        }
    }

    fn child(&self) -> &Child {
        &self.child
    }

    fn give_up(&self, reason: String) {
        let (pending, mailboxes) = {
            let mut state = self.lock();
            state.gone.get_or_insert(reason);
            (std::mem::take(&mut state.pending), state.mailboxes.values().cloned().collect::<Vec<_>>())
        };
        self.child.kill();
        for (_, Pending { op, answer }) in pending {
            let _ = answer.send(Err(self.unknown_error(op)));
        }
        mailboxes.iter().for_each(|mailbox| mailbox.arrived.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use qbench_schema::result::Durability;

    use super::super::pipes::KEPT_CHARS;
    use super::super::protocol::Consume;
    use super::*;
    use crate::external::manifest::samples::{GOOD, check};

    /// What is said of an adapter that runs `script`, with `line` in `$1`, when it is started.
    async fn said_of(url: &str, script: &str, line: &str) -> String {
        let mut manifest = check(&GOOD.replace("installed", "# ")).expect("a manifest");
        manifest.folder = std::env::temp_dir();
        manifest.command = ["sh", "-c", script, "sh", line].map(str::to_owned).to_vec();
        let hello = Hello {
            protocol: VERSION,
            url: Some(url),
            namespace: "n",
            durability: Durability::D0,
            consume: Consume::Pull,
            lease_ms: 1,
            wake: "poll",
            poll_ms: 1,
            workers: 1,
            timeout_ms: 1,
            options: std::collections::BTreeMap::new(),
        };
        let url = ServerUrl::new(url);
        let started = Process::start(Box::leak(Box::new(manifest)), hello, Some(&url), &Arc::default()).await;
        started.err().expect("it is no adapter").to_string()
    }

    #[tokio::test]
    async fn no_word_of_an_adapter_shows_the_password() {
        const URL: &str = "postgres://ann:sesame%40door@db/x";
        const ANSWER: &str = "read -r hello; printf '%s\\n' \"$1\"; sleep 9";
        const WORDS: &str = "read -r hello; printf '%s\\n' \"$1\" >&2; exit 3";
        // A cut falls amid the password.
        let (before_cut, before_words_cut) = ("x".repeat(SHOWN_CHARS - 5), "x".repeat(KEPT_CHARS - 3));
        for (script, line, shown) in [
            (ANSWER, format!("\"{URL}\""), "invalid type: string \\\"postgres://ann:***@db/x\\\""),
            (ANSWER, format!("{before_cut} sesame@door"), "x ***`"),
            (ANSWER, format!("{{\"id\":1,\"result\":\"{URL}\"}}"), "none of the protocol"),
            (ANSWER, "{\"id\":1,\"jobs\":[[1,\"sesame@door\",1,\"\"]]}".to_owned(), "`***` is no job number"),
            (
                ANSWER,
                "{\"id\":1,\"error\":{\"kind\":\"connect\",\"message\":\"sesame@door was refused\"}}".to_owned(),
                "*** was refused",
            ),
            (WORDS, "sesame%40door was refused".to_owned(), "last words: *** was refused"),
            (WORDS, format!("{before_words_cut}sesame@door"), "xxx***"),
        ] {
            let said = said_of(URL, script, &line).await;
            assert!(!said.contains("ses"), "{said}");
            assert!(said.contains(shown) || said.contains(&shown.replace('\\', "")), "`{said}` should show `{shown}`");
        }
    }
}
