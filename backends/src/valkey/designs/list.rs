//! `valkey_list`: the reliable queue on lists. A list of ids that are ready, and for every consumer a list of what it holds.
//!
//! | step | commands |
//! |---|---|
//! | enqueue | a script: payloads into a hash, ids onto the ready list |
//! | claim | a script: LMOVE from the ready list to the consumer's own, and a lease for each id |
//! | waiting | BLMOVE between the same two lists, on the claimer's own connection; then the claim for the id that it moved |
//! | ack, nack | a script that compares the attempt, so that only the present holder settles a job |
//! | reclaim | a script: leases whose deadline has passed, found in a sorted set |
//!
//! **Keys** below `<namespace>:valkey_list:`, with ids that count up from 1 and never repeat:
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `ready` | list | ids that wait; enqueued on the left, claimed on the right |
//! | `held:<consumer>` | list | ids that a consumer holds; the consumer is the client id of its claimer's first connection |
//! | `consumers` | set | consumers that ever asked, so that reclaim knows whose lists to look at |
//! | `jobs` | hash | id to `<job number>:<payload>`, until the ack |
//! | `attempts` | hash | id to deliveries that ended without an ack; no field while there are none |
//! | `leases` | sorted set | `<id>:<consumer>` by deadline, in milliseconds of the server's clock |
//! | `meta` | hash | `last_id`, and `first_id`, after which the ids since the last reset began |
//!
//! **Why a list per consumer** when the leases say who holds what? Because a script cannot wait. BLMOVE can, but gives no
//! lease, and a consumer that is cut off between the two would take the job with it if BLMOVE did not leave it on a list
//! where reclaim finds it. Such a job comes back after two leases instead of one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};

use crate::claimer::Look;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobId, Lease, LeaseToken, NewJob, ProducerId, WorkerId};
use crate::seam::{AckStatus, Acker, Admin, Backend, Census, Consumer, Depth, Description, Producer};
use crate::valkey::connection::Link;
use crate::valkey::control::Control;
use crate::valkey::ownership::Ownership;
use crate::valkey::reply::{array, count, text};
use crate::valkey::settings::Settings;

/// The registry's line.
pub(crate) const ENTRY: Entry = Entry {
    id: "valkey_list",
    engine: crate::valkey::ENGINE,
    summary: "a reliable queue on lists: LMOVE from ready to a list per consumer, leases in a sorted set, scripts",
    colour: Some([136, 34, 85]),
    options: &[],
    variants: &[],
    contract: &|_| Ok(crate::valkey::CONTRACT),
    opener: &|config| Ok(Arc::new(ValkeyList { settings: Settings::new(ENTRY.id, config)? })),
};

struct ValkeyList {
    settings: Settings,
}

#[async_trait]
impl Backend for ValkeyList {
    fn id(&self) -> &'static str {
        ENTRY.id
    }

    async fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Box::new(ListAdmin { control: Control::open(&self.settings).await? }))
    }

    async fn producer(&self, _id: ProducerId) -> Result<Box<dyn Producer>> {
        let queue = Queue::open(&self.settings).await?;
        Ok(Box::new(ListProducer { queue, enqueue: Script::of(include_str!("list/enqueue.lua")) }))
    }

    async fn consumer(&self, _id: WorkerId) -> Result<Consumer> {
        Ok(Consumer {
            // A wait is BLMOVE and a claim, so a job that is there already is claimed without it.
            claimer: self.settings.claimer(ListLook::open(&self.settings).await?, true),
            acker: Box::new(ListAcker {
                queue: Queue::open(&self.settings).await?,
                settle: Script::of(include_str!("list/settle.lua")),
            }),
        })
    }
}

/// A script, and the hash by which the server knows it once it has seen it.
struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn of(text: &'static str) -> Self {
        Script { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

/// The queue as one connection sees it.
struct Queue {
    link: Link,
    prefix: String,
}

impl Queue {
    async fn open(settings: &Settings) -> Result<Self> {
        Ok(Queue { link: Link::open(settings).await?, prefix: settings.keys.prefix.clone() })
    }

    /// Runs `script` on this queue with the arguments that `fill` adds: by its hash, and by its text when the server does
    /// not know it yet or has forgotten it.
    async fn run(&mut self, operation: &str, script: &Script, fill: impl Fn(&mut Cmd)) -> Result<Value> {
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(1).arg(&self.prefix);
            fill(&mut command);
            command
        };
        match self.link.call(operation, &command("EVALSHA", &script.hash), Duration::ZERO).await {
            Err(error) if error.count_key() == "NOSCRIPT" => {
                self.link.call(operation, &command("EVAL", script.text), Duration::ZERO).await
            }
            answered => answered,
        }
    }
}

struct ListProducer {
    queue: Queue,
    enqueue: Script,
}

#[async_trait]
impl Producer for ListProducer {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<()> {
        const OPERATION: &str = "enqueue into";
        let fill = |command: &mut Cmd| {
            for job in jobs {
                command.arg([job.job.0.to_string().as_bytes(), b":", &job.payload].concat());
            }
        };
        let reply = self.queue.run(OPERATION, &self.enqueue, fill).await?;
        match count(&reply) {
            Some(enqueued) if enqueued == jobs.len() as u64 => Ok(()),
            _ => Err(self.queue.link.unexpected(OPERATION, &format!("{reply:?} to {} jobs", jobs.len()))),
        }
    }

    async fn ask_for_nothing(&mut self) -> Result<bool> {
        self.queue.link.ping().await?;
        Ok(true)
    }
}

struct ListLook {
    /// Its connection is the claimer's alone: while BLMOVE waits, nothing else gets through.
    queue: Queue,
    claim: Script,
    reclaim: Script,
    ready: String,
    held: String,
    consumer: u32,
    settings: Settings,
}

impl ListLook {
    async fn open(settings: &Settings) -> Result<Self> {
        const OPERATION: &str = "open a consumer of";
        let mut queue = Queue::open(settings).await?;
        // The server's number of this connection, given out once: no two claimers share a list.
        let reply = queue.link.call(OPERATION, redis::cmd("CLIENT").arg("ID"), Duration::ZERO).await?;
        let consumer = count(&reply).and_then(|id| u32::try_from(id).ok());
        let consumer = consumer.ok_or_else(|| queue.link.unexpected(OPERATION, &format!("{reply:?} to CLIENT ID")))?;
        Ok(ListLook {
            claim: Script::of(include_str!("list/claim.lua")),
            reclaim: Script::of(include_str!("list/reclaim.lua")),
            ready: format!("{}:ready", queue.prefix),
            held: format!("{}:held:{consumer}", queue.prefix),
            queue,
            consumer,
            settings: settings.clone(),
        })
    }

    fn lease_ms(&self) -> u64 {
        self.settings.config.lease.as_millis() as u64
    }

    /// Claims what is ready, after the id that [`ListLook::wait`] moved.
    async fn claim(&mut self, limit: u32, moved: &str, out: &mut Vec<Lease>) -> Result<()> {
        const OPERATION: &str = "claim from";
        let (consumer, lease_ms) = (self.consumer, self.lease_ms());
        let fill = |command: &mut Cmd| {
            command.arg(consumer).arg(limit).arg(lease_ms).arg(moved);
        };
        let reply = self.queue.run(OPERATION, &self.claim, fill).await?;
        self.append(OPERATION, reply, out)
    }

    /// Waits on the server for a job, and returns its id, which is on our list then.
    async fn wait(&mut self, wait: Duration) -> Result<Option<String>> {
        const OPERATION: &str = "wait for a job in";
        let mut command = redis::cmd("BLMOVE");
        // 0 would mean for ever.
        command.arg(&self.ready).arg(&self.held).arg("RIGHT").arg("LEFT").arg(wait.as_secs_f64().max(0.001));
        match self.queue.link.call(OPERATION, &command, wait).await? {
            Value::Nil => Ok(None),
            reply => match text(&reply) {
                Some(id) => Ok(Some(id.to_owned())),
                None => Err(self.queue.link.unexpected(OPERATION, &format!("{reply:?} to BLMOVE"))),
            },
        }
    }

    /// Appends the leases in the reply of a claim or a reclaim.
    fn append(&self, operation: &str, reply: Value, out: &mut Vec<Lease>) -> Result<()> {
        let fields = array(reply).unwrap_or_default();
        for job in fields.chunks_exact(3) {
            let lease = lease(job, self.consumer).ok_or_else(|| {
                self.queue
                    .link
                    .unexpected(operation, "a job without number and payload (somebody else writes to these keys)")
            })?;
            out.push(lease);
        }
        Ok(())
    }
}

impl Look for ListLook {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.claim(limit, "", out).await
    }

    async fn take_held(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        match self.wait(wait).await? {
            Some(moved) => self.claim(limit, &moved, out).await,
            None => Ok(()),
        }
    }

    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        const OPERATION: &str = "reclaim from";
        let (consumer, lease_ms) = (self.consumer, self.lease_ms());
        let fill = |command: &mut Cmd| {
            command.arg(consumer).arg(limit).arg(lease_ms);
        };
        let reply = self.queue.run(OPERATION, &self.reclaim, fill).await?;
        self.append(OPERATION, reply, out)
    }
}

/// The lease of `[id, deliveries before, <job number>:<payload>]`, held by `consumer`; `None` when it is not one of ours.
///
/// The token is the id, and attempt and consumer as the halves of one word: all that `settle.lua` asks for.
fn lease(job: &[Value], consumer: u32) -> Option<Lease> {
    let [id, before, Value::BulkString(job)] = job else { return None };
    let attempt = u32::try_from(count(before)?).ok()?.checked_add(1)?;
    let colon = job.iter().position(|byte| *byte == b':')?;
    let number = std::str::from_utf8(&job[..colon]).ok()?.parse().ok()?;
    Some(Lease {
        job: JobId(number),
        attempt,
        payload: Bytes::copy_from_slice(&job[colon + 1..]),
        token: LeaseToken([count(id)?, u64::from(attempt) << 32 | u64::from(consumer)]),
    })
}

struct ListAcker {
    queue: Queue,
    settle: Script,
}

impl ListAcker {
    /// Ends the deliveries of `leases` by `verb`; says of each one, in order, whether it still held.
    async fn settle(&mut self, operation: &str, verb: &str, leases: &[Lease]) -> Result<Vec<bool>> {
        let fill = |command: &mut Cmd| {
            command.arg(verb);
            for LeaseToken([id, attempt_and_consumer]) in leases.iter().map(|lease| lease.token) {
                command.arg(id).arg(attempt_and_consumer >> 32).arg(attempt_and_consumer as u32);
            }
        };
        let reply = self.queue.run(operation, &self.settle, fill).await?;
        let ended: Vec<bool> = array(reply).unwrap_or_default().iter().map(|ended| *ended == Value::Int(1)).collect();
        if ended.len() == leases.len() {
            return Ok(ended);
        }
        Err(self.queue.link.unexpected(operation, &format!("{} results to {} leases", ended.len(), leases.len())))
    }
}

#[async_trait]
impl Acker for ListAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        let ended = self.settle("ack in", "ack", leases).await?;
        out.extend(ended.into_iter().map(|held| if held { AckStatus::Acked } else { AckStatus::Stale }));
        Ok(())
    }

    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        self.settle("nack in", "nack", leases).await.map(|_| ())
    }
}

struct ListAdmin {
    control: Control,
}

impl ListAdmin {
    /// Keys of ours that are there for the whole life of a queue, or grow with it.
    fn keys(&self) -> Vec<String> {
        let prefix = &self.control.settings.keys.prefix;
        ["jobs", "ready", "attempts", "leases", "consumers", "meta"].map(|name| format!("{prefix}:{name}")).into()
    }

    async fn clear(&mut self, operation: &str, verb: &str) -> Result<()> {
        let keys = &self.control.settings.keys;
        let mut command = redis::cmd("EVAL");
        command.arg(include_str!("list/clear.lua")).arg(2).arg(&keys.prefix).arg(&keys.owner);
        command.arg(crate::valkey::settings::Keys::OWNER).arg(verb);
        self.control.link.call(operation, &command, Duration::ZERO).await.map(|_| ())
    }

    /// What entered the queue since setup or reset, and where the unfinished jobs are, at one instant.
    async fn count(&mut self, operation: &str) -> Result<(u64, Depth)> {
        let keys = &self.control.settings.keys;
        let mut questions = Pipeline::new();
        questions.cmd("LLEN").arg(format!("{}:ready", keys.prefix));
        questions.cmd("HLEN").arg(&keys.jobs);
        questions.cmd("HMGET").arg(&keys.meta).arg("last_id").arg("first_id");
        let replies = self.control.link.transaction(operation, &mut questions).await?;
        let counted = || {
            let [ready, jobs, Value::Array(ids)] = &replies[..] else { return None };
            let (ready, jobs) = (count(ready)?, count(jobs)?);
            let enqueued = count(ids.first()?)?.checked_sub(count(ids.get(1)?)?)?;
            // The hash holds a job until its ack, so what is not ready is with a consumer.
            Some((enqueued, Depth { ready, in_flight: jobs.checked_sub(ready)? }))
        };
        counted().ok_or_else(|| {
            let message = "the queue is not set up, or was removed meanwhile";
            Error::new(ErrorKind::Server, self.control.link.context(operation), message)
        })
    }
}

#[async_trait]
impl Admin for ListAdmin {
    async fn describe(&mut self) -> Result<Description> {
        self.control.describe("list", self.keys()).await
    }

    async fn setup(&mut self) -> Result<()> {
        self.control.admit(&self.keys()).await?;
        self.clear("set up", "empty").await
    }

    async fn reset(&mut self) -> Result<()> {
        self.control.require_ours("reset", &self.keys()).await?;
        self.clear("reset", "empty").await
    }

    async fn settle(&mut self) -> Result<()> {
        self.control.settle().await
    }

    async fn depth(&mut self) -> Result<Depth> {
        self.count("depth of").await.map(|(_, depth)| depth)
    }

    /// The server does not count acks; `done` is what entered and is neither waiting nor in flight.
    async fn census(&mut self) -> Result<Census> {
        let (enqueued, Depth { ready, in_flight }) = self.count("census of").await?;
        let done = enqueued.saturating_sub(ready + in_flight);
        Ok(Census { enqueued: Some(enqueued), ready, in_flight, done: Some(done), ..Census::default() })
    }

    async fn teardown(&mut self) -> Result<()> {
        match self.control.ownership(&self.keys()).await? {
            Ownership::Ours => self.clear("tear down", "remove").await,
            Ownership::Nobody => Ok(()),
        }
    }
}
