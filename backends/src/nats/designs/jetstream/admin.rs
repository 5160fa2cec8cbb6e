//! Control side: setup, reset and counts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use qbench_schema::result::Durability;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::nats::connection::Link;
use crate::nats::describe;
use crate::nats::durability::{durability, storage};
use crate::nats::monitoring;
use crate::nats::ownership::{self, OWNER, OWNER_KEY, Ownership};
use crate::nats::settings::{Names, Settings};
use crate::seam::{Admin, Census, Depth, Description};

/// Place of the last message before the first job, in the stream's metadata.
const BASE_KEY: &str = "base";

/// Pulls that may wait at the server: more than any run has workers (its default is 512).
const WAITING_MAX: u32 = 65_536;

pub(super) struct JetstreamAdmin {
    link: Link,
    settings: Settings,
}

impl JetstreamAdmin {
    pub(super) async fn open(settings: &Settings) -> Result<Self> {
        Ok(JetstreamAdmin { link: Link::open_admin(settings).await?, settings: settings.clone() })
    }

    fn stream(&self) -> &str {
        &self.settings.names.stream
    }

    /// `/varz` of the server that we are connected to; a URL may name the monitoring port of another one.
    async fn varz(&self, server_id: &str) -> Result<Value, String> {
        let varz = monitoring::read(self.link.address(), "/varz", self.settings.config.timeout).await?;
        match varz["server_id"] == server_id {
            true => Ok(varz),
            false => Err("the monitoring port in the URL is another server's".to_owned()),
        }
    }

    /// What stream and consumer are really like, once they are there.
    async fn read_back(&mut self) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "describe";
        let mut settings = BTreeMap::new();
        let consumer = format!("{}.{}", self.stream(), Names::CONSUMER);
        for (what, method, fields) in [
            ("stream", format!("STREAM.INFO.{}", self.stream()), &["retention", "storage", "num_replicas"][..]),
            (
                "consumer",
                format!("CONSUMER.INFO.{consumer}"),
                &["ack_policy", "ack_wait", "max_ack_pending", "max_waiting"],
            ),
        ] {
            let info = self.link.try_api(OPERATION, &method, &Value::Null).await?;
            for field in fields {
                match &info["config"][*field] {
                    Value::Null => {}
                    Value::String(value) => drop(settings.insert(format!("{what}.{field}"), value.clone())),
                    value => drop(settings.insert(format!("{what}.{field}"), value.to_string())),
                }
            }
        }
        Ok(settings)
    }

    /// One request about the stream: `verb` is for instance `STREAM.INFO`.
    async fn call(&mut self, operation: &str, verb: &str, request: &Value) -> Result<Value> {
        let method = format!("{verb}.{}", self.stream());
        self.link.api(operation, &method, request).await
    }

    async fn ownership(&mut self) -> Result<Ownership> {
        ownership::of(&mut self.link, &self.settings.names.stream).await
    }

    /// An empty stream whose places begin at `first`, and its consumer.
    async fn make(&mut self, first: u64) -> Result<()> {
        const OPERATION: &str = "set up";
        let stream = json!({
            "name": self.stream(),
            "subjects": [self.settings.names.subject],
            "retention": "workqueue",
            "storage": storage(self.settings.config.durability),
            "discard": "new",
            "num_replicas": 1,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_msg_size": -1,
            "max_age": 0,
            "first_seq": first,
            "metadata": {OWNER_KEY: OWNER, BASE_KEY: (first - 1).to_string()},
        });
        self.call(OPERATION, "STREAM.CREATE", &stream).await?;
        let consumer = json!({
            "stream_name": self.stream(),
            "config": {
                "name": Names::CONSUMER,
                "durable_name": Names::CONSUMER,
                "deliver_policy": "all",
                "replay_policy": "instant",
                "ack_policy": "explicit",
                "ack_wait": self.settings.config.lease.as_nanos() as u64,
                "max_deliver": -1,
                "max_ack_pending": -1,
                "max_waiting": WAITING_MAX,
            },
        });
        let method = format!("CONSUMER.CREATE.{}.{}", self.stream(), Names::CONSUMER);
        let made = self.link.api(OPERATION, &method, &consumer).await;
        if made.is_err() {
            // Half a queue is none.
            let _ = self.call(OPERATION, "STREAM.DELETE", &Value::Null).await;
        }
        made.map(|_| ())
    }

    /// Both counts, and what the stream said.
    ///
    /// The stream knows at once how many messages it holds: all jobs that are not done. How many of them the consumer has delivered it
    /// knows as well; its own count of the others (`num_pending`) follows the stream some time later, and would miss jobs that are
    /// confirmed.
    async fn count(&mut self, operation: &str) -> Result<(Depth, Value)> {
        let method = format!("CONSUMER.INFO.{}.{}", self.stream(), Names::CONSUMER);
        let consumer = self.link.api(operation, &method, &Value::Null).await?;
        let stream = self.call(operation, "STREAM.INFO", &Value::Null).await?;
        let messages = self.number(operation, &stream["state"], "messages")?;
        // Some may have been acked since.
        let in_flight = self.number(operation, &consumer, "num_ack_pending")?.min(messages);
        Ok((Depth { ready: messages - in_flight, in_flight }, stream))
    }

    fn number(&self, operation: &str, info: &Value, field: &str) -> Result<u64> {
        info[field].as_u64().ok_or_else(|| self.link.unexpected(operation, &format!("without {field}")))
    }
}

#[async_trait]
impl Admin for JetstreamAdmin {
    async fn describe(&mut self) -> Result<Description> {
        let server = self.link.server().await?;
        describe::check_version(self.link.context("describe the server of"), &server.version)?;
        let varz = self.varz(&server.server_id).await;
        let asked = storage(self.settings.config.durability);
        let (class, why) = durability(asked, varz.as_ref().map_err(String::as_str));
        let mut settings = varz.as_ref().map(describe::settings).unwrap_or_default();
        let own = [
            ("durability", why.clone()),
            ("go", server.go.clone()),
            ("max_payload", server.max_payload.to_string()),
            ("stream.storage", asked.to_owned()),
        ];
        settings.extend(own.map(|(key, value)| (key.to_owned(), value)));
        settings.extend(self.read_back().await?);
        let mut notes = vec![
            "JetStream takes a late ack of a lease that has passed on, and that of its new holder as well: such a job \
             is acked twice."
                .to_owned(),
        ];
        if class == Durability::D1 {
            notes.push(format!("JetStream, {why}."));
        }
        Ok(Description {
            engine: crate::nats::ENGINE.id.to_owned(),
            version: server.version,
            queue_type: "jetstream",
            durability: class,
            settings,
            objects: vec![self.stream().to_owned()],
            notes,
        })
    }

    /// Places in the stream begin at the microseconds of the clock, so that no old lease names a new job.
    async fn setup(&mut self) -> Result<()> {
        let server = self.link.server().await?;
        describe::check_version(self.link.context("set up"), &server.version)?;
        let mut first = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_micros() as u64);
        if let Ownership::Ours { info } = self.ownership().await? {
            first = first.max(info["state"]["last_seq"].as_u64().unwrap_or(0) + 1);
            self.call("set up", "STREAM.DELETE", &Value::Null).await?;
        }
        self.make(first).await
    }

    /// A purge, which takes what was delivered out of the consumer's account as well. Connections stay.
    async fn reset(&mut self) -> Result<()> {
        const OPERATION: &str = "reset";
        if matches!(self.ownership().await?, Ownership::Nobody) {
            let message = "the queue is not set up, or was removed meanwhile";
            return Err(Error::new(ErrorKind::Server, self.link.context(OPERATION), message));
        }
        self.call(OPERATION, "STREAM.PURGE", &Value::Null).await?;
        let info = self.call(OPERATION, "STREAM.INFO", &Value::Null).await?;
        let base = self.number(OPERATION, &info["state"], "last_seq")?;
        let mut config = info["config"].clone();
        config["metadata"][BASE_KEY] = base.to_string().into();
        self.call(OPERATION, "STREAM.UPDATE", &config).await.map(|_| ())
    }

    async fn depth(&mut self) -> Result<Depth> {
        self.count("depth of").await.map(|(depth, _)| depth)
    }

    /// The places in the stream tell how many jobs there ever were. What is not in it any more is done.
    async fn census(&mut self) -> Result<Census> {
        const OPERATION: &str = "census of";
        let (Depth { ready, in_flight }, stream) = self.count(OPERATION).await?;
        let last = self.number(OPERATION, &stream["state"], "last_seq")?;
        let base = stream["config"]["metadata"][BASE_KEY].as_str().and_then(|base| base.parse::<u64>().ok());
        let base = base.ok_or_else(|| self.link.unexpected(OPERATION, "without the mark that setup made"))?;
        let enqueued = last.saturating_sub(base);
        Ok(Census {
            enqueued: Some(enqueued),
            ready,
            in_flight,
            done: Some(enqueued.saturating_sub(ready + in_flight)),
            dead: 0,
            partitions: Vec::new(),
        })
    }

    async fn teardown(&mut self) -> Result<()> {
        match self.ownership().await? {
            Ownership::Nobody => Ok(()),
            Ownership::Ours { .. } => self.call("tear down", "STREAM.DELETE", &Value::Null).await.map(|_| ()),
        }
    }
}
