//! The messages between the harness and an adapter, one JSON object a line. docs/EXTERNAL_ADAPTERS.md says what each means.

use std::borrow::Cow;
use std::collections::BTreeMap;

use qbench_schema::result::Durability;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// Version of the protocol. Any change that an adapter could notice raises it.
pub(super) const VERSION: u32 = 1;

/// What the harness sends. Those with an `id` around them ([`Numbered`]) are answered exactly once, in any order.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Request<'a> {
    Hello(Hello<'a>),
    Describe,
    Setup,
    Reset,
    Settle,
    Depth,
    Census,
    Teardown,
    Open {
        channel: u32,
        role: Role,
        /// Producer or worker of the run, counted from 0.
        number: u32,
    },
    Enqueue {
        channel: u32,
        /// Numbers as text: they do not fit into the numbers of every language.
        jobs: Vec<String>,
        payload: OutgoingPayload,
    },
    Claim {
        channel: u32,
        limit: u32,
        wait_ms: u64,
    },
    Reclaim {
        channel: u32,
        limit: u32,
    },
    Ack {
        channel: u32,
        deliveries: Vec<u64>,
    },
    Nack {
        channel: u32,
        deliveries: Vec<u64>,
    },
    /// Answered when nothing of the channel is in flight any more but `held`.
    Close {
        channel: u32,
        /// Deliveries that a worker took and did not settle. Nobody has seen the others.
        held: Vec<u64>,
    },
    // Notices: these are not answered.
    /// Payload `number` from now on.
    Payload {
        number: u32,
        base64: String,
    },
    /// The harness is ready to hold so many unsettled deliveries of a channel.
    Demand {
        channel: u32,
        jobs: u32,
    },
}

impl Request<'_> {
    /// Its name on the wire, for sentences.
    pub(super) fn op(&self) -> &'static str {
        match self {
            Request::Hello(_) => "hello",
            Request::Describe => "describe",
            Request::Setup => "setup",
            Request::Reset => "reset",
            Request::Settle => "settle",
            Request::Depth => "depth",
            Request::Census => "census",
            Request::Teardown => "teardown",
            Request::Open { .. } => "open",
            Request::Enqueue { .. } => "enqueue",
            Request::Claim { .. } => "claim",
            Request::Reclaim { .. } => "reclaim",
            Request::Ack { .. } => "ack",
            Request::Nack { .. } => "nack",
            Request::Payload { .. } => "payload",
            Request::Demand { .. } => "demand",
            Request::Close { .. } => "close",
        }
    }
}

/// A request that is answered.
#[derive(Serialize)]
pub(super) struct Numbered<'a, 'b> {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) request: &'a Request<'b>,
}

/// Everything that an adapter is opened with. The only message with a password in it: it is never shown.
#[derive(Serialize)]
pub(super) struct Hello<'a> {
    pub(super) protocol: u32,
    pub(super) url: Option<&'a str>,
    pub(super) namespace: &'a str,
    pub(super) durability: Durability,
    pub(super) consume: Consume,
    pub(super) lease_ms: u64,
    pub(super) wake: &'static str,
    pub(super) poll_ms: u64,
    pub(super) workers: u32,
    pub(super) timeout_ms: u64,
    pub(super) options: BTreeMap<&'a str, String>,
}

impl std::fmt::Debug for Hello<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("protocol", &self.protocol)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Producer,
    Consumer,
}

/// Who moves first when a job goes to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Consume {
    /// The harness claims.
    Pull,
    /// The library starts jobs, and the adapter reports them.
    Push,
}

impl Consume {
    /// The word in manifests and options.
    pub(super) fn name(self) -> &'static str {
        match self {
            Consume::Pull => "pull",
            Consume::Push => "push",
        }
    }
}

/// Payloads of one enqueue.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum OutgoingPayload {
    /// Of every job: the one that was registered under this number.
    Registered(u32),
    /// One per job, in base64.
    Each(Vec<String>),
}

/// A line from an adapter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    /// Of the request that this answers.
    pub(super) id: Option<u64>,
    /// For what is no answer: `started`.
    #[serde(borrow)]
    pub(super) event: Option<Cow<'a, str>>,
    /// Of an event.
    pub(super) channel: Option<u32>,
    /// Of `claim`, `reclaim` and `started`.
    #[serde(default, borrow)]
    pub(super) jobs: Vec<Delivery<'a>>,
    /// Of `ack`: positions of deliveries that did not hold any more.
    #[serde(default)]
    pub(super) stale: Vec<u32>,
    /// Of the control side.
    #[serde(default)]
    pub(super) result: Value,
    /// Why it did not happen.
    pub(super) error: Option<WireError>,
}

/// A delivered job: `[delivery, job, attempt, payload]`. Text is copied where it has escapes, which writers of JSON may use for
/// any character.
#[derive(Debug, Deserialize)]
pub(super) struct Delivery<'a>(
    pub(super) u64,
    #[serde(borrow)] pub(super) Cow<'a, str>,
    pub(super) u32,
    #[serde(borrow)] pub(super) IncomingPayload<'a>,
);

/// A delivered payload.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum IncomingPayload<'a> {
    /// Byte for byte the one that was registered under this number.
    Registered(u32),
    /// Another one, in base64.
    Base64(#[serde(borrow)] Cow<'a, str>),
}

/// An error of one request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireError {
    kind: ErrorKind,
    message: String,
    #[serde(default)]
    code: Option<String>,
}

impl WireError {
    /// The same as an error of `context`, with its words as `conceal` makes them.
    pub(super) fn into_error(self, context: &str, conceal: impl Fn(&str) -> String) -> Error {
        let error = Error::new(self.kind, context, conceal(&self.message));
        match self.code {
            Some(code) => error.with_code(conceal(&code)),
            None => error,
        }
    }
}

/// Answer to `hello`.
#[derive(Debug, Deserialize)]
pub(super) struct Welcome {
    pub(super) protocol: u32,
    /// The library and its version, for instance `pgqueuer 1.6.0`.
    #[serde(default)]
    pub(super) library: String,
}

/// Answer to `describe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub(super) engine: String,
    pub(super) version: String,
    pub(super) durability: Durability,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) objects: Vec<String>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_flat_object() {
        let request = Request::Enqueue {
            channel: 3,
            jobs: vec!["7".into(), "9223372036854775807".into()],
            payload: OutgoingPayload::Registered(0),
        };
        assert_eq!(
            serde_json::to_string(&Numbered { id: 5, request: &request }).unwrap(),
            r#"{"id":5,"op":"enqueue","channel":3,"jobs":["7","9223372036854775807"],"payload":0}"#
        );
        assert_eq!(serde_json::to_string(&Request::Describe).unwrap(), r#"{"op":"describe"}"#);
    }

    #[test]
    fn text_with_escapes_is_read() {
        // As PHP writes `/`, and .NET writes `+`.
        let line = r#"{"event":"st\u0061rted","channel":1,"jobs":[[4,"1\u0037",1,"AA\/\u002B"]]}"#;
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        let Delivery(_, job, _, payload) = &line.jobs[0];
        assert_eq!((line.event.as_deref(), &**job), (Some("started"), "17"));
        assert!(matches!(payload, IncomingPayload::Base64(text) if text == "AA/+"), "{payload:?}");
        // Without escapes nothing is copied.
        let line: Line<'_> = serde_json::from_str(r#"{"event":"started","jobs":[[4,"17",1,"AA=="]]}"#).unwrap();
        let Delivery(_, job, _, payload) = &line.jobs[0];
        assert!(matches!(job, Cow::Borrowed(_)));
        assert!(matches!(payload, IncomingPayload::Base64(Cow::Borrowed(_))));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let line = r#"{"event":"started","channel":1,"jobs":[[4,"17",1,0],[5,"18",2,"AAEC"]]}"#;
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        assert_eq!((line.jobs[1].0, &*line.jobs[1].1, line.jobs[1].2), (5, "18", 2));
        for rubbish in ["hello", "{\"id\":1,\"jobs\":[[1]]}", "{\"id\":\"x\"}", "{\"idd\":1}", ""] {
            assert!(serde_json::from_str::<Line<'_>>(rubbish).is_err(), "{rubbish}");
        }
    }
}
