//! Ack and nack: one XACK for the leases that are young, a script that checks the delivery for each that is not.

use std::collections::VecDeque;

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

/// Entries that an acker remembers to have settled: more than it can have in its hands.
const REMEMBERED: usize = 4_096;

pub(super) struct StreamsAcker {
    link: Link,
    settings: Settings,
    deletion: Deletion,
    acks_since_trim: usize,
    /// The latest entries that it settled.
    settled: VecDeque<EntryId>,
}

impl StreamsAcker {
    pub(super) async fn open(settings: &Settings, deletion: Deletion) -> Result<Self> {
        Ok(StreamsAcker {
            link: Link::open(settings).await?,
            settings: settings.clone(),
            deletion,
            acks_since_trim: 0,
            settled: VecDeque::with_capacity(REMEMBERED),
        })
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

    fn remember(&mut self, leases: &[Lease]) {
        for lease in leases {
            if self.settled.len() == REMEMBERED {
                self.settled.pop_front();
            }
            self.settled.push_back(EntryId::of(lease.token));
        }
    }

    /// Which of the young entries `ids` were pending, when one XACK counted `acked` of them. Nobody else can have settled a young
    /// one, so a missing one is one that this acker settled before. `None` where that does not explain the count.
    fn statuses_of_young(&self, ids: &[EntryId], acked: u64) -> Option<Vec<AckStatus>> {
        let status = |is_acked: bool| if is_acked { AckStatus::Acked } else { AckStatus::Stale };
        // As a rule all of them were, and the memory is not searched.
        if acked == ids.len() as u64 || acked == 0 {
            return Some(vec![status(acked > 0); ids.len()]);
        }
        let is_first = |place: usize| !ids[..place].contains(&ids[place]) && !self.settled.contains(&ids[place]);
        let statuses: Vec<_> = (0..ids.len()).map(|place| status(is_first(place))).collect();
        let pending = statuses.iter().filter(|status| **status == AckStatus::Acked).count();
        (pending as u64 == acked).then_some(statuses)
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
        let mut pipeline = Pipeline::with_capacity(3);
        let mut young = Vec::with_capacity(leases.len());
        for lease in leases {
            if self.is_young(lease, now_ms) {
                young.push(EntryId::of(lease.token));
            } else {
                pipeline.add_command(self.settle(lease, "ack"));
            }
        }
        if !young.is_empty() {
            // One for all of them, as any user of streams would send.
            let ids: Vec<String> = young.iter().map(EntryId::to_string).collect();
            pipeline.cmd("XACK").arg(stream).arg(GROUP).arg(&ids);
            if self.deletion == Deletion::Ack {
                // After the ack: an entry that is pending and gone would be a lost job, one that is acked and not yet gone is
                // only memory. An entry that turned out stale was deleted by whoever settled it.
                pipeline.cmd("XDEL").arg(stream).arg(&ids);
            }
        }
        if self.deletion == Deletion::Trim && self.acks_since_trim + leases.len() >= ACKS_PER_TRIM {
            pipeline.cmd("EVAL").arg(TRIM).arg(1).arg(stream).arg(GROUP);
        }
        let replies = self.carry_out(OPERATION, &pipeline).await?;
        self.acks_since_trim = (self.acks_since_trim + leases.len()) % ACKS_PER_TRIM;
        let count = |reply: Option<&Value>| match reply {
            Some(Value::Int(count)) => Ok(count.unsigned_abs()),
            other => Err(self.link.unexpected(OPERATION, &format!("{other:?} to XACK"))),
        };
        let old = leases.len() - young.len();
        let statuses = if young.is_empty() {
            Vec::new()
        } else {
            let acked = count(replies.get(old))?;
            self.statuses_of_young(&young, acked).ok_or_else(|| {
                let message = format!("the server acked {acked} of {} entries, and does not tell which", young.len());
                Error::new(ErrorKind::Unknown, self.link.context(OPERATION), message)
            })?
        };
        let (mut of_old, mut of_young) = (replies[..old].iter(), statuses.into_iter());
        for lease in leases {
            let status = match self.is_young(lease, now_ms) {
                true => of_young.next(),
                false => Some(if count(of_old.next())? > 0 { AckStatus::Acked } else { AckStatus::Stale }),
            };
            out.extend(status);
        }
        self.remember(leases);
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
        self.carry_out("nack in", &pipeline).await?;
        self.remember(leases);
        Ok(())
    }
}
