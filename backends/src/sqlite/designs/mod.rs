//! A file per queue.

pub(super) mod embedded;
