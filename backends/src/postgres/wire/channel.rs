//! The socket, and what came over it, message by message.

use std::io;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::message::{self, Received};
use crate::postgres::trouble::Trouble;

/// Room for one read: many rows of an answer.
const READ_BYTES: usize = 16 << 10;
/// After so many answers in a row that came without a wait, others of this thread have their turn.
const UNWAITED_MAX: u32 = 8;
/// A buffer that grew beyond this is given back once it is empty, so that one large answer does not keep its memory for good.
const KEPT_BYTES: usize = 1 << 20;

/// A connection to the server before and after the login.
pub(super) struct Channel {
    socket: Socket,
    /// What came.
    received: Vec<u8>,
    /// How much of it has been read.
    read: usize,
    /// Receives in a row that did not have to wait.
    unwaited: u32,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Channel {
    /// Connects to where `options` say the server is: the directory of a Unix socket, or host and port.
    ///
    /// # Errors
    /// [`Trouble::Broken`].
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, Trouble> {
        let (host, port) = (options.get_host(), options.get_port());
        let directory = match options.get_socket() {
            Some(directory) => Some(directory.as_path()),
            None => host.starts_with('/').then(|| host.as_ref()),
        };
        let socket = match directory {
            Some(directory) => UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await.map(Socket::Unix),
            None => tcp(host, port).await.map(Socket::Tcp),
        };
        Ok(Channel { socket: socket.map_err(Trouble::Broken)?, received: Vec::new(), read: 0, unwaited: 0 })
    }

    /// Sends whole messages in one write.
    ///
    /// # Errors
    /// [`Trouble::Broken`].
    pub(super) async fn send(&mut self, messages: &[u8]) -> Result<(), Trouble> {
        match &mut self.socket {
            Socket::Tcp(stream) => send(stream, messages).await,
            Socket::Unix(stream) => send(stream, messages).await,
        }
    }

    /// The next message, where all of it has come.
    ///
    /// # Errors
    /// [`Trouble::Protocol`] for what is no message.
    pub(super) fn next(&mut self) -> Result<Option<Received<'_>>, Trouble> {
        let begin = self.read;
        match message::length(&self.received[begin..])?.map(|length| begin + length) {
            Some(end) if end <= self.received.len() => {
                self.read = end;
                Ok(Some(Received::new(&self.received[begin..end])))
            }
            _ => Ok(None),
        }
    }

    /// Receives more of the next message. Asks before it waits, as libpq does: on a busy machine the server often runs as soon as the
    /// request is sent, in place of this thread, and its answer is there by the time that this thread goes on.
    ///
    /// # Errors
    /// [`Trouble::Broken`], also when the server closed the connection.
    pub(super) async fn receive(&mut self) -> Result<(), Trouble> {
        self.make_room()?;
        let bytes = loop {
            match self.socket.try_receive(&mut self.received) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unwaited = 0;
                    self.socket.readable().await.map_err(Trouble::Broken)?;
                }
                received => break received.map_err(Trouble::Broken)?,
            }
        };
        self.unwaited += 1;
        if self.unwaited > UNWAITED_MAX {
            self.unwaited = 0;
            tokio::task::yield_now().await;
        }
        match bytes {
            0 => {
                let closed = "the server closed the connection";
                Err(Trouble::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, closed)))
            }
            _ => Ok(()),
        }
    }

    /// Forgets what has been read, and makes room for the rest of the next message.
    fn make_room(&mut self) -> Result<(), Trouble> {
        self.received.drain(..self.read);
        self.read = 0;
        if self.received.is_empty() && self.received.capacity() > KEPT_BYTES {
            self.received = Vec::new();
        }
        let missing = message::length(&self.received)?.map_or(0, |length| length - self.received.len());
        self.received.reserve(missing.max(READ_BYTES));
        Ok(())
    }
}

impl Socket {
    /// Receives what is there, without waiting for more.
    fn try_receive(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read_buf(into),
            Socket::Unix(stream) => stream.try_read_buf(into),
        }
    }

    /// Waits until there may be something to receive.
    async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Every request is one write, and nothing is gained by holding it back until earlier ones are confirmed.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), messages: &[u8]) -> Result<(), Trouble> {
    stream.write_all(messages).await.map_err(Trouble::Broken)
}
