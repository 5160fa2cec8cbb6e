//! What `--tuning tuned` sets in every session.
//!
//! Source: SQLite's documentation of each pragma, and "Write-Ahead Logging".

use crate::entry::TunedSetting;

pub(super) const TUNED: &[TunedSetting] = &[
    TunedSetting {
        name: "cache_size",
        value: |_| "-65536".to_owned(),
        why: "each connection keeps 64 MB of pages in memory; the stock 2 MB do not hold a backlog",
    },
    TunedSetting { name: "mmap_size", value: |_| "268435456".to_owned(), why: "reads need no system call" },
    TunedSetting { name: "temp_store", value: |_| "memory".to_owned(), why: "sorting writes no file" },
    TunedSetting {
        name: "wal_autocheckpoint",
        value: |_| "10000".to_owned(),
        why: "40 MB of log between two checkpoints instead of 4 MB",
    },
];
