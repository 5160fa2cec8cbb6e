//! Locks whose holders never leave anything half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, whatever became of an earlier holder: nothing under these locks can panic half way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
