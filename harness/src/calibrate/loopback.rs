//! Round trips over a connection of this machine with itself: the system calls, the TCP and the switches from thread to thread of a request.
//!
//! Both ends run on one core, one after the other. On two of them each message would have to wake a core up, and what that takes depends on how
//! deep it sleeps and on what the hypervisor does at that moment: one and the same machine then has several answers. How late this machine wakes
//! somebody up is told by the timer.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qbench_ground::pinning::Cores;

/// Bytes each way.
const BYTES: usize = 64;

/// A connection whose other end sends back what it gets.
pub(super) struct Echo {
    core: Cores,
    stream: Option<TcpStream>,
    other_end: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start() -> io::Result<Self> {
        // The last one: interrupts go to the first more often.
        let core = Cores::of_this_process()?.singly().last().ok_or(io::ErrorKind::NotFound)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_nodelay(true)?;
        let (mut accepted, _) = listener.accept()?;
        accepted.set_nodelay(true)?;
        let (bound, is_bound) = std::sync::mpsc::channel();
        let of_other_end = core.clone();
        let other_end = std::thread::spawn(move || {
            if bound.send(of_other_end.bind_calling_thread()).is_err() {
                return;
            }
            let mut bytes = [0; BYTES];
            // Ends when the other side does.
            while accepted.read_exact(&mut bytes).and_then(|()| accepted.write_all(&bytes)).is_ok() {}
        });
        is_bound.recv().unwrap_or_else(|_| Err(io::ErrorKind::NotConnected.into()))?;
        Ok(Echo { core, stream: Some(stream), other_end: Some(other_end) })
    }

    /// Round trips, in microseconds.
    pub(super) fn round_trips(&mut self, length: Duration) -> io::Result<Vec<f64>> {
        let core = self.core.clone();
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // A thread of its own: the calling one stays free to run anywhere.
        std::thread::scope(|scope| {
            let measuring = scope.spawn(move || {
                core.bind_calling_thread()?;
                round_trips(stream, length)
            });
            measuring.join().unwrap_or_else(|_| Err(io::Error::other("the thread that measures round trips panicked")))
        })
    }
}

fn round_trips(stream: &mut TcpStream, length: Duration) -> io::Result<Vec<f64>> {
    let mut bytes = [7; BYTES];
    let mut delays = Vec::new();
    let began = Instant::now();
    while began.elapsed() < length {
        let before = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        delays.push(before.elapsed().as_secs_f64() * 1e6);
    }
    Ok(delays)
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stream.take());
        if let Some(other_end) = self.other_end.take() {
            // It has ended, or ends now.
            let _ = other_end.join();
        }
    }
}
