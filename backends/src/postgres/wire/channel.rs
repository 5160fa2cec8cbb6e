//! The socket, and what came over it, message by message.

use std::io;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::message::{self, Received};
use crate::postgres::trouble::Trouble;

/// Room for one read: many rows of an answer. A read that does not fill it tells the runtime that nothing more is there, so that
/// the next one waits at once instead of asking for nothing.
const READ_BYTES: usize = 16 << 10;
/// A buffer that grew beyond this is given back once it is empty, so that one large answer does not keep its memory for good.
const KEPT_BYTES: usize = 1 << 20;

/// A connection to the server before and after the login.
pub(super) struct Channel {
    socket: Socket,
    /// What came.
    received: Vec<u8>,
    /// How much of it has been read.
    read: usize,
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
        Ok(Channel { socket: socket.map_err(Trouble::Broken)?, received: Vec::new(), read: 0 })
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

    /// Waits for more of the next message.
    ///
    /// # Errors
    /// [`Trouble::Broken`], also when the server closed the connection.
    pub(super) async fn receive(&mut self) -> Result<(), Trouble> {
        self.make_room()?;
        let bytes = match &mut self.socket {
            Socket::Tcp(stream) => receive(stream, &mut self.received).await,
            Socket::Unix(stream) => receive(stream, &mut self.received).await,
        };
        match bytes.map_err(Trouble::Broken)? {
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

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Every request is one write, and nothing is gained by holding it back until earlier ones are confirmed.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), messages: &[u8]) -> Result<(), Trouble> {
    stream.write_all(messages).await.map_err(Trouble::Broken)
}

async fn receive(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> io::Result<usize> {
    stream.read_buf(into).await
}
