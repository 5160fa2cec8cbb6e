//! One connection that mends itself, and the translation of its errors.

use std::future::Future;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, RedisError, ServerError, Value};

use super::Setting;
use crate::config::ServerUrl;
use crate::error::{Error, ErrorKind, Result};
use crate::round_trips::RoundTrips;

/// A connection to the server, opened anew on the next call after it broke.
///
/// A call that is dropped half way takes the connection with it: its reply would otherwise still be on the way, and a
/// blocked XREADGROUP would still take jobs that nobody receives.
pub(super) struct Link {
    client: Client,
    url: ServerUrl,
    /// Limit on connecting and on every call.
    timeout: Duration,
    /// What the calls are about, for error messages.
    subject: String,
    /// Name under which the connection shows itself on the server.
    name: String,
    round_trips: RoundTrips,
    live: Option<MultiplexedConnection>,
}

impl Link {
    /// Connects. Every request is counted in `round_trips`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the URL is not one or there is none; [`ErrorKind::Connect`] when the server cannot be reached, or
    /// refuses us.
    pub(super) async fn open(setting: &Setting, round_trips: RoundTrips) -> Result<Self> {
        let url = setting.config.require_url()?;
        let invalid = |err: RedisError| {
            Error::config(format!(
                "{url} is not a usable server address: {err}; expected redis://[user:password@]host[:port][/database]"
            ))
        };
        let info = url.expose().into_connection_info().map_err(invalid)?;
        // Every request is one write, and nothing is gained by holding it back until earlier ones are confirmed.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(invalid)?;
        let mut link = Link {
            client,
            url: url.clone(),
            timeout: setting.config.timeout,
            subject: setting.keys.jobs.clone(),
            name: setting.connection_name(),
            round_trips,
            live: None,
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
        let mut connection = self.take_connection().await?;
        let reply = self.answer(operation, blocks_for, connection.send_packed_command(command)).await?;
        self.live = Some(connection);
        match reply {
            Value::ServerError(error) => Err(server_error(self.context(operation), &error)),
            reply => Ok(reply),
        }
    }

    /// One pipeline, a reply per command; refusals stay among the replies as [`Value::ServerError`].
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when the replies did not come: any of the commands may have been carried out.
    pub(super) async fn pipeline(&mut self, operation: &str, pipeline: &Pipeline) -> Result<Vec<Value>> {
        let mut connection = self.take_connection().await?;
        let sent = connection.send_packed_commands(pipeline, 0, pipeline.len());
        let replies = self.answer(operation, Duration::ZERO, sent).await?;
        self.live = Some(connection);
        if replies.len() != pipeline.len() {
            let (got, sent) = (replies.len(), pipeline.len());
            return Err(self.unexpected(operation, &format!("{got} replies to {sent} commands")));
        }
        Ok(replies)
    }

    /// One MULTI/EXEC; the reply is EXEC's.
    ///
    /// # Errors
    /// As [`Link::call`]; a refusal of any command is the error.
    pub(super) async fn transaction(&mut self, operation: &str, pipeline: &mut Pipeline) -> Result<Vec<Value>> {
        pipeline.atomic();
        let mut connection = self.take_connection().await?;
        let sent = connection.send_packed_commands(pipeline, pipeline.len() + 1, 1);
        let mut replies = self.answer(operation, Duration::ZERO, sent).await?;
        self.live = Some(connection);
        match replies.pop() {
            Some(Value::Array(replies)) if replies.len() == pipeline.len() => {
                match replies.iter().find_map(|reply| match reply {
                    Value::ServerError(error) => Some(server_error(self.context(operation), error)),
                    _ => None,
                }) {
                    Some(error) => Err(error),
                    None => Ok(replies),
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
        let message = format!("the server answered {what}; is it a Valkey 8 or Redis 7, and is the stream ours?");
        Error::new(ErrorKind::Server, self.context(operation), message)
    }

    /// The connection for one request, which is counted.
    async fn take_connection(&mut self) -> Result<MultiplexedConnection> {
        let connection = match self.live.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.round_trips.add();
        Ok(connection)
    }

    async fn answer<T>(
        &self,
        operation: &str,
        blocks_for: Duration,
        reply: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T> {
        let limit = self.timeout + blocks_for;
        match tokio::time::timeout(limit, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(err)) => Err(self.call_error(operation, &err)),
            Err(_) => Err(Error::new(
                ErrorKind::Unknown,
                self.context(operation),
                format!("no answer within {limit:?}, so it may or may not have happened"),
            )),
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        // The library's own response timeout (half a second by default) would cut off every longer BLOCK; `answer` has ours.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(self.timeout)).set_response_timeout(None);
        let handshake = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // Without a password, the first command is what tells whether one is needed.
            match connection.send_packed_command(redis::cmd("CLIENT").arg("SETNAME").arg(&self.name)).await? {
                Value::ServerError(error) => Err(RedisError::from(error)),
                _ => Ok(connection),
            }
        };
        match tokio::time::timeout(self.timeout, handshake).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(err)) => Err(self.connect_error(&err)),
            Err(_) => Err(Error::new(
                ErrorKind::Connect,
                format!("connect to {}", self.url),
                format!(
                    "no answer within {:?}; check that the address and port are right and that no firewall is in between",
                    self.timeout
                ),
            )),
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

    fn call_error(&self, operation: &str, err: &RedisError) -> Error {
        let context = self.context(operation);
        match err.code() {
            Some(code) => refusal(context, code, err.detail().unwrap_or_default()),
            None => Error::new(ErrorKind::Unknown, context, format!("{err}, so it may or may not have happened")),
        }
    }
}

/// The server's refusal of one command as our error.
pub(super) fn server_error(context: String, error: &ServerError) -> Error {
    refusal(context, error.code(), error.details().unwrap_or_default())
}

fn refusal(context: String, code: &str, detail: &str) -> Error {
    let (kind, hint) = match code {
        "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN" => (ErrorKind::Rejected, ""),
        "OOM" => (ErrorKind::Rejected, "; the server is at its maxmemory"),
        "MISCONF" => (ErrorKind::Rejected, "; the server cannot write its snapshot"),
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => (ErrorKind::Connect, "; check user, password and permissions"),
        "NOGROUP" => (ErrorKind::Server, "; the queue is not set up, or was removed meanwhile"),
        "READONLY" => (ErrorKind::Server, "; this is a replica: use the address of the primary"),
        "MOVED" | "ASK" | "CROSSSLOT" => (ErrorKind::Server, "; clusters are not supported: use a single server"),
        _ => (ErrorKind::Server, ""),
    };
    Error::new(kind, context, format!("the server answered: {detail}{hint}")).with_code(code)
}
