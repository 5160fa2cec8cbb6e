//! One TCP connection on which one request is on its way at a time.
//!
//! The library's own connection serves many callers at once: every request passes through two channels and a task of its
//! own, and is parsed by a general parser. Beside `valkey-benchmark` that cost a quarter of the rate (`make bench`). We never
//! share a connection, so a request here is one write and the reads of its replies. Commands, addresses and values stay the
//! library's.

use std::io;

use bytes::{Buf, BytesMut};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::resp;

/// Room for one read: several replies of a small pipeline.
const READ_BYTES: usize = 16 << 10;

pub(super) struct Socket {
    stream: TcpStream,
    /// What came and is not yet taken as a reply.
    received: BytesMut,
}

impl Socket {
    /// Connects to `server`, logs in, chooses its database and takes `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when there is no way there, [`ErrorKind::InvalidClientConfig`] for an address other than TCP,
    /// [`ErrorKind::AuthenticationFailed`] for a refused login, else the server's own refusal.
    pub(super) async fn open(server: &ConnectionInfo, name: &str) -> RedisResult<Self> {
        let ConnectionAddr::Tcp(host, port) = server.addr() else {
            return Err((ErrorKind::InvalidClientConfig, "only plain TCP connections are supported").into());
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        // Every request is one write, and nothing is gained by holding it back until earlier ones are confirmed.
        stream.set_nodelay(true)?;
        let mut connection = Socket { stream, received: BytesMut::with_capacity(READ_BYTES) };
        let login = server.redis_settings();
        if let Some(password) = login.password() {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = login.username() {
                auth.arg(user);
            }
            if let Value::ServerError(refusal) = connection.command(auth.arg(password)).await? {
                let detail = refusal.details().unwrap_or_default().to_owned();
                return Err((ErrorKind::AuthenticationFailed, "the server refused the login", detail).into());
            }
        }
        if login.db() != 0 {
            connection.accepted(redis::cmd("SELECT").arg(login.db())).await?;
        }
        // Without a password, this first command is what tells whether one is needed.
        connection.accepted(redis::cmd("CLIENT").arg("SETNAME").arg(name)).await?;
        Ok(connection)
    }

    /// Sends `request`, which holds as many commands as `replies` says, and returns their replies. Not cancel-safe: a
    /// connection whose request was dropped half way must not be used again.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the connection ended, [`ErrorKind::Parse`] when something came that is no reply, or was not asked for.
    pub(super) async fn request(&mut self, request: &[u8], replies: usize) -> RedisResult<Vec<Value>> {
        self.stream.write_all(request).await?;
        let mut values = Vec::with_capacity(replies);
        while values.len() < replies {
            match resp::length(&self.received) {
                Ok(Some(length)) => {
                    values.push(resp::reply(&self.received[..length])?);
                    self.received.advance(length);
                }
                Ok(None) => self.receive().await?,
                Err(what) => return Err((ErrorKind::Parse, "the server sent no Redis protocol", what).into()),
            }
        }
        if !self.received.is_empty() {
            return Err((ErrorKind::Parse, "the server sent more than it was asked for").into());
        }
        Ok(values)
    }

    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        let mut replies = self.request(&command.get_packed_command(), 1).await?;
        Ok(replies.remove(0))
    }

    /// Sends a command of the greeting; a refusal is the error.
    async fn accepted(&mut self, command: &Cmd) -> RedisResult<()> {
        match self.command(command).await? {
            Value::ServerError(refusal) => Err(RedisError::from(refusal)),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.received.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}
