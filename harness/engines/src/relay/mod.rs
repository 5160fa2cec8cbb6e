//! A longer way to a server: a relay that holds back whatever passes it, for kernels that cannot do so themselves (netem).
//!
//! It is a process of its own, so that its CPU is not taken for the harness's. Each connection to it becomes one to the server.
//! Whatever is read on one side is written to the other one half of the delay later, in the same pieces and in the same order, to
//! an absolute instant of the kernel's clock (METHODOLOGY L4). So the whole delay is added to each round trip. There is no limit of
//! bandwidth, no loss and no jitter of its own, and a handshake is not held back: a real network of the same round trip is never
//! faster, and may be slower.

pub mod process;
mod pump;

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use qbench_ground::priority;

pub use process::Relay;

/// What the process does: listens on a free loopback port for each of `targets` (`host:port`), says on which, one a line, and relays
/// until `input` ends. What cannot be is said on a line of its own, and ends it.
///
/// # Errors
/// When it cannot listen, a target has no address, or nobody hears on which ports it listens.
pub fn serve(delay: Duration, targets: &[String], mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    // Where the system refuses, it stays at the harness's own.
    priority::raise_process();
    for target in targets {
        match listen(target) {
            Ok((listener, to)) => {
                writeln!(output, "{}", listener.local_addr()?)?;
                std::thread::Builder::new()
                    .name("qbench-relay".to_owned())
                    .spawn(move || pump::accept_all(&listener, to, delay))?;
            }
            Err(error) => {
                writeln!(output, "{target}: {error}")?;
                return Err(error);
            }
        }
    }
    output.flush()?;
    // Whoever started it holds the other end, whatever becomes of it.
    let mut nothing = String::new();
    while input.read_line(&mut nothing)? > 0 {
        nothing.clear();
    }
    Ok(())
}

fn listen(target: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let to = target.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("it has no address"))?;
    Ok((TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, to))
}
