//! The backlog, asked from the backend's own control side, without ever waiting long for it.

use std::time::Duration;

use qbench_backends::{Admin, Depth, Error};
use tokio::task::JoinHandle;

use super::notes::Notes;

/// Longest wait for an answer. A later one would belong to another second.
const LIMIT: Duration = Duration::from_secs(1);

const SUBJECT: &str = "ask the backend for its backlog, the cell stays empty";

/// Asks [`Admin::depth`]. An answer that is late is awaited in the background and thrown away, because cutting a query off
/// would leave the connection in doubt; until it has come, nothing new is asked.
pub struct DepthProbe {
    state: State,
    notes: Notes,
}

enum State {
    /// There is no control side to ask, or it panicked.
    Absent,
    Idle(Box<dyn Admin>),
    Late(JoinHandle<Answer>),
}

type Answer = (Box<dyn Admin>, Result<Depth, Error>);

impl DepthProbe {
    pub(crate) fn new(admin: Option<Box<dyn Admin>>, notes: &Notes) -> Self {
        DepthProbe { state: admin.map_or(State::Absent, State::Idle), notes: notes.clone() }
    }

    /// The backlog now, or `None` and a note when it cannot be had in time.
    pub(crate) async fn ask(&mut self) -> Option<Depth> {
        let mut admin = match std::mem::replace(&mut self.state, State::Absent) {
            State::Absent => return None,
            State::Idle(admin) => admin,
            State::Late(question) if question.is_finished() => settle(question.await, &self.notes)?.0,
            State::Late(question) => {
                self.notes.add(SUBJECT, format!("no answer within {LIMIT:?}"));
                self.state = State::Late(question);
                return None;
            }
        };
        let mut question = tokio::spawn(async move {
            let depth = admin.depth().await;
            (admin, depth)
        });
        match tokio::time::timeout(LIMIT, &mut question).await {
            Err(_) => {
                self.notes.add(SUBJECT, format!("no answer within {LIMIT:?}"));
                self.state = State::Late(question);
                None
            }
            Ok(answer) => {
                let (admin, depth) = settle(answer, &self.notes)?;
                self.state = State::Idle(admin);
                depth.map_err(|error| self.notes.add(SUBJECT, error)).ok()
            }
        }
    }
}

fn settle(answer: Result<Answer, tokio::task::JoinError>, notes: &Notes) -> Option<Answer> {
    answer.map_err(|error| notes.add(SUBJECT, error)).ok()
}
