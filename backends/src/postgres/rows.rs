//! Leases out of rows, arrays out of leases, statuses out of returned ids.

use bytes::Bytes;
use sqlx::SqlStr;

use super::arguments::Arguments;
use super::columns::Row;
use super::connection::Link;
use super::trouble::Trouble;
use crate::error::Result;
use crate::job::{JobId, Lease, LeaseToken};
use crate::seam::AckStatus;

/// A limit of jobs as the statements take it.
pub(super) fn limit(jobs: u32) -> i64 {
    i64::from(jobs)
}

/// The ids of `leases`, ascending, in `ids`.
pub(super) fn sorted_ids(leases: &[Lease], ids: &mut Vec<i64>) {
    ids.clear();
    ids.extend(leases.iter().map(id));
    ids.sort_unstable();
}

/// Ids, ascending, with attempts, for the statements that tell redelivered jobs from others.
pub(super) fn ids_and_attempts(leases: &[Lease]) -> Vec<(i64, i32)> {
    let mut held: Vec<(i64, i32)> = leases.iter().map(|lease| (id(lease), attempt(lease))).collect();
    held.sort_unstable();
    held
}

/// Runs a statement that returns claimed rows and appends their leases; appends none when it fails.
pub(super) async fn fetch(
    link: &mut Link,
    what: &'static str,
    statement: &SqlStr,
    arguments: impl Arguments + Send,
    place: u32,
    out: &mut Vec<Lease>,
) -> Result<()> {
    let before = out.len();
    let fetched = link
        .run(what, statement, arguments, |row| {
            out.push(lease(row, place)?);
            Ok(())
        })
        .await;
    if fetched.is_err() {
        out.truncate(before);
    }
    fetched.map(|_| ())
}

/// Runs a statement that returns the ids that it settled, into `returned`.
pub(super) async fn fetch_ids(
    link: &mut Link,
    what: &'static str,
    statement: &SqlStr,
    arguments: impl Arguments + Send,
    returned: &mut Vec<i64>,
) -> Result<()> {
    returned.clear();
    link.run(what, statement, arguments, |row| {
        returned.push(row.get(0)?);
        Ok(())
    })
    .await?;
    Ok(())
}

/// A job's number as the tables keep it: the same 64 bits.
pub(super) fn job_column(job: JobId) -> i64 {
    job.0.cast_signed()
}

/// Reads one claimed row (id, attempt, job, payload). `place` goes into the upper half of the token's second word, for
/// backends that must remember where a row came from.
pub(super) fn lease(row: &Row<'_>, place: u32) -> Result<Lease, Trouble> {
    let attempt: i32 = row.get(1)?;
    Ok(Lease {
        job: JobId(row.get::<i64>(2)?.cast_unsigned()),
        attempt: attempt.cast_unsigned(),
        payload: Bytes::copy_from_slice(row.get(3)?),
        token: LeaseToken([
            row.get::<i64>(0)?.cast_unsigned(),
            u64::from(attempt.cast_unsigned()) | u64::from(place) << 32,
        ]),
    })
}

/// Row id of a lease.
pub(super) fn id(lease: &Lease) -> i64 {
    lease.token.0[0].cast_signed()
}

/// Attempt of a lease as its row had it.
pub(super) fn attempt(lease: &Lease) -> i32 {
    (lease.token.0[1] as u32).cast_signed()
}

/// Where a lease's row came from, as [`lease`] was told.
pub(super) fn place(lease: &Lease) -> u32 {
    (lease.token.0[1] >> 32) as u32
}

/// What all of `leases` have in common according to `of`, or `None` when they differ.
pub(super) fn common<T: PartialEq>(leases: &[Lease], of: impl Fn(&Lease) -> T) -> Option<T> {
    let first = of(leases.first()?);
    leases[1..].iter().all(|lease| of(lease) == first).then_some(first)
}

/// Appends one status per lease: acked where its id is among those that the statement returned. A lease that stands in the
/// batch twice is acked once. Leaves `returned` in no particular state.
pub(super) fn statuses(leases: &[Lease], returned: &mut [i64], out: &mut Vec<AckStatus>) {
    if returned.len() == leases.len() {
        out.extend(leases.iter().map(|_| AckStatus::Acked));
        return;
    }
    returned.sort_unstable();
    let mut used = vec![false; returned.len()];
    for lease in leases {
        out.push(match returned.binary_search(&id(lease)) {
            Ok(at) if !used[at] => {
                used[at] = true;
                AckStatus::Acked
            }
            _ => AckStatus::Stale,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_token(id: u64, attempt: u64) -> Lease {
        Lease { job: JobId(id), attempt: attempt as u32, payload: Bytes::new(), token: LeaseToken([id, attempt]) }
    }

    #[test]
    fn a_lease_that_was_not_returned_is_stale() {
        let leases = [with_token(3, 1), with_token(1, 1), with_token(2, 1)];
        let mut out = Vec::new();
        statuses(&leases, &mut [3, 2], &mut out);
        assert_eq!(out, [AckStatus::Acked, AckStatus::Stale, AckStatus::Acked]);
    }

    #[test]
    fn a_lease_acked_twice_in_one_batch_counts_once() {
        let mut out = Vec::new();
        statuses(&[with_token(7, 1), with_token(7, 1)], &mut [7], &mut out);
        assert_eq!(out, [AckStatus::Acked, AckStatus::Stale]);
    }

    #[test]
    fn a_token_keeps_attempt_and_place_apart() {
        let lease = with_token(9, 5 | 77 << 32);
        assert_eq!((id(&lease), attempt(&lease), place(&lease)), (9, 5, 77));
    }

    #[test]
    fn common_is_none_as_soon_as_one_differs() {
        assert_eq!(common(&[with_token(1, 1), with_token(2, 1)], attempt), Some(1));
        assert_eq!(common(&[with_token(1, 1), with_token(2, 2)], attempt), None);
        assert_eq!(common(&[], attempt), None);
    }
}
