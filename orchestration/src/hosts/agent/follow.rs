//! What a matrix on a host says, line by line, for somebody who may come back later and ask for the rest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::command::AgentResult;
use super::matrix_dir::{MatrixDir, State};

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often something is said though nothing has happened, so that a connection that is gone is noticed on both sides.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// One line of what [`follow`] tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A line of the log.
    Line {
        /// The line without its end.
        text: String,
        /// Where the next one begins, in bytes from the beginning of the log.
        next: u64,
    },
    /// It goes on, and has nothing to say.
    Beat,
    /// The log is at its end, and the matrix no longer runs. Nothing follows.
    State(State),
}

/// Tells the log of the matrix in `dir` from byte `from` on, and then what is added to it, until the matrix no longer runs.
///
/// # Errors
/// When the log cannot be read, or `to` no longer takes anything.
pub fn follow(dir: &MatrixDir, from: u64, to: &mut dyn Write) -> AgentResult<()> {
    let mut tell = |told: &Told| -> io::Result<()> {
        serde_json::to_writer(&mut *to, told)?;
        to.write_all(b"\n")?;
        to.flush()
    };
    let mut next = from;
    let mut said = Instant::now();
    loop {
        // Asked before the log is read to its end, so that nothing is missed of one that ends in between.
        let state = dir.state()?;
        for (text, after) in lines(dir, next)? {
            next = after;
            said = Instant::now();
            tell(&Told::Line { text, next })?;
        }
        if state != State::Running {
            return tell(&Told::State(state));
        }
        if said.elapsed() > BEAT_EVERY {
            said = Instant::now();
            tell(&Told::Beat)?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The whole lines of the log from byte `from` on, each with where the next one begins.
fn lines(dir: &MatrixDir, from: u64) -> io::Result<Vec<(String, u64)>> {
    let mut file = match File::open(dir.log()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let (mut lines, mut next, mut line) = (Vec::new(), from, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        // The rest of a line that is being written comes another time.
        if line.pop() != Some(b'\n') {
            return Ok(lines);
        }
        next += read as u64;
        lines.push((String::from_utf8_lossy(&line).into_owned(), next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_from_where_one_was_and_never_by_halves() {
        let folder = tempfile::tempdir().unwrap();
        let dir = MatrixDir::new(folder.path());
        assert_eq!(lines(&dir, 0).unwrap(), []);
        std::fs::write(dir.log(), "one\ntwo\nthr").unwrap();
        assert_eq!(lines(&dir, 0).unwrap(), [("one".to_owned(), 4), ("two".to_owned(), 8)]);
        assert_eq!(lines(&dir, 4).unwrap(), [("two".to_owned(), 8)]);
        std::fs::write(dir.log(), "one\ntwo\nthree\n").unwrap();
        assert_eq!(lines(&dir, 8).unwrap(), [("three".to_owned(), 14)]);
    }

    #[test]
    fn of_a_matrix_that_does_not_run_the_state_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let dir = MatrixDir::new(folder.path());
        std::fs::write(dir.request(), "{}").unwrap();
        std::fs::write(dir.log(), "one\n").unwrap();
        dir.has_ended(3).unwrap();
        let mut told = Vec::new();
        follow(&dir, 0, &mut told).unwrap();
        let told: Vec<Told> =
            String::from_utf8(told).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = Told::Line { text: "one".to_owned(), next: 4 };
        assert_eq!(told, [line, Told::State(State::Ended { status: 3 })]);
    }
}
