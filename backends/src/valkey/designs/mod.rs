//! A file per queue.

pub(super) mod list;
pub(super) mod streams;
