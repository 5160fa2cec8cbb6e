//! What this program does on a host, where it is called as `qbench host-agent`.
//!
//! [`start()`] makes a matrix go on there detached from everything: a supervisor in a session of its own holds a lock on a pid file for as long as it
//! lives, runs `qbench matrix`, keeps what it says in a log, and writes down how it ended. [`follow()`] tells from afar what is in that log and
//! whether the supervisor lives. So a connection that breaks costs nothing: the next one asks again from where it was.
//! [`transfer`] hands files over. Both sides are the same program, which [`Hello`] makes sure of.

mod command;
pub mod follow;
mod hello;
mod matrix_dir;
pub mod start;
pub mod transfer;

pub use command::{AGENT_COMMAND, AgentResult};
pub use follow::{Told, follow};
pub use hello::{Hello, hello, sha256_of};
pub use matrix_dir::{MatrixDir, State};
pub use start::{StartRequest, start, stop, supervise};
pub use transfer::{FileEntry, list, send, unpack};
