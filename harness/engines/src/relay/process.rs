//! The relay as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc;
use std::time::Duration;

use crate::helper::HelperProgram;

/// Longest wait until it listens. It takes some milliseconds, and a name has to be looked up.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// A running relay. Dropping it ends it, and so does the end of this process.
pub struct Relay {
    delay: Duration,
    /// Where each target is reached, and the target.
    ways: Vec<(SocketAddr, String)>,
    child: Child,
    input: Option<ChildStdin>,
}

impl Relay {
    /// Starts `program`, which must lead to [`super::serve`] with `--delay-us N` and `targets` (`host:port`), and waits until it
    /// listens: some milliseconds.
    ///
    /// # Errors
    /// Why it does not.
    pub fn start(program: HelperProgram, delay: Duration, targets: Vec<String>) -> Result<Self, String> {
        let arguments = ["--delay-us".to_owned(), delay.as_micros().to_string()];
        let mut command = program.with(arguments).with(targets.clone()).into_command();
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut relay = Relay { delay, ways: Vec::new(), child, input };
        let said = output.map(|output| hear(output, targets.len())).unwrap_or_default();
        for (place, target) in targets.into_iter().enumerate() {
            match said.get(place).map(|line| (line, line.parse())) {
                Some((_, Ok(at))) => relay.ways.push((at, target)),
                Some((line, Err(_))) => return Err(line.clone()),
                None => return Err(format!("it did not listen within {} s", READY_LIMIT.as_secs())),
            }
        }
        Ok(relay)
    }

    /// Where each target is reached, in their order.
    pub fn at(&self) -> impl Iterator<Item = SocketAddr> {
        self.ways.iter().map(|(at, _)| *at)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it does, a sentence for each target.
    pub fn in_words(&self) -> Vec<String> {
        let milliseconds = self.delay.as_secs_f64() * 1e3;
        let way = |(at, target): &(SocketAddr, String)| {
            format!(
                "a relay of qbench at {at} leads to {target} and adds {milliseconds} ms to each round trip, half of it each way: \
                 no jitter, no loss, no limit of bandwidth"
            )
        };
        self.ways.iter().map(way).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.input.take());
        // It has nothing to put in order, and must not outlive this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first `count` lines of what it says, as many as come in time.
fn hear(output: ChildStdout, count: usize) -> Vec<String> {
    let (tell, told) = mpsc::channel();
    // Ends with the process.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    (0..count).map_while(|_| told.recv_timeout(READY_LIMIT).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_does_not_start_or_cannot_reach_its_target_is_a_sentence() {
        let started = |program, args: &[&str]| {
            Relay::start(HelperProgram::other(program, args), Duration::from_millis(1), vec!["x:1".to_owned()]).err()
        };
        let missing = started("/nowhere/prog", &[]).unwrap();
        assert!(missing.starts_with("it does not start: No such file"), "{missing}");
        assert_eq!(started("/bin/sh", &["-c", "echo x:1: no such host"]).unwrap(), "x:1: no such host");
        let silent = started("/bin/sh", &["-c", "exit 1"]).unwrap();
        assert!(silent.starts_with("it did not listen"), "{silent}");
    }
}
