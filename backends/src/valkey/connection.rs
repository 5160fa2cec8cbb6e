//! One connection that mends itself.

use std::time::Duration;

use redis::{Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError, Value};

use super::failure::server_error;
use super::settings::Settings;
use super::socket::Socket;
use crate::counters::ClientCounters;
use crate::error::{Error, ErrorKind, Result};
use crate::url::ServerUrl;

/// A connection to the server, opened anew on the next call after it broke.
///
/// A call that is dropped half way takes the connection with it: its reply would otherwise still be on the way, and a
/// blocked XREADGROUP would still take jobs that nobody receives.
pub(super) struct Link {
    server: ConnectionInfo,
    url: ServerUrl,
    /// Limit on connecting and on every call.
    timeout: Duration,
    /// What the calls are about, for error messages.
    subject: String,
    /// Name under which the connection shows itself on the server.
    name: String,
    counters: ClientCounters,
    live: Option<Socket>,
    /// The request of the last call, kept for its room.
    request: Vec<u8>,
}

impl Link {
    /// Connects for a producer, claimer or acker, whose requests the run counts.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Link::counting(settings, settings.config.counters.clone()).await
    }

    /// Connects for the control side, whose round trips are not the run's.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open_admin(settings: &Settings) -> Result<Self> {
        Link::counting(settings, ClientCounters::default()).await
    }

    /// Connects now, so that a wrong address is found before the measured window. Every request is counted in `counters`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one or there is none; [`ErrorKind::Connect`] when the server cannot be reached, or
    /// refuses us.
    async fn counting(settings: &Settings, counters: ClientCounters) -> Result<Self> {
        let url = settings.config.require_url()?;
        let server = url.expose().into_connection_info().map_err(|err| {
            Error::config(format!(
                "{url} is not a usable server address: {err}; expected redis://[user:password@]host[:port][/database]"
            ))
        })?;
        let mut link = Link {
            server,
            url: url.clone(),
            timeout: settings.config.timeout,
            subject: settings.keys.jobs.clone(),
            name: settings.connection_name(),
            counters,
            live: None,
            request: Vec::new(),
        };
        let connection = link.connect().await?;
        link.live = Some(connection);
        Ok(link)
    }

    /// One command, one reply. `blocks_for` is how long the server itself may hold the reply back.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when no reply came; else by the server's error word (see [`server_error`]).
    pub(super) async fn call(&mut self, operation: &str, command: &Cmd, blocks_for: Duration) -> Result<Value> {
        self.request.clear();
        command.write_packed_command(&mut self.request);
        match self.exchange(operation, 1, blocks_for).await?.pop() {
            Some(Value::ServerError(error)) => Err(server_error(self.context(operation), &error)),
            Some(reply) => Ok(reply),
            None => Err(self.unexpected(operation, "nothing")),
        }
    }

    /// Asks for nothing.
    ///
    /// # Errors
    /// As [`Link::call`].
    pub(super) async fn ping(&mut self) -> Result<()> {
        self.call("ask for nothing", &redis::cmd("PING"), Duration::ZERO).await.map(|_| ())
    }

    /// One pipeline, a reply per command; refusals stay among the replies as [`Value::ServerError`].
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when the replies did not come: any of the commands may have been carried out.
    pub(super) async fn pipeline(&mut self, operation: &str, pipeline: &Pipeline) -> Result<Vec<Value>> {
        self.request = pipeline.get_packed_pipeline();
        self.exchange(operation, pipeline.len(), Duration::ZERO).await
    }

    /// One MULTI/EXEC; the reply is EXEC's.
    ///
    /// # Errors
    /// As [`Link::call`]; a refusal of any command is the error.
    pub(super) async fn transaction(&mut self, operation: &str, pipeline: &mut Pipeline) -> Result<Vec<Value>> {
        pipeline.atomic();
        self.request = pipeline.get_packed_pipeline();
        // MULTI and every command are answered too, before EXEC is.
        match self.exchange(operation, pipeline.len() + 2, Duration::ZERO).await?.pop() {
            Some(Value::Array(replies)) if replies.len() == pipeline.len() => {
                match replies.iter().find(|reply| matches!(reply, Value::ServerError(_))) {
                    Some(Value::ServerError(error)) => Err(server_error(self.context(operation), error)),
                    _ => Ok(replies),
                }
            }
            Some(Value::ServerError(error)) => Err(server_error(self.context(operation), &error)),
            other => Err(self.unexpected(operation, &format!("{other:?} to EXEC"))),
        }
    }

    /// `<operation> <subject> at <server>`.
    pub(super) fn context(&self, operation: &str) -> String {
        format!("{operation} {} at {}", self.subject, self.url)
    }

    /// A reply that the protocol does not allow here.
    pub(super) fn unexpected(&self, operation: &str, what: &str) -> Error {
        let message = format!("the server answered {what}; is it a Valkey 8 or Redis 7, and are the keys ours?");
        Error::new(ErrorKind::Server, self.context(operation), message)
    }

    /// Sends `self.request` and returns its replies. `blocks_for` is how long the server itself may hold them back.
    async fn exchange(&mut self, operation: &str, replies: usize, blocks_for: Duration) -> Result<Vec<Value>> {
        let mut connection = match self.live.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.counters.add_request();
        let limit = self.timeout + blocks_for;
        match tokio::time::timeout(limit, connection.request(&self.request, replies)).await {
            Ok(Ok(replies)) => {
                self.live = Some(connection);
                Ok(replies)
            }
            Ok(Err(err)) => Err(Error::unknown(self.context(operation), err)),
            Err(_) => Err(Error::unknown(self.context(operation), format!("no answer within {limit:?}"))),
        }
    }

    async fn connect(&self) -> Result<Socket> {
        match tokio::time::timeout(self.timeout, Socket::open(&self.server, &self.name)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(err)) => Err(self.connect_error(&err)),
            Err(_) => {
                let advice = "check that the address and port are right and that no firewall is in between";
                let message = format!("no answer within {:?}; {advice}", self.timeout);
                Err(Error::new(ErrorKind::Connect, format!("connect to {}", self.url), message))
            }
        }
    }

    fn connect_error(&self, err: &RedisError) -> Error {
        let context = format!("connect to {}", self.url);
        let (message, code) = match (err.kind(), err.code()) {
            (redis::ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => (
                "the server refuses the user name or password; give the right ones in the URL (redis://user:password@host:port)".to_owned(),
                Some("WRONGPASS"),
            ),
            (_, Some("NOAUTH")) => (
                "the server wants a password; give it in the URL (redis://:password@host:port)".to_owned(),
                Some("NOAUTH"),
            ),
            (_, Some(code)) => (format!("the server answered {}", err.detail().unwrap_or(code)), Some(code)),
            (redis::ErrorKind::InvalidClientConfig, _) => (format!("{err}; use a redis:// address"), None),
            _ => (format!("{err}; check that the server runs and that address and port are right"), None),
        };
        let error = Error::new(ErrorKind::Connect, context, message);
        match code {
            Some(code) => error.with_code(code),
            None => error,
        }
    }
}
