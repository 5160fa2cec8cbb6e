//! Round trips over a connection of this machine with itself: what a client and a server on one host pay for every request.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes each way.
const BYTES: usize = 64;

/// A connection whose other end sends back what it gets.
pub(super) struct Echo {
    stream: Option<TcpStream>,
    other_end: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_nodelay(true)?;
        let (mut accepted, _) = listener.accept()?;
        accepted.set_nodelay(true)?;
        let other_end = std::thread::spawn(move || {
            let mut bytes = [0; BYTES];
            // Ends when the other side does.
            while accepted.read_exact(&mut bytes).and_then(|()| accepted.write_all(&bytes)).is_ok() {}
        });
        Ok(Echo { stream: Some(stream), other_end: Some(other_end) })
    }

    /// Round trips, in microseconds.
    pub(super) fn round_trips(&mut self, length: Duration) -> io::Result<Vec<f64>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
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
