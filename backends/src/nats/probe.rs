//! A look past the backend of this room.

use std::time::Duration;

use async_nats::{Client, Message};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::address::Address;
use super::connection::open;
use crate::error::Result;
use crate::probe::{NOTE, Probe, ServerProbe, failed};
use crate::url::ServerUrl;

const LIMIT: Duration = Duration::from_secs(10);
/// Name of its connections, which are not those that it cuts.
const NAME: &str = "qbench probe";

/// How a NATS server is looked at.
pub(super) struct NatsProbe;

#[async_trait]
impl Probe for NatsProbe {
    async fn connect(&self, url: &ServerUrl) -> Result<Box<dyn ServerProbe>> {
        let address = Address::parse(url)?;
        let client = open(url, &address, address.login.as_ref(), NAME, LIMIT, watch::Sender::default()).await?;
        Ok(Box::new(Nats { url: url.clone(), address, client }))
    }

    fn dead_address(&self) -> Option<ServerUrl> {
        Some(ServerUrl::new("nats://ann:s3cret@127.0.0.1:1"))
    }
}

/// Asks a service of the server.
async fn ask(client: &Client, subject: String, request: &Value) -> Result<Value> {
    let payload = if request.is_null() { String::new() } else { request.to_string() };
    let Message { payload, .. } = client.request(subject, payload.into()).await.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&payload).map_err(failed)?;
    match answer.get("error") {
        Some(error) => Err(failed(error)),
        None => Ok(answer),
    }
}

struct Nats {
    url: ServerUrl,
    address: Address,
    client: Client,
}

impl Nats {
    async fn api(&self, method: &str, request: &Value) -> Result<Value> {
        ask(&self.client, format!("$JS.API.{method}"), request).await
    }
}

#[async_trait]
impl ServerProbe for Nats {
    async fn objects(&mut self, namespace: &str) -> Result<Vec<String>> {
        let prefix = format!("{namespace}-");
        let mut streams = Vec::new();
        loop {
            let page = self.api("STREAM.NAMES", &json!({"offset": streams.len()})).await?;
            let names = page["streams"].as_array().map_or(&[][..], Vec::as_slice);
            streams.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
            if names.is_empty() || streams.len() as u64 >= page["total"].as_u64().unwrap_or(0) {
                streams.retain(|name| name.starts_with(&prefix));
                return Ok(streams);
            }
        }
    }

    async fn plant(&mut self, _namespace: &str, object: &str) -> Result<()> {
        let subject = format!("planted.{object}");
        let stream = json!({"name": object, "subjects": [subject], "storage": "memory", "retention": "limits"});
        self.api(&format!("STREAM.CREATE.{object}"), &stream).await?;
        self.client.request(subject, NOTE.into()).await.map_err(failed)?;
        Ok(())
    }

    async fn is_intact(&mut self, _namespace: &str, object: &str) -> Result<bool> {
        let info = self.api(&format!("STREAM.INFO.{object}"), &Value::Null).await?;
        Ok(info["state"]["messages"] == 1 && info["config"]["subjects"] == json!([format!("planted.{object}")]))
    }

    async fn uproot(&mut self, _namespace: &str, object: &str) -> Result<()> {
        self.api(&format!("STREAM.DELETE.{object}"), &Value::Null).await.map(|_| ())
    }

    /// Only the system account may end connections of others.
    async fn cut_connections(&mut self, namespace: &str) -> Result<usize> {
        let Some(login) = &self.address.system else {
            return Err(failed("the URL names no system_user, who alone may cut connections"));
        };
        let system = open(&self.url, &self.address, Some(login), NAME, LIMIT, watch::Sender::default()).await?;
        let server = system.server_info().server_id;
        let connections = ask(&system, format!("$SYS.REQ.SERVER.{server}.CONNZ"), &json!({"limit": 10_000})).await?;
        let connections = connections["data"]["connections"].as_array().cloned().unwrap_or_default();
        let mut cut = 0;
        for connection in connections {
            let ours = connection["name"].as_str().is_some_and(|name| {
                name.starts_with("qbench:") && name.rsplit(':').next().is_some_and(|last| last == namespace)
            });
            if ours {
                let request = json!({"cid": connection["cid"]});
                ask(&system, format!("$SYS.REQ.SERVER.{server}.KICK"), &request).await?;
                cut += 1;
            }
        }
        Ok(cut)
    }
}
