//! A file per queue.

pub(super) mod jetstream;
