//! Client and server apart: a process on the server's host that starts the server there, and watches it as monitors do here.
//!
//! It is this very program, `qbench observe`, started by whatever leads to that host (ssh, `ip netns exec`, nothing at all) and spoken with
//! over its standard input and output. So nothing has to listen there, and nothing has to be installed but the program. When its input ends,
//! however that comes about, it ends what it started.
//!
//! Reading order: [`protocol`] (what is said), [`offset`] (two clocks), [`serve`](mod@serve) (the side of the server), [`remote`] (the side of the run), [`command`] and
//! `channel` (how it gets there).

mod channel;
pub mod command;
pub mod offset;
pub mod protocol;
pub mod remote;
pub mod serve;

use std::time::Duration;

/// The command by which this program is an observer.
pub const COMMAND: &str = "observe";

/// How often each side says that it is still there.
const ALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// After so long without a word the other side has gone, though nothing says so: a network that drops everything tells nobody.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
