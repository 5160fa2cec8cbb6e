//! A file per queue.

pub(super) mod memory;
pub(super) mod null;
