//! A stream entry: how a job is written into one, and how one is read back as a lease.
//!
//! Fields, in this order: `j` the job number, `p` the payload, and on entries that a nack appended `a`, the deliveries
//! that the job had before. The number is written in decimal, because the server packs decimal strings as integers of one
//! to nine bytes, where eight raw bytes would take ten; and it can be read in `valkey-cli`.

use bytes::Bytes;
use redis::{Cmd, Value};

use crate::job::{JobId, Lease, LeaseToken, NewJob};
use crate::valkey::reply::{array, text};

/// An entry's id: the server's millisecond clock at the time, and a number within the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryId {
    ms: u64,
    seq: u32,
}

impl EntryId {
    /// Reads `<ms>-<seq>`.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let (ms, seq) = text(value)?.split_once('-')?;
        Some(EntryId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
    }

    /// The id inside a token.
    pub(super) fn of(token: LeaseToken) -> Self {
        EntryId { ms: token.0[0], seq: (token.0[1] >> 32) as u32 }
    }

    /// A token for this entry, claimed `claimed_ms` after the backend was opened. A backend that is open for longer than
    /// the 49 days that fit makes its leases look older than they are, which only costs the slower kind of ack.
    fn token(self, claimed_ms: u64) -> LeaseToken {
        let claimed_ms = u32::try_from(claimed_ms).unwrap_or(u32::MAX);
        LeaseToken([self.ms, u64::from(self.seq) << 32 | u64::from(claimed_ms)])
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// When a lease was claimed, in milliseconds after the backend was opened.
pub(super) fn claimed_ms(token: LeaseToken) -> u64 {
    token.0[1] & u64::from(u32::MAX)
}

/// `XADD` of one job. It does not create the stream: a queue that was never set up is an error, not a stream without a group.
pub(super) fn xadd(stream: &str, job: &NewJob) -> Cmd {
    let mut command = Cmd::with_capacity(8, stream.len() + job.payload.len() + 64);
    command.arg("XADD").arg(stream).arg("NOMKSTREAM").arg("*").arg("j").arg(job.job.0).arg("p").arg(&job.payload[..]);
    command
}

/// An entry as a reply holds it.
pub(super) struct Entry {
    /// Its id.
    pub(super) id: EntryId,
    job: JobId,
    payload: Bytes,
    /// Deliveries of the job before this entry was made.
    carried: u32,
}

impl Entry {
    /// Reads `[id, [field, value, …]]`; `None` when the entry is not one of ours.
    pub(super) fn parse(value: Value) -> Option<Self> {
        let [id, fields] = <[Value; 2]>::try_from(array(value)?).ok()?;
        let id = EntryId::parse(&id)?;
        let mut fields = array(fields)?.into_iter();
        let mut field = |name: &str| match fields.next() {
            Some(found) if text(&found) == Some(name) => fields.next(),
            _ => None,
        };
        let job = JobId(text(&field("j")?)?.parse().ok()?);
        let Value::BulkString(payload) = field("p")? else { return None };
        let carried = match field("a") {
            Some(deliveries) => text(&deliveries)?.parse().ok()?,
            None => 0,
        };
        Some(Entry { id, job, payload: payload.into(), carried })
    }

    /// The lease of this entry's delivery number `deliveries`.
    pub(super) fn lease(self, deliveries: u32, claimed_ms: u64) -> Lease {
        Lease {
            job: self.job,
            attempt: self.carried + deliveries,
            payload: self.payload,
            token: self.id.token(claimed_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_keeps_entry_and_claim_instant() {
        let id = EntryId { ms: 1_790_000_000_123, seq: u32::MAX };
        let token = id.token(4_000_000_000);
        assert_eq!(EntryId::of(token), id);
        assert_eq!(claimed_ms(token), 4_000_000_000);
    }

    #[test]
    fn a_claim_instant_that_does_not_fit_makes_the_lease_look_older() {
        let token = EntryId { ms: 1, seq: 2 }.token(u64::MAX);
        assert_eq!(EntryId::of(token), EntryId { ms: 1, seq: 2 });
        assert_eq!(claimed_ms(token), u64::from(u32::MAX));
    }

    #[test]
    fn an_entry_that_is_not_ours_is_not_a_job() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = |fields: &[&str]| {
            Value::Array(vec![bulk("7-1"), Value::Array(fields.iter().map(|field| bulk(field)).collect())])
        };
        assert_eq!(Entry::parse(entry(&["j", "5", "p", "x", "a", "2"])).expect("ours").lease(1, 0).attempt, 3);
        assert_eq!(Entry::parse(entry(&["j", "5", "p", "x"])).expect("ours").lease(1, 0).attempt, 1);
        assert!(Entry::parse(entry(&["job", "5", "p", "x"])).is_none());
        assert!(Entry::parse(entry(&["j", "five", "p", "x"])).is_none());
        assert!(Entry::parse(entry(&["j", "5"])).is_none());
        assert!(EntryId::parse(&bulk("12")).is_none());
    }
}
