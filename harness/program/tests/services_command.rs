//! `qbench services`: servers that outlive the command that started them, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use program::{pid, qbench, said, start_unheard, wait_for, words};
use qbench_engines::keeper::{Kept, KeptServer};
use qbench_schema::result::Durability;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// A state directory and a place for data of one test.
struct Place {
    state: TempDir,
    data: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place { state: TempDir::new_in("/tmp").unwrap(), data: TempDir::new_in("/tmp").unwrap() };
        fs::set_permissions(place.data.path(), fs::Permissions::from_mode(0o711)).unwrap();
        place
    }

    /// `qbench services` with the words of `line`.
    fn command(&self, line: &str) -> Command {
        let mut command = qbench();
        command.arg("services").args(words(line));
        command.env("XDG_STATE_HOME", self.state.path()).env("QBENCH_TMPDIR", self.data.path());
        command
    }

    fn services(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Waits until no data is left; a test that fails before says so by itself.
    fn wait_until_empty(&self) {
        let is_empty = || fs::read_dir(self.data.path()).unwrap().count() == 0;
        wait_for("the removal of all data", Duration::from_secs(10), is_empty);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Does nothing when the test went through.
        self.services("stop");
    }
}

fn kept(output: &Output) -> Kept {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether a process runs; one that has ended and that nobody has waited for does not.
fn lives(pid: u32) -> bool {
    let stat = procfs::process::Process::new(pid as i32).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.state != 'Z')
}

/// The kept server of a product, by the product's name in the printed JSON.
fn of(kept: &Kept, product: &str) -> Option<KeptServer> {
    kept.servers.get(product).cloned().flatten()
}

#[tokio::test]
async fn kept_servers_answer_until_they_are_stopped() {
    let place = Place::new();
    assert_eq!(place.services("status").status.code(), Some(1), "there is nothing to show yet");
    let started = kept(&place.services("start --durability d1 --json"));
    let (postgresql, valkey) = (of(&started, "postgresql").unwrap(), of(&started, "valkey").unwrap());
    assert_eq!((postgresql.durability, valkey.durability), (Durability::D1, Durability::D1));
    assert!(postgresql.data_dir.starts_with(place.data.path()));

    let mut client = PgConnection::connect(&postgresql.url).await.unwrap();
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut client).await.unwrap();
    assert_eq!(setting, "off");
    let other = redis::Client::open(valkey.url.as_str()).unwrap();
    let mut other = other.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("PING").exec_async(&mut other).await.unwrap();

    let again = place.services("start");
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).starts_with("qbench: servers are kept already: "), "{}", said(&again));
    let shown = place.services("status");
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(text, format!("QBENCH_PG_URL='{}'\nQBENCH_VALKEY_URL='{}'\n", postgresql.url, valkey.url));
    assert_eq!(kept(&place.services("status --json")), started);
    for entry in fs::read_dir(place.state.path().join("qbench")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            assert!(fs::read(entry.path()).unwrap().is_empty(), "no password stands in a file");
        }
    }

    let stopped = place.services("stop");
    assert_eq!(stopped.status.code(), Some(0), "{}", said(&stopped));
    assert!(!lives(postgresql.pid) && !lives(valkey.pid) && !lives(started.keeper_pid));
    place.wait_until_empty();
    assert_eq!(place.services("stop").status.code(), Some(0), "stopping nothing is no fault");
}

#[test]
fn nothing_is_left_of_a_keeper_that_is_killed_and_another_one_can_start() {
    let place = Place::new();
    let first = kept(&place.services("start --engine valkey --json"));
    assert_eq!(first.servers.get("postgresql"), Some(&None), "its key is there, too");
    kill(Pid::from_raw(first.keeper_pid as i32), Signal::SIGKILL).unwrap();
    place.wait_until_empty();
    assert!(!lives(of(&first, "valkey").unwrap().pid));
    assert_eq!(place.services("status").status.code(), Some(1));
    let second = kept(&place.services("start --engine valkey --json"));
    assert!(lives(of(&second, "valkey").unwrap().pid));
}

#[test]
fn a_start_that_is_broken_off_keeps_nothing() {
    let place = Place::new();
    let mut start = start_unheard(&mut place.command("start"));
    let has_begun = || fs::read_dir(place.data.path()).unwrap().count() > 0;
    wait_for("the start of a server", Duration::from_secs(10), has_begun);
    kill(pid(&start), Signal::SIGINT).unwrap();
    start.wait().unwrap();
    place.wait_until_empty();
    assert_eq!(place.services("status").status.code(), Some(1));
}

#[test]
fn what_cannot_be_started_is_refused_in_the_keepers_own_words() {
    let place = Place::new();
    let output = place.services("start --durability d9");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said(&output), "qbench: durability d9: expected d0, d1 or d2\n");
}
