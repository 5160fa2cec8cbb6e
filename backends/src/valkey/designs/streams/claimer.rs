//! Claim and reclaim: XREADGROUP for new entries, XAUTOCLAIM for expired ones.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::GROUP;
use super::entry::Entry;
use crate::claimer::Look;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{Lease, WorkerId};
use crate::valkey::connection::Link;
use crate::valkey::failure::server_error;
use crate::valkey::reply::{array, count, text};
use crate::valkey::settings::Settings;

pub(super) struct StreamsLook {
    /// Of its own: while XREADGROUP blocks, nothing else gets through this connection.
    link: Link,
    settings: Settings,
    /// Our name within the group.
    consumer: String,
    /// Where the next sweep over the pending entries goes on.
    cursor: String,
    /// Entries that XAUTOCLAIM found deleted while they were pending, not yet reported.
    lost: Vec<String>,
}

/// Cursor of a sweep that starts, and of one that came to its end.
const SWEEP_START: &str = "0-0";

impl StreamsLook {
    pub(super) async fn open(settings: &Settings, id: WorkerId) -> Result<Self> {
        Ok(StreamsLook {
            link: Link::open(settings).await?,
            settings: settings.clone(),
            consumer: format!("worker-{}", id.0),
            cursor: SWEEP_START.to_owned(),
            lost: Vec::new(),
        })
    }

    /// One XREADGROUP; `block` is how long the server may wait for a job.
    async fn read(&mut self, limit: u32, block: Option<Duration>, out: &mut Vec<Lease>) -> Result<()> {
        const OPERATION: &str = "claim from";
        let mut command = Cmd::with_capacity(12, 256);
        command.arg("XREADGROUP").arg("GROUP").arg(GROUP).arg(&self.consumer).arg("COUNT").arg(limit);
        if let Some(block) = block {
            // BLOCK 0 would mean for ever.
            command.arg("BLOCK").arg((block.as_micros().div_ceil(1000) as u64).max(1));
        }
        command.arg("STREAMS").arg(&self.settings.keys.jobs).arg(">");

        // Taken before the command leaves, so that a lease is never thought younger than it is on the server.
        let claimed_ms = self.settings.now_ms();
        let reply = self.link.call(OPERATION, &command, block.unwrap_or_default()).await?;
        if reply == Value::Nil {
            return Ok(());
        }
        for entry in
            entries_of_our_stream(reply).ok_or_else(|| self.link.unexpected(OPERATION, "no list of entries"))?
        {
            let entry = Entry::parse(entry).ok_or_else(|| self.not_ours(OPERATION))?;
            out.push(entry.lease(1, claimed_ms));
        }
        Ok(())
    }

    /// One XAUTOCLAIM from the cursor on; returns what it took.
    async fn sweep(&mut self, limit: u32) -> Result<Vec<Entry>> {
        const OPERATION: &str = "reclaim from";
        let mut command = redis::cmd("XAUTOCLAIM");
        command.arg(&self.settings.keys.jobs).arg(GROUP).arg(&self.consumer);
        command.arg(self.settings.config.lease.as_millis() as u64).arg(&self.cursor).arg("COUNT").arg(limit);
        let reply = self.link.call(OPERATION, &command, Duration::ZERO).await?;
        let [cursor, entries, deleted] = array(reply)
            .and_then(|parts| <[Value; 3]>::try_from(parts).ok())
            .ok_or_else(|| self.link.unexpected(OPERATION, "something else than cursor, entries and deleted ids"))?;
        self.cursor = text(&cursor).unwrap_or(SWEEP_START).to_owned();
        self.lost.extend(array(deleted).unwrap_or_default().iter().filter_map(text).map(str::to_owned));
        array(entries)
            .unwrap_or_default()
            .into_iter()
            .map(|entry| Entry::parse(entry).ok_or_else(|| self.not_ours(OPERATION)))
            .collect()
    }

    /// Delivery counts of `entries`, which are ours now; `None` for one that its former holder acked in between.
    async fn delivery_counts(&mut self, entries: &[Entry]) -> Result<Vec<Option<u32>>> {
        const OPERATION: &str = "count deliveries of";
        let mut pipeline = Pipeline::with_capacity(entries.len());
        for entry in entries {
            let id = entry.id.to_string();
            pipeline.cmd("XPENDING").arg(&self.settings.keys.jobs).arg(GROUP).arg(&id).arg(&id).arg(1);
        }
        let replies = self.link.pipeline(OPERATION, &pipeline).await?;
        let mut counts = Vec::with_capacity(replies.len());
        for reply in replies {
            if let Value::ServerError(error) = &reply {
                return Err(server_error(self.link.context(OPERATION), error));
            }
            // [[id, consumer, idle, deliveries]], or nothing.
            let row = array(reply).and_then(|mut rows| rows.pop()).and_then(array);
            counts.push(row.and_then(|row| count(row.get(3)?)).and_then(|deliveries| u32::try_from(deliveries).ok()));
        }
        Ok(counts)
    }

    /// Counts what XAUTOCLAIM found lost on the server, and makes the error that says so (METHODOLOGY F7).
    async fn report_lost(&mut self) -> Result<()> {
        let lost = std::mem::take(&mut self.lost);
        let mut command = redis::cmd("HINCRBY");
        command.arg(&self.settings.keys.meta).arg("lost").arg(lost.len());
        self.link.call("count lost jobs of", &command, Duration::ZERO).await?;
        Err(Error::new(
            ErrorKind::Server,
            self.link.context("reclaim from"),
            format!(
                "{} claimed jobs are lost: their entries were deleted or trimmed before they were acked (first: {})",
                lost.len(),
                lost[0],
            ),
        )
        .with_code("LOST"))
    }

    fn not_ours(&self, operation: &str) -> Error {
        self.link.unexpected(operation, "an entry without our fields (somebody else writes to this stream)")
    }
}

impl Look for StreamsLook {
    async fn take(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        self.read(limit, None, out).await
    }

    async fn take_held(&mut self, limit: u32, wait: Duration, out: &mut Vec<Lease>) -> Result<()> {
        self.read(limit, Some(wait), out).await
    }

    /// Sweeps over all pending entries at most once. XAUTOCLAIM looks at a bounded number of entries per call and hands
    /// back a cursor; a sweep that reached `limit` goes on from there next time, so that no expired entry is starved.
    ///
    /// # Errors
    /// Besides the usual: [`ErrorKind::Server`] with the code `LOST` when entries were deleted while they were pending.
    /// Jobs that could be reclaimed are handed out first, and the loss is reported by the next call.
    async fn take_expired(&mut self, limit: u32, out: &mut Vec<Lease>) -> Result<()> {
        if !self.lost.is_empty() {
            return self.report_lost().await;
        }
        let mut room = limit;
        while room > 0 {
            let claimed_ms = self.settings.now_ms();
            let entries = self.sweep(room).await?;
            if !entries.is_empty() {
                room = room.saturating_sub(entries.len() as u32);
                let counts = self.delivery_counts(&entries).await?;
                out.extend(
                    entries
                        .into_iter()
                        .zip(counts)
                        .filter_map(|(entry, deliveries)| Some(entry.lease(deliveries?, claimed_ms))),
                );
            }
            if self.cursor == SWEEP_START {
                break;
            }
        }
        if !self.lost.is_empty() {
            tracing::error!(stream = self.settings.keys.jobs, lost = ?self.lost, "pending entries were deleted: these jobs are lost");
            if room == limit {
                return self.report_lost().await;
            }
        }
        Ok(())
    }
}

/// The entries in `[[stream, [entry, …]]]`.
fn entries_of_our_stream(reply: Value) -> Option<Vec<Value>> {
    let [stream] = <[Value; 1]>::try_from(array(reply)?).ok()?;
    let [_name, entries] = <[Value; 2]>::try_from(array(stream)?).ok()?;
    array(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_of_another_shape_is_refused() {
        assert!(entries_of_our_stream(Value::Okay).is_none());
        assert!(entries_of_our_stream(Value::Array(vec![])).is_none());
    }
}
