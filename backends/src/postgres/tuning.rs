//! What `--tuning tuned` sets on a server of ours.
//!
//! Sources: PostgreSQL manual, chapters "WAL Configuration", "Query Planning" and "Automatic Vacuuming"; the tables' own settings stand
//! in `schema/sql/queue.sql` (`tuned`). Memory is fitted to the machine in both tunings.

use crate::entry::TunedSetting;

pub(super) const TUNED: &[TunedSetting] = &[
    TunedSetting {
        name: "autovacuum_naptime",
        value: |_| "10s".to_owned(),
        why: "a queue's table turns over within seconds; the stock minute lets dead entries pile up before claims",
    },
    TunedSetting {
        name: "autovacuum_vacuum_cost_limit",
        value: |_| "2000".to_owned(),
        why: "vacuum keeps up with a table in which every row dies",
    },
    TunedSetting {
        name: "checkpoint_timeout",
        value: |_| "15min".to_owned(),
        why: "fewer checkpoints, so fewer pages are logged as a whole",
    },
    TunedSetting {
        name: "effective_io_concurrency",
        value: |_| "200".to_owned(),
        why: "the disk is no single spindle",
    },
    TunedSetting {
        name: "jit",
        value: |_| "off".to_owned(),
        why: "short statements never earn their compilation back",
    },
    TunedSetting {
        name: "max_wal_size",
        value: |_| "8GB".to_owned(),
        why: "checkpoints come by time; the stock 1 GB forces one every minute or two under load",
    },
    TunedSetting {
        name: "min_wal_size",
        value: |_| "2GB".to_owned(),
        why: "segments are used again instead of being made anew",
    },
    TunedSetting { name: "random_page_cost", value: |_| "1.1".to_owned(), why: "an index costs little on such a disk" },
];
