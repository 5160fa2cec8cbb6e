//! One host's part of a matrix from start to end, however often the connection breaks.

use std::path::Path;
use std::time::{Duration, Instant};

use qbench_schema::progress::MatrixLine;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;

use super::agent::{AGENT_COMMAND, Hello, State, Told};
use super::connection::Connection;
use super::error::{Error, Result};
use super::parts::{Part, remote_dir};

/// What the user wants of runs that are being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// They go on, and are followed.
    Follow,
    /// They end, as after Ctrl-C.
    Stop,
    /// They go on, and nobody follows them.
    Leave,
}

/// What happens on a host.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It answers.
    Connected,
    /// The connection broke; it is tried again.
    Lost(String),
    /// The matrix said something.
    Line(String),
    /// How far the matrix has come.
    Progress(MatrixLine),
    /// Something about the host as a whole.
    Note(String),
}

/// A part that is to be made.
pub struct Remote<'a> {
    /// What, and where.
    pub part: &'a Part,
    /// Configuration of ssh, where it is not the user's own.
    pub ssh_config: Option<&'a Path>,
    /// Name of the matrix there.
    pub key: &'a str,
    /// This program.
    pub ours: &'a Hello,
    /// Whether it goes on where it has ended before.
    pub again: bool,
    /// How long a host may be out of reach before it is given up. Its runs go on there, if it is up.
    pub patience: Duration,
}

/// How long nothing may be heard from a host that is followed: several of its beats.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// First wait before a connection is tried again, and the longest one.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// How often a matrix is started again that is gone. One that is gone again at once is not gone by accident.
const RESTARTS_MAX: u32 = 3;

/// How far we are with a host.
struct Place {
    started: bool,
    /// Where the next line of the log begins.
    next: u64,
    restarts: u32,
}

impl Remote<'_> {
    /// Starts it, or finds it again, and follows it to its end.
    ///
    /// # Errors
    /// [`Error::Host`] where the host refuses; [`Error::Lost`] where it was out of reach for longer than [`Remote::patience`].
    pub async fn carry_out(&self, wish: &mut watch::Receiver<Wish>, tell: &mut dyn FnMut(Event)) -> Result<State> {
        let mut place = Place { started: false, next: 0, restarts: 0 };
        let mut out_of_reach: Option<Instant> = None;
        let mut wait = RETRY_AFTER.0;
        loop {
            let before = place.next;
            let error = match self.attempt(&mut place, wish, tell).await {
                Ok(state) => return Ok(state),
                Err(error @ Error::Lost { .. }) => error,
                Err(error) => return Err(error),
            };
            if place.next > before {
                (out_of_reach, wait) = (None, RETRY_AFTER.0);
            }
            let since = *out_of_reach.get_or_insert_with(Instant::now);
            if *wish.borrow() == Wish::Leave {
                return Ok(State::Running);
            }
            // The first connection tells whether there is a host at all: somebody who mistyped its name does not wait for it.
            if !place.started || since.elapsed() > self.patience {
                return Err(error);
            }
            tell(Event::Lost(error.to_string()));
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(RETRY_AFTER.1);
        }
    }

    /// One connection's worth of it.
    async fn attempt(
        &self,
        place: &mut Place,
        wish: &mut watch::Receiver<Wish>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<State> {
        let host = &self.part.host;
        let connection = Connection::open(host, self.ssh_config).await?;
        if let Some(problem) = self.ours.refuses(Hello::ask(host, &connection).await?.as_ref()) {
            return Err(connection.refused(problem));
        }
        tell(Event::Connected);
        loop {
            if !place.started {
                self.start(&connection, self.again && place.restarts == 0).await?;
                place.started = true;
            }
            match self.follow(&connection, place, wish, tell).await? {
                State::Vanished if *wish.borrow() == Wish::Follow && place.restarts < RESTARTS_MAX => {
                    place.restarts += 1;
                    place.started = false;
                    tell(Event::Note(
                        "its matrix is gone: the host went down, or somebody killed it; it goes on now".to_owned(),
                    ));
                }
                State::Vanished => {
                    return Err(connection.refused(
                        "its matrix is gone, without a word how it ended; the same command with --resume goes on"
                            .to_owned(),
                    ));
                }
                state => return Ok(state),
            }
        }
    }

    async fn start(&self, connection: &Connection, again: bool) -> Result<State> {
        let request = serde_json::to_vec(&self.part.request)
            .map_err(|error| connection.refused(format!("its part cannot be written down: {error}")))?;
        let dir = remote_dir(&self.part.host, self.key);
        let mut arguments = vec![AGENT_COMMAND, "start", "--dir", &dir];
        if again {
            arguments.push("--again");
        }
        let program = self.part.host.program();
        let answer = connection.ask("its part cannot be started", &program, &arguments, &request).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| connection.refused(format!("its agent gave no answer that can be read: {error}")))
    }

    /// Tells what the matrix says until it no longer runs, or nobody wants to know.
    async fn follow(
        &self,
        connection: &Connection,
        place: &mut Place,
        wish: &mut watch::Receiver<Wish>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<State> {
        let (dir, program, from) =
            (remote_dir(&self.part.host, self.key), self.part.host.program(), place.next.to_string());
        let mut child = connection.spawn(&program, &[AGENT_COMMAND, "follow", "--dir", &dir, "--from", &from]).await?;
        let silent = || Error::Lost { host: self.part.host.name.clone(), problem: "it has gone silent".to_owned() };
        let stdout = child.stdout().take().ok_or_else(silent)?;
        let mut lines = BufReader::new(stdout).lines();
        // What was wished before this connection was made was perhaps never passed on.
        wish.mark_changed();
        loop {
            tokio::select! {
                line = tokio::time::timeout(SILENCE_LIMIT, lines.next_line()) => {
                    let Ok(Ok(Some(line))) = line else {
                        connection.check().await?;
                        return Err(silent());
                    };
                    match serde_json::from_str(&line) {
                        Ok(Told::Line { text, next }) => {
                            place.next = next;
                            tell(match serde_json::from_str(&text) {
                                Ok(progress) => Event::Progress(progress),
                                Err(_) => Event::Line(text),
                            });
                        }
                        Ok(Told::Beat) => {}
                        Ok(Told::State(state)) => return Ok(state),
                        Err(error) => return Err(connection.refused(format!("its agent said `{line}`: {error}"))),
                    }
                }
                Ok(()) = wish.changed() => {
                    let wished = *wish.borrow_and_update();
                    match wished {
                        Wish::Follow => {}
                        Wish::Leave => return Ok(State::Running),
                        Wish::Stop => {
                            connection.ask("it cannot be stopped", &program, &[AGENT_COMMAND, "stop", "--dir", &dir], b"").await?;
                        }
                    }
                }
            }
        }
    }
}
