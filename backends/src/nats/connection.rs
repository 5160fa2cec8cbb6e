//! One connection that mends itself.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::{Address, Login};
use super::failure::{api_error, of_api, of_status};
use super::settings::Settings;
use crate::counters::ClientCounters;
use crate::error::{Error, ErrorKind, Result};
use crate::url::ServerUrl;

/// Attempts of the library to open a broken connection anew. It has to give up: what we had sent would otherwise arrive whenever
/// the server comes back, and we open another connection by ourselves.
const RECONNECTS: usize = 1;

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
    /// Changes when the connection breaks.
    broken: watch::Receiver<()>,
}

/// One message to the server that wants an answer.
pub(super) struct Request {
    pub(super) subject: String,
    pub(super) payload: Bytes,
}

/// Whether a call goes on.
pub(super) enum Next {
    /// There is more to come.
    More,
    /// That was all.
    Done,
}

impl Link {
    /// Connects for a producer, claimer or acker, whose requests the run counts.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Link::counting(settings, settings.config.counters.clone()).await
    }

    /// Connects for the control side, whose requests are not the run's.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn open_admin(settings: &Settings) -> Result<Self> {
        Link::counting(settings, ClientCounters::default()).await
    }

    /// Connects now, so that a wrong address is found before the measured window. Every call is counted in `counters`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no URL; [`ErrorKind::Connect`] when the server cannot be reached, or refuses us.
    async fn counting(settings: &Settings, counters: ClientCounters) -> Result<Self> {
        let mut link = Link {
            url: settings.config.require_url()?.clone(),
            address: settings.address()?.clone(),
            limit: settings.config.timeout,
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
        let message = format!("the server answered {what}; is it a NATS 2.10 or newer, and is the stream ours?");
        Error::new(ErrorKind::Server, self.context(operation), message)
    }

    /// What the server told of itself when we connected.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn server(&mut self) -> Result<async_nats::ServerInfo> {
        let live = self.take_live().await?;
        let info = live.client.server_info();
        self.live = Some(live);
        Ok(info)
    }

    /// Largest payload that the server takes in one message.
    ///
    /// # Errors
    /// As [`Link::counting`].
    pub(super) async fn max_payload(&mut self) -> Result<usize> {
        let live = self.take_live().await?;
        let bytes = live.client.max_payload();
        self.live = Some(live);
        Ok(bytes)
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
            Some(Answer { status: None, payload, .. }) => payload,
            Some(Answer { status: Some(_), error, .. }) => {
                let said = error.as_ref().map(Error::to_string).unwrap_or_default();
                let message = format!("{said}; is JetStream on there (`jetstream {{}}` in its configuration, or -js)?");
                return Err(Error::new(ErrorKind::Connect, self.context(operation), message));
            }
            None => return Err(self.unexpected(operation, "nothing")),
        };
        serde_json::from_slice(answer).map_err(|_| self.unexpected(operation, "something else than JSON"))
    }

    /// Sends all `requests` and waits until each has its answer; the answers come in the order of the requests.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when not all answers came: any of the requests may have been carried out.
    pub(super) async fn ask(
        &mut self,
        operation: &str,
        requests: impl IntoIterator<Item = Request>,
    ) -> Result<Vec<Answer>> {
        let mut live = self.take_live().await?;
        let first = live.sent;
        let context = || self.context(operation);
        let mut answers: Vec<Option<Answer>> = Vec::new();
        let limit = self.limit;
        self.counters.add_request();
        let exchange = async {
            for request in requests {
                live.send(request).await.map_err(|error| unknown(context(), &error))?;
                answers.push(None);
            }
            let mut missing = answers.len();
            while missing > 0 {
                let message = live.receive().await.map_err(|what| unknown(context(), what))?;
                let place = number_of(&message).and_then(|number| number.checked_sub(first));
                // Anything else is an answer to a call that was given up.
                if let Some(answer) = place.and_then(|place| answers.get_mut(usize::try_from(place).ok()?))
                    && answer.is_none()
                {
                    *answer = Some(Answer::of(message, context));
                    missing -= 1;
                }
            }
            Ok(())
        };
        match timeout(limit, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(no_answer(context(), limit)),
        }
        self.live = Some(live);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Sends `request` and hands every message that comes to `take`, until that has enough. `waits_for` is how long the server itself
    /// may hold messages back.
    ///
    /// # Errors
    /// [`ErrorKind::Unknown`] when the end of it did not come; else what `take` says.
    pub(super) async fn pull(
        &mut self,
        operation: &str,
        request: Request,
        waits_for: Duration,
        mut take: impl FnMut(Message, &dyn Fn() -> String) -> Result<Next>,
    ) -> Result<()> {
        let mut live = self.take_live().await?;
        let context = || self.context(operation);
        let limit = self.limit + waits_for;
        self.counters.add_request();
        let exchange = async {
            live.send(request).await.map_err(|error| unknown(context(), &error))?;
            loop {
                let message = live.receive().await.map_err(|what| unknown(context(), what))?;
                if let Next::Done = take(message, &context)? {
                    return Ok::<(), Error>(());
                }
            }
        };
        match timeout(limit, exchange).await {
            Ok(Ok(())) => {}
            // What `take` refused was the end of an answer: nothing more of it is on the way.
            Ok(Err(error)) if error.kind() != ErrorKind::Unknown => {
                self.live = Some(live);
                return Err(error);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(no_answer(context(), limit)),
        }
        self.live = Some(live);
        Ok(())
    }

    /// Sends `requests` and waits for nothing but that they are on their way.
    pub(super) async fn tell(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<()> {
        let live = self.take_live().await?;
        for Request { subject, payload } in requests {
            let sent = live.client.publish(subject, payload).await;
            sent.map_err(|error| unknown(self.context("tell"), &error.to_string()))?;
        }
        self.live = Some(live);
        Ok(())
    }

    /// The open connection, or a new one. Whoever takes it gives it back when nothing of the call is left on the way.
    async fn take_live(&mut self) -> Result<Live> {
        match self.live.take() {
            Some(mut live) if live.client.connection_state() == State::Connected => {
                // What broke before is mended; from here on a break is ours.
                live.broken.mark_unchanged();
                Ok(live)
            }
            _ => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Live> {
        let (breaks, broken) = watch::channel(());
        let (client, answers, inbox) = match timeout(self.limit, async {
            let client = options(&self.name, self.address.login.as_ref(), self.limit, breaks)
                .connect(self.address.server.clone())
                .await
                .map_err(|error| self.connect_error(error.kind(), &error))?;
            let inbox = client.new_inbox();
            let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|error| {
                Error::new(ErrorKind::Connect, format!("connect to {}", self.url), error.to_string())
            })?;
            Ok((client, answers, inbox))
        })
        .await
        {
            Ok(connected) => connected?,
            Err(_) => return Err(self.connect_error(ConnectErrorKind::TimedOut, &"no answer")),
        };
        Ok(Live { client, answers, inbox, sent: 0, broken })
    }

    fn connect_error(&self, kind: ConnectErrorKind, said: &dyn std::fmt::Display) -> Error {
        connect_error(&self.url, self.limit, kind, said)
    }
}

/// Connects to the server at `url` under `name`, for the harness's side of this room.
///
/// # Errors
/// [`ErrorKind::Config`] for a URL that is none; [`ErrorKind::Connect`] when the server cannot be reached, or refuses us.
pub async fn connect(url: &ServerUrl, name: &str, limit: Duration) -> Result<Client> {
    let address = Address::parse(url)?;
    let (breaks, _) = watch::channel(());
    let connecting = options(name, address.login.as_ref(), limit, breaks).connect(address.server);
    match timeout(limit, connecting).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(connect_error(url, limit, error.kind(), &error)),
        Err(_) => Err(connect_error(url, limit, ConnectErrorKind::TimedOut, &"no answer")),
    }
}

/// How every connection of ours is opened. `breaks` is changed whenever it breaks.
pub(super) fn options(name: &str, login: Option<&Login>, limit: Duration, breaks: watch::Sender<()>) -> ConnectOptions {
    let options = ConnectOptions::new()
        .name(name)
        .connection_timeout(limit)
        .max_reconnects(RECONNECTS)
        // One server is measured, not a cluster.
        .ignore_discovered_servers()
        .event_callback(move |event| {
            if matches!(event, Event::Disconnected | Event::Closed) {
                breaks.send_replace(());
            }
            async {}
        });
    match login {
        Some(login) => options.user_and_password(login.user.clone(), login.password.clone()),
        None => options,
    }
}

fn connect_error(url: &ServerUrl, limit: Duration, kind: ConnectErrorKind, said: &dyn std::fmt::Display) -> Error {
    let message = match kind {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            "the server refuses the user name or password; give the right ones in the URL (nats://user:password@host:port)"
                .to_owned()
        }
        ConnectErrorKind::TimedOut => format!(
            "no answer within {limit:?}; check that the address and port are right and that no firewall is in between"
        ),
        _ => format!("{}; check that the server runs and that address and port are right", url.conceal_in(&said.to_string())),
    };
    Error::new(ErrorKind::Connect, format!("connect to {url}"), message)
}

impl Live {
    async fn send(&mut self, Request { subject, payload }: Request) -> Result<(), String> {
        let reply = format!("{}.{}", self.inbox, self.sent);
        self.sent += 1;
        self.client.publish_with_reply(subject, reply, payload).await.map_err(|error| error.to_string())
    }

    /// The next message, or why there will be none.
    async fn receive(&mut self) -> Result<Message, &'static str> {
        tokio::select! {
            // What has come is taken, even of a connection that broke afterwards.
            biased;
            message = self.answers.next() => message.ok_or("the connection ended"),
            _ = self.broken.changed() => Err("the connection broke"),
        }
    }
}

/// What came back for one request.
pub(super) struct Answer {
    pub(super) payload: Bytes,
    /// The status that came in place of an answer.
    pub(super) status: Option<u16>,
    /// The same as an error.
    pub(super) error: Option<Error>,
}

impl Answer {
    fn of(message: Message, context: impl Fn() -> String) -> Self {
        let status = message.status.map(|status| status.as_u16());
        let error = status.map(|status| of_status(context(), status, &message));
        Answer { payload: message.payload, status, error }
    }
}

/// The number of the request that a message answers.
fn number_of(message: &Message) -> Option<u64> {
    message.subject.as_str().rsplit('.').next()?.parse().ok()
}

fn unknown(context: String, what: &str) -> Error {
    Error::new(ErrorKind::Unknown, context, format!("{what}, so it may or may not have happened"))
}

fn no_answer(context: String, limit: Duration) -> Error {
    Error::new(ErrorKind::Unknown, context, format!("no answer within {limit:?}, so it may or may not have happened"))
}
