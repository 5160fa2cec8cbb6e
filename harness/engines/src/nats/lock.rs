//! Locks a given NATS server against other runs: a message that a living run renews, and that outlives a dead one by a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use qbench_backends::nats::client::{Client, HeaderMap, Request};
use qbench_backends::nats::connect;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::monitor::server::CONNECT_LIMIT;
use crate::services::given::said;
use crate::services::lock::{LIFETIME, RENEWAL, ServerLock, Taken, new_holder};

/// "The last message has this place in the stream", a condition of a publish; 0 where there must be none.
const EXPECTED_LAST: &str = "Nats-Expected-Last-Sequence";
/// JetStream's error when that does not hold (`JSStreamWrongLastSequenceErrF`).
const WRONG_LAST: u64 = 10071;

/// Name of its connections.
const NAME: &str = "qbench lock";

/// A stream of one message, which says who holds the lock.
#[derive(Clone)]
struct Stream {
    client: Client,
    name: String,
    subject: String,
    holder: String,
}

impl Stream {
    async fn api(&self, method: &str, request: &Value) -> Result<Value, String> {
        let payload = if request.is_null() { String::new() } else { request.to_string() };
        let answer =
            self.client.request(format!("$JS.API.{method}.{}", self.name), payload.into()).await.map_err(said)?;
        serde_json::from_slice(&answer.payload).map_err(said)
    }

    /// Makes the stream, unless it is there.
    async fn make(&self) -> Result<(), String> {
        let stream = json!({
            "name": self.name,
            "subjects": [self.subject],
            "storage": "memory",
            "retention": "limits",
            "max_msgs": 1,
            "allow_direct": true,
            "max_age": LIFETIME.as_nanos() as u64,
        });
        match self.api("STREAM.CREATE", &stream).await?.get("error") {
            None => Ok(()),
            Some(error) => Err(error["description"].to_string()),
        }
    }

    /// Publishes the message if `last` is the last one; returns its place, or `None` when another one came meanwhile.
    async fn publish(&self, last: u64) -> Result<Option<u64>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_LAST, last.to_string().as_str());
        let request = Request::new().headers(headers).payload(self.holder.clone().into());
        let answer = self.client.send_request(self.subject.clone(), request).await.map_err(said)?;
        let answer: Value = serde_json::from_slice(&answer.payload).map_err(said)?;
        match (answer["seq"].as_u64(), answer["error"]["err_code"].as_u64()) {
            (Some(place), _) => Ok(Some(place)),
            (None, Some(WRONG_LAST)) => Ok(None),
            _ => Err(answer["error"]["description"].to_string()),
        }
    }

    /// Place of the last message that there ever was, and whether it is still there.
    async fn last(&self) -> Result<(u64, bool), String> {
        let state = self.api("STREAM.INFO", &Value::Null).await?["state"].take();
        match (state["last_seq"].as_u64(), state["messages"].as_u64()) {
            (Some(last), Some(messages)) => Ok((last, messages > 0)),
            _ => Err("the server does not tell the state of the lock".to_owned()),
        }
    }

    /// Who holds the lock.
    async fn found(&self) -> Result<String, String> {
        let question = json!({"last_by_subj": self.subject}).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{}", self.name);
        let answer = self.client.request(subject, question.into()).await.map_err(said)?;
        Ok(String::from_utf8_lossy(&answer.payload).into_owned())
    }

    /// Takes the lock, unless somebody else has it; returns the place of our message.
    async fn take(&self) -> Result<Option<u64>, String> {
        self.make().await?;
        match self.last().await? {
            (last, false) => self.publish(last).await,
            // A renewal whose answer was lost.
            (last, true) if self.found().await? == self.holder => Ok(Some(last)),
            (_, true) => Ok(None),
        }
    }
}

/// The stream, and the task that renews its message and ends with this value.
struct StreamLock {
    stream: Arc<Stream>,
    /// Place of our message.
    place: Arc<AtomicU64>,
    renewal: JoinSet<()>,
}

#[async_trait]
impl ServerLock for StreamLock {
    /// Whoever tries to take the lock between the two steps is told of an error and goes on without one, as where there is no lock.
    async fn unlock(self: Box<Self>) {
        let StreamLock { stream, place, renewal } = *self;
        drop(renewal);
        if stream.last().await == Ok((place.load(Ordering::Relaxed), true)) {
            // The message of a run that is killed expires, and its empty stream stays.
            let _ = stream.api("STREAM.DELETE", &Value::Null).await;
        }
    }
}

/// Locks the objects of `namespace` on the server at `url`.
pub(super) async fn take(url: &ServerUrl, namespace: &str) -> Result<Taken, String> {
    let client = connect(url, NAME, CONNECT_LIMIT).await.map_err(said)?;
    let holder = new_holder();
    let (name, subject) = (format!("{namespace}-lock"), format!("{namespace}.lock"));
    let stream = Arc::new(Stream { client, name, subject, holder });
    let Some(place) = stream.take().await? else { return Ok(Taken::Other(stream.found().await?)) };
    let place = Arc::new(AtomicU64::new(place));
    let mut renewal = JoinSet::new();
    renewal.spawn(renew(url.clone(), Arc::clone(&stream), Arc::clone(&place)));
    Ok(Taken::Ours(Box::new(StreamLock { stream, place, renewal })))
}

/// Renews the message for as long as it is asked. A server that was away or restarted is asked again, over a new connection: the
/// library gives up an old one for good.
async fn renew(url: ServerUrl, stream: Arc<Stream>, place: Arc<AtomicU64>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let renewed = match stream.publish(place.load(Ordering::Relaxed)).await {
            Ok(Some(place)) => Ok(Some(place)),
            _ => take_anew(&url, &stream).await,
        };
        match renewed {
            Ok(Some(renewed)) => place.store(renewed, Ordering::Relaxed),
            Ok(None) => tracing::warn!("another run has the lock of {} now: both measure each other", stream.name),
            Err(error) => tracing::debug!("{error}"),
        }
    }
}

async fn take_anew(url: &ServerUrl, stream: &Stream) -> Result<Option<u64>, String> {
    let client = connect(url, NAME, CONNECT_LIMIT).await.map_err(said)?;
    Stream { client, ..stream.clone() }.take().await
}
