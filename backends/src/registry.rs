//! The one place that knows backends by name.

use crate::entry::Entry;
use crate::error::Result;
use crate::external;

/// Every backend, in the order in which tables and charts show them.
pub static BACKENDS: &[Entry] = &[
    crate::postgres::SKIP_LOCKED,
    crate::postgres::DELETE_RETURNING,
    crate::postgres::PARTITIONED,
    crate::postgres::BATCH_SQL,
    crate::postgres::ADVISORY_LOCK,
    crate::valkey::STREAMS,
    crate::valkey::LIST,
    crate::sqlite::ENTRY,
    crate::memory::ENTRY,
    crate::null::ENTRY,
];

/// The entry of `id`, if there is one: of [`BACKENDS`], or an adapter by `external:<name>` or `external:<path>`.
///
/// # Errors
/// [`crate::ErrorKind::Config`] when there is such an adapter, and what it states about itself cannot be.
pub fn resolve(id: &str) -> Result<Option<&'static Entry>> {
    match id.strip_prefix(external::PREFIX) {
        Some(name) => external::resolve(name),
        None => Ok(find(id)),
    }
}

/// The entry of `id` in [`BACKENDS`], if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    BACKENDS.iter().find(|entry| entry.id == id)
}
