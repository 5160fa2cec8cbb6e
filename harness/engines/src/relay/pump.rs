//! Connections that pass the relay: each has a reader and a writer for each way, and what is between them waits for its instant.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use qbench_ground::clock::sleep_until;
use qbench_ground::priority;

/// Longest wait for the server to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted: the system has too many open files, and will not have fewer at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Most bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most pieces that are on their way in one direction. A sender that is further ahead waits, as it would for a network.
const CHUNKS_MAX: usize = 4_096;
/// Stack of a thread. There are four for each connection, and they hold their buffers elsewhere.
const STACK_BYTES: usize = 256 * 1024;

/// A piece on its way.
struct Piece {
    /// When it has arrived.
    due: Instant,
    what: What,
}

enum What {
    Bytes(Vec<u8>),
    /// The sender has said all that it will.
    End,
    /// Its connection broke.
    Broken,
}

/// Takes every connection to `listener` on to `to`. Blocks for good.
pub(super) fn accept_all(listener: &TcpListener, to: SocketAddr, delay: Duration) {
    for accepted in listener.incoming() {
        match accepted {
            // Connecting blocks, and must not keep others waiting. A server that does not answer is told by the end of the connection.
            Ok(client) => drop(spawn("qbench-relay", move || drop(join(client, to, delay)))),
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Joins a client with the server at `to`, the round trip longer by `delay`. Returns when both ways are at work.
pub(super) fn join(client: TcpStream, to: SocketAddr, delay: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect_timeout(&to, CONNECT_LIMIT)?;
    for side in [&client, &server] {
        side.set_nodelay(true)?;
    }
    let there = delay / 2;
    one_way(&client, &server, there)?;
    one_way(&server, &client, delay - there)
}

/// Carries what comes `from` one side `to` the other, each piece `later` than it came.
fn one_way(from: &TcpStream, to: &TcpStream, later: Duration) -> std::io::Result<()> {
    let (put, take) = sync_channel(CHUNKS_MAX);
    let (reader, of_writer, to) = (from.try_clone()?, from.try_clone()?, to.try_clone()?);
    spawn("qbench-relay-in", move || read(reader, later, &put))?;
    spawn("qbench-relay-out", move || write(&of_writer, to, &take))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

fn read(mut from: TcpStream, later: Duration, put: &SyncSender<Piece>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let what = match from.read(&mut buffer) {
            Ok(0) => What::End,
            Ok(count) => What::Bytes(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => What::Broken,
        };
        let is_last = !matches!(what, What::Bytes(_));
        // The writer has gone when the other side has.
        if put.send(Piece { due: Instant::now() + later, what }).is_err() || is_last {
            return;
        }
    }
}

fn write(from: &TcpStream, mut to: TcpStream, take: &Receiver<Piece>) {
    priority::exact_timers();
    for piece in take {
        while Instant::now() < piece.due {
            sleep_until(piece.due);
        }
        let written = match piece.what {
            What::Bytes(bytes) => to.write_all(&bytes).is_ok(),
            // The other way goes on until its own end.
            What::End => return drop(to.shutdown(Shutdown::Write)),
            What::Broken => false,
        };
        if !written {
            // Both sides learn of it, and both readers end. A side that has gone cannot be told.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const DELAY: Duration = Duration::from_millis(20);

    /// A client whose way to `serve`, which gets the server's side, is longer by `delay`.
    fn relayed<T: Send + 'static>(
        delay: Duration,
        serve: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> (TcpStream, thread::JoinHandle<T>) {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (front, back) = (bind(), bind());
        let (at, to) = (front.local_addr().unwrap(), back.local_addr().unwrap());
        let server = thread::spawn(move || serve(back.accept().unwrap().0));
        thread::spawn(move || accept_all(&front, to, delay));
        (TcpStream::connect(at).unwrap(), server)
    }

    fn echo(mut stream: TcpStream) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).unwrap();
        }
    }

    #[test]
    fn no_round_trip_is_shorter_than_the_delay() {
        let (mut client, server) = relayed(DELAY, echo);
        for _ in 0..20 {
            let begun = Instant::now();
            client.write_all(b"ping").unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
            assert!(begun.elapsed() >= DELAY, "{:?}", begun.elapsed());
        }
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn pieces_that_are_on_their_way_together_do_not_wait_for_each_other() {
        // A hundred requests are sent at once: answered one by one, each delayed anew, they would take a hundred delays.
        let (mut client, server) = relayed(Duration::from_millis(200), echo);
        let begun = Instant::now();
        for _ in 0..100 {
            client.write_all(b"ping").unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        client.read_exact(&mut [0; 400]).unwrap();
        assert!(begun.elapsed() < Duration::from_millis(200) * 50, "{:?}", begun.elapsed());
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn what_was_sent_arrives_whole_and_in_order() {
        let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let expected = sent.clone();
        let (mut client, server) = relayed(Duration::from_millis(2), |mut stream: TcpStream| {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            got
        });
        for piece in sent.chunks(12_345) {
            client.write_all(piece).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert!(server.join().unwrap() == expected);
    }

    #[test]
    fn a_side_that_has_said_all_still_hears_the_other_one() {
        let (mut client, server) = relayed(DELAY, |mut stream: TcpStream| {
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream.write_all(format!("{question}: heard").as_bytes()).unwrap();
        });
        client.write_all(b"all").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "all: heard");
        server.join().unwrap();
    }

    #[test]
    fn when_one_side_goes_the_other_one_is_told() {
        let (mut client, server) = relayed(DELAY, drop);
        server.join().unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0, "the server hung up");

        let (client, server) = relayed(DELAY, |mut stream: TcpStream| stream.read(&mut [0; 1]).unwrap_or(0));
        drop(client);
        assert_eq!(server.join().unwrap(), 0, "the client hung up");
    }

    #[test]
    fn a_server_that_is_not_there_ends_the_connection() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = front.local_addr().unwrap();
        thread::spawn(move || accept_all(&front, free, DELAY));
        let mut client = TcpStream::connect(at).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
    }
}
