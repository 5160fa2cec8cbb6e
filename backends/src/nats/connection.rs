//! One connection that mends itself.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::{Address, Login};
use super::describe::OLDEST;
use super::failure::{api_error, of_api, of_status};
use super::settings::Settings;
use crate::counters::ClientCounters;
use crate::error::{Error, ErrorKind, Result};
use crate::url::ServerUrl;

/// Attempts of the library to open a broken connection anew. It has to give up: what we had sent would otherwise arrive whenever
/// the server comes back, and we open another connection by ourselves.
const RECONNECTS: usize = 1;

/// Longest first line of a server that is read.
const GREETING_BYTES_MAX: u64 = 64 << 10;

/// A connection to the server, opened anew on the next call after it broke.
///
/// Every request carries an address for its answer, `<inbox>.<number>`; one subscription takes all answers. (The library would
/// subscribe anew for each fetch.) One call is on its way at a time. A call that is dropped half way, or had no answer, takes the
/// connection with it: its answer would otherwise still be on the way, and a waiting pull would take jobs that nobody receives.
pub(super) struct Link {
    url: ServerUrl,
    address: Address,
    /// Limit on connecting and on every call.
    limit: Duration,
    /// What the calls are about, for error messages.
    subject: String,
    /// Name under which the connection shows itself on the server.
    name: String,
    counters: ClientCounters,
    live: Option<Live>,
}

/// An open connection.
struct Live {
    client: Client,
    answers: Subscriber,
    /// What the addresses of answers begin with.
    inbox: String,
    /// Requests so far: the number of the next one.
    sent: u64,
    /// What went wrong with the connection: the server's words, or none when it broke.
    troubles: watch::Receiver<Option<String>>,
}

/// One message to the server that wants an answer.
pub(super) struct Request {
    pub(super) subject: String,
    pub(super) payload: Bytes,
}

impl Link {
    /// Connects for a producer, claimer or acker, whose requests the run counts.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Link::counting(settings, settings.config.counters.clone(), settings.config.timeout).await
    }

    /// Connects for the control side, whose requests are not the run's.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open_admin(settings: &Settings) -> Result<Self> {
        Link::counting(settings, ClientCounters::default(), settings.config.timeout).await
    }

    /// Connects for what goes on beside a worker, and is given up after `limit`. It is no request of a job.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open_beside(settings: &Settings, limit: Duration) -> Result<Self> {
        Link::counting(settings, ClientCounters::default(), limit).await
    }

    /// Connects now, so that a wrong address is found before the measured window. Every call is counted in `counters`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no URL; [`ErrorKind::Connect`] when the server cannot be reached, or refuses us.
    async fn counting(settings: &Settings, counters: ClientCounters, limit: Duration) -> Result<Self> {
        let mut link = Link {
            url: settings.config.require_url()?.clone(),
            address: settings.address()?.clone(),
            limit,
            subject: settings.names.stream.clone(),
            name: settings.connection_name(),
            counters,
            live: None,
        };
        link.live = Some(link.connect().await?);
        Ok(link)
    }

    /// Where the server is.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// `<operation> <stream> at <server>`.
    pub(super) fn context(&self, operation: &str) -> String {
        format!("{operation} {} at {}", self.subject, self.url)
    }

    /// An answer that the protocol does not allow here.
    pub(super) fn unexpected(&self, operation: &str, what: &str) -> Error {
        let message = format!("the server answered {what}; is it a NATS {OLDEST} or newer, and is the stream ours?");
        Error::new(ErrorKind::Server, self.context(operation), message)
    }

    /// What the server told of itself when we connected.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn server(&mut self) -> Result<async_nats::ServerInfo> {
        Ok(self.client().await?.server_info())
    }

    /// Largest payload that the server takes in one message.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn max_payload(&mut self) -> Result<usize> {
        Ok(self.client().await?.max_payload())
    }

    /// The open connection as the library has it.
    async fn client(&mut self) -> Result<&Client> {
        let live = self.take_live().await?;
        Ok(&self.live.insert(live).client)
    }

    /// One request of JetStream's own interface, for instance `STREAM.INFO.<stream>`, and its answer.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when no answer came; else by the server's error (see [`of_api`]).
    pub(super) async fn api(&mut self, operation: &str, method: &str, request: &Value) -> Result<Value> {
        let answer = self.try_api(operation, method, request).await?;
        match api_error(&answer) {
            Some(error) => Err(of_api(self.context(operation), &error)),
            None => Ok(answer),
        }
    }

    /// The same, with JetStream's own errors left in the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when no answer came.
    pub(super) async fn try_api(&mut self, operation: &str, method: &str, request: &Value) -> Result<Value> {
        let payload = if request.is_null() { String::new() } else { request.to_string() };
        let request = Request { subject: format!("$JS.API.{method}"), payload: payload.into() };
        let answers = self.ask(operation, [request]).await?;
        let answer = match answers.first() {
            Some(Ok(answer)) => answer,
            Some(Err(said)) => {
                let message = format!("{said}; is JetStream on there (`jetstream {{}}` in its configuration, or -js)?");
                return Err(Error::new(ErrorKind::Connect, self.context(operation), message));
            }
            None => return Err(self.unexpected(operation, "nothing")),
        };
        serde_json::from_slice(answer).map_err(|_| self.unexpected(operation, "something else than JSON"))
    }

    /// Sends all `requests` and waits until each has its answer, or a status in place of one; they come in the order of the requests.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when not all answers came: any of the requests may have been carried out.
    pub(super) async fn ask(
        &mut self,
        operation: &str,
        requests: impl IntoIterator<Item = Request>,
    ) -> Result<Vec<Result<Bytes>>> {
        let mut live = self.take_live().await?;
        let first = live.sent;
        let context = || self.context(operation);
        let mut answers: Vec<Option<Result<Bytes>>> = Vec::new();
        let limit = self.limit;
        self.counters.add_request();
        let exchange = async {
            for request in requests {
                live.send(request).await.map_err(|error| Error::unknown(context(), error))?;
                answers.push(None);
            }
            let mut missing = answers.len();
            while missing > 0 {
                let message = live.receive(context).await?;
                let place = number_of(&message).and_then(|number| number.checked_sub(first));
                // Anything else is an answer to a call that was given up.
                if let Some(answer) = place.and_then(|place| answers.get_mut(usize::try_from(place).ok()?))
                    && answer.is_none()
                {
                    *answer = Some(match message.status {
                        None => Ok(message.payload),
                        Some(status) => Err(of_status(context(), status.as_u16(), &message)),
                    });
                    missing -= 1;
                }
            }
            Ok(())
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(no_answer(context(), limit)))?;
        self.live = Some(live);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Sends `request` and hands every message that comes to `take`, until that breaks off; returns what it says then. `waits_for` is how
    /// long the server itself may hold messages back.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when the end of it did not come; else what `take` says.
    pub(super) async fn pull<E>(
        &mut self,
        operation: &str,
        request: Request,
        waits_for: Duration,
        mut take: impl FnMut(Message, &dyn Fn() -> String) -> Result<ControlFlow<E>>,
    ) -> Result<E> {
        let mut live = self.take_live().await?;
        let context = || self.context(operation);
        let limit = self.limit + waits_for;
        self.counters.add_request();
        let exchange = async {
            live.send(request).await.map_err(|error| Error::unknown(context(), error))?;
            loop {
                let message = live.receive(context).await?;
                if let ControlFlow::Break(end) = take(message, &context)? {
                    return Ok(end);
                }
            }
        };
        // After what `take` refused, more may be on the way.
        let end = timeout(limit, exchange).await.unwrap_or_else(|_| Err(no_answer(context(), limit)))?;
        self.live = Some(live);
        Ok(end)
    }

    /// The open connection, or a new one. Whoever takes it gives it back when nothing of the call is left on the way.
    async fn take_live(&mut self) -> Result<Live> {
        match self.live.take() {
            Some(mut live) if live.client.connection_state() == State::Connected => {
                // What broke before is mended; from here on a break is ours.
                live.troubles.mark_unchanged();
                Ok(live)
            }
            _ => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Live> {
        let (trouble, troubles) = watch::channel(None);
        let login = self.address.login.as_ref();
        let client = open(&self.url, &self.address, login, &self.name, self.limit, trouble).await?;
        let inbox = client.new_inbox();
        let answers = client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| Error::new(ErrorKind::Connect, format!("connect to {}", self.url), error.to_string()))?;
        Ok(Live { client, answers, inbox, sent: 0, troubles })
    }
}

/// Connects to the server at `url` under `name`, for the harness's side of this room.
///
/// # Errors
/// [`ErrorKind::Config`] for a URL that is none; [`ErrorKind::Connect`] when the server cannot be reached, or refuses us.
pub async fn connect(url: &ServerUrl, name: &str, limit: Duration) -> Result<Client> {
    let address = Address::parse(url)?;
    open(url, &address, address.login.as_ref(), name, limit, watch::Sender::default()).await
}

/// How every connection of ours is opened. What goes wrong with it later is said to `trouble`: the server's own words, or none when
/// it breaks.
pub(super) async fn open(
    url: &ServerUrl,
    address: &Address,
    login: Option<&Login>,
    name: &str,
    limit: Duration,
    trouble: watch::Sender<Option<String>>,
) -> Result<Client> {
    let options = ConnectOptions::new()
        .name(name)
        .connection_timeout(limit)
        .max_reconnects(RECONNECTS)
        // One server is measured, not a cluster.
        .ignore_discovered_servers()
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => drop(trouble.send_replace(None)),
                Event::ServerError(error) => drop(trouble.send_replace(Some(error.to_string()))),
                _ => {}
            }
            async {}
        });
    let options = match login {
        Some(login) => options.user_and_password(login.user.clone(), login.password.clone()),
        None => options,
    };
    let connecting = async {
        // The library would begin with TLS, which it was built without, and end the program.
        if asks_for_tls(address).await.map_err(unreachable)? {
            return Err("the server asks for TLS, and only plain TCP connections are supported".to_owned());
        }
        options.connect(address.server.clone()).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                "the server refuses the user name or password; give the right ones in the URL (nats://user:password@host:port)"
                    .to_owned()
            }
            _ => unreachable(url.conceal_in(&error.to_string())),
        })
    };
    let message = match timeout(limit, connecting).await {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(message)) => message,
        Err(_) => format!(
            "no answer within {limit:?}; check that the address and port are right and that no firewall is in between"
        ),
    };
    Err(Error::new(ErrorKind::Connect, format!("connect to {url}"), message))
}

/// That there is no way to the server, with what to look at.
fn unreachable(said: impl std::fmt::Display) -> String {
    format!("{said}; check that the server runs and that address and port are right")
}

/// Whether a server wants TLS: it says so in its first line, before anything else.
async fn asks_for_tls(address: &Address) -> io::Result<bool> {
    let stream = TcpStream::connect((address.host().trim_matches(['[', ']']), address.port())).await?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES_MAX)).read_line(&mut line).await?;
    let info = line.strip_prefix("INFO ").and_then(|info| serde_json::from_str::<Value>(info.trim()).ok());
    match info {
        Some(info) => Ok(info["tls_required"] == true),
        None => Err(io::Error::other("what answers there is no NATS server")),
    }
}

impl Live {
    async fn send(&mut self, Request { subject, payload }: Request) -> Result<(), String> {
        let reply = format!("{}.{}", self.inbox, self.sent);
        self.sent += 1;
        self.client.publish_with_reply(subject, reply, payload).await.map_err(|error| error.to_string())
    }

    /// The next message, or why there will be none.
    async fn receive(&mut self, context: impl Fn() -> String) -> Result<Message> {
        tokio::select! {
            // What has come is taken, even of a connection that broke afterwards.
            biased;
            message = self.answers.next() => message.ok_or_else(|| Error::unknown(context(), "the connection ended")),
            _ = self.troubles.changed() => match self.troubles.borrow_and_update().as_deref() {
                None => Err(Error::unknown(context(), "the connection broke")),
                // Of what we may not send or hear, nothing happened.
                Some(said) if said.to_lowercase().contains("permissions violation") => {
                    let message = format!("the server answered: {said}; the user in the URL lacks the permission");
                    Err(Error::new(ErrorKind::Connect, context(), message))
                }
                Some(said) => Err(Error::unknown(context(), said)),
            },
        }
    }
}

/// The number of the request that a message answers.
fn number_of(message: &Message) -> Option<u64> {
    message.subject.as_str().rsplit('.').next()?.parse().ok()
}

fn no_answer(context: String, limit: Duration) -> Error {
    Error::unknown(context, format!("no answer within {limit:?}"))
}
