//! A file per queue.

pub(super) mod advisory_lock;
pub(super) mod batch_sql;
pub(super) mod delete_returning;
pub(super) mod partitioned;
pub(super) mod skip_locked;
