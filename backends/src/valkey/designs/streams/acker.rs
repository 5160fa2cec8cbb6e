//! Ack and nack: XACK while a lease is young, a script that checks the delivery when it is not.

use async_trait::async_trait;
use redis::{Cmd, Pipeline, Value};

use super::entry::{EntryId, claimed_ms};
use super::{Deletion, GROUP};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Lease;
use crate::seam::{AckStatus, Acker};
use crate::valkey::connection::Link;
use crate::valkey::failure::server_error;
use crate::valkey::settings::Settings;

/// Ends one delivery if it still holds.
const SETTLE: &str = include_str!("settle.lua");
/// Removes finished entries from the front of the stream.
const TRIM: &str = include_str!("trim.lua");
/// Acks of one acker between two trims: the default node holds a hundred entries, so a trim then finds whole nodes to free.
const ACKS_PER_TRIM: usize = 1_000;

pub(super) struct StreamsAcker {
    link: Link,
    settings: Settings,
    deletion: Deletion,
    acks_since_trim: usize,
}

impl StreamsAcker {
    pub(super) async fn open(settings: &Settings, deletion: Deletion) -> Result<Self> {
        Ok(StreamsAcker { link: Link::open(settings).await?, settings: settings.clone(), deletion, acks_since_trim: 0 })
    }

    /// Whether nobody can have reclaimed the lease before a command sent now arrives; the other half of the lease is
    /// allowed for its way.
    fn is_young(&self, lease: &Lease, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(claimed_ms(lease.token));
        u128::from(age_ms) < self.settings.config.lease.as_millis() / 2
    }

    /// The script that ends the delivery of `lease` by `verb`.
    fn settle(&self, lease: &Lease, verb: &str) -> Cmd {
        let keys = &self.settings.keys;
        let old_entry = match self.deletion {
            Deletion::Ack => "delete",
            Deletion::Trim | Deletion::None => "keep",
        };
        let mut command = redis::cmd("EVAL");
        command.arg(SETTLE).arg(2).arg(&keys.jobs).arg(&keys.meta);
        command.arg(GROUP).arg(EntryId::of(lease.token).to_string()).arg(lease.attempt).arg(verb).arg(old_entry);
        command
    }

    /// Sends the pipeline and returns its replies; a refusal of any command is the error.
    async fn carry_out(&mut self, operation: &str, pipeline: &Pipeline) -> Result<Vec<Value>> {
        let replies = self.link.pipeline(operation, pipeline).await?;
        let refusals = replies.iter().filter(|reply| matches!(reply, Value::ServerError(_))).count();
        let Some(Value::ServerError(first)) = replies.iter().find(|reply| matches!(reply, Value::ServerError(_)))
        else {
            return Ok(replies);
        };
        let refusal = server_error(self.link.context(operation), first);
        if refusals == replies.len() {
            return Err(refusal);
        }
        let message = format!("{refusals} of {} commands were refused, then: {refusal}", replies.len());
        Err(Error::new(ErrorKind::Unknown, self.link.context(operation), message).with_code(refusal.count_key()))
    }
}

#[async_trait]
impl Acker for StreamsAcker {
    async fn ack(&mut self, leases: &[Lease], out: &mut Vec<AckStatus>) -> Result<()> {
        const OPERATION: &str = "ack in";
        let stream = &self.settings.keys.jobs;
        let now_ms = self.settings.now_ms();
        let mut pipeline = Pipeline::with_capacity(leases.len() + 1);
        let mut finished = Vec::new();
        // One XACK per entry, because the reply to several at once is a sum that does not tell which one was stale.
        for lease in leases {
            if self.is_young(lease, now_ms) {
                let id = EntryId::of(lease.token).to_string();
                pipeline.cmd("XACK").arg(stream).arg(GROUP).arg(&id);
                finished.push(id);
            } else {
                pipeline.add_command(self.settle(lease, "ack"));
            }
        }
        match self.deletion {
            Deletion::Ack if !finished.is_empty() => {
                // After the acks: an entry that is pending and gone would be a lost job, one that is acked and not yet
                // gone is only memory. An entry that turned out stale was deleted by whoever settled it.
                pipeline.cmd("XDEL").arg(stream).arg(&finished);
            }
            Deletion::Trim if self.acks_since_trim + leases.len() >= ACKS_PER_TRIM => {
                pipeline.cmd("EVAL").arg(TRIM).arg(1).arg(stream).arg(GROUP);
            }
            _ => {}
        }
        let replies = self.carry_out(OPERATION, &pipeline).await?;
        self.acks_since_trim = (self.acks_since_trim + leases.len()) % ACKS_PER_TRIM;
        for reply in &replies[..leases.len()] {
            out.push(match reply {
                Value::Int(0) => AckStatus::Stale,
                Value::Int(_) => AckStatus::Acked,
                other => return Err(self.link.unexpected(OPERATION, &format!("{other:?} to XACK"))),
            });
        }
        Ok(())
    }

    /// Streams know no nack: a pending entry can be given to a consumer, but not to nobody. So the server appends a copy,
    /// which wakes a blocked reader as any new entry does, and acks the original, in one script: a job is never in the
    /// queue twice or not at all. The copy carries the deliveries so far. It stands at the end of the stream.
    async fn nack(&mut self, leases: &[Lease]) -> Result<()> {
        let mut pipeline = Pipeline::with_capacity(leases.len());
        for lease in leases {
            pipeline.add_command(self.settle(lease, "nack"));
        }
        self.carry_out("nack in", &pipeline).await.map(|_| ())
    }
}
