//! Waking up by LISTEN / NOTIFY.
//!
//! A statement that makes jobs ready says in the same transaction how many ([`supply`], [`shares`]). One listener per opened
//! backend hears it on a connection of its own ([`listener`]) and wakes as many sleeping consumers as the jobs need
//! ([`announcements`]). When a consumer looks by itself is in [`told`].
//!
//! NOTIFY takes a lock on the whole database when its transaction commits, and holds it over the flush of the WAL: commits
//! that notify stand in line. So there is one notification per batch, and none where nobody asked for them.

mod announcements;
mod listener;
mod shares;
mod supply;
mod told;

#[cfg(test)]
pub(super) use announcements::Announcements;
pub(super) use listener::Listening;
pub(super) use shares::Places;
#[cfg(test)]
pub(super) use shares::Shares;
pub(super) use supply::{Ring, Supply};
pub(super) use told::Told;

/// What a reader of figures with notifications must know.
pub(super) const NOTE: &str = "enqueues and nacks notify: PostgreSQL takes a lock on the whole database when such a transaction \
                               commits and holds it over the flush of the WAL, so commits that notify stand in line";
