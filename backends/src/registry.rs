//! Finds backends by name.

use crate::entry::Entry;
use crate::error::Result;
use crate::{ROOMS, external};

/// Every backend, in the order in which tables and charts show them.
pub fn backends() -> impl Iterator<Item = &'static Entry> + Clone {
    ROOMS.iter().flat_map(|room| room.entries)
}

/// The entry of `id`, if there is one: of [`backends`], or an adapter by `external:<name>` or `external:<path>`.
///
/// # Errors
/// [`crate::ErrorKind::Config`] when there is such an adapter, and what it states about itself cannot be.
pub fn resolve(id: &str) -> Result<Option<&'static Entry>> {
    match id.strip_prefix(external::PREFIX) {
        Some(name) => external::resolve(name),
        None => Ok(find(id)),
    }
}

/// The entry of `id` in [`backends`], if there is one.
pub fn find(id: &str) -> Option<&'static Entry> {
    backends().find(|entry| entry.id == id)
}
