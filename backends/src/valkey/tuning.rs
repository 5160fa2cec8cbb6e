//! What `--tuning tuned` sets on a server of ours.
//!
//! Source: the comments of `valkey.conf` on each of them. `no-appendfsync-on-rewrite` stays off: it would lower what survives a crash.

use std::thread::available_parallelism;

use crate::entry::TunedSetting;

/// Most threads for sockets: `valkey.conf` sees no use in more on machines of this size.
const MOST_IO_THREADS: usize = 4;

pub(super) const TUNED: &[TunedSetting] = &[
    TunedSetting {
        name: "auto-aof-rewrite-min-size",
        value: || "1gb".to_owned(),
        why: "the log of a queue is nearly all of deleted entries; at the stock 64 MB it is rewritten every few seconds",
    },
    TunedSetting { name: "auto-aof-rewrite-percentage", value: || "400".to_owned(), why: "for the same reason" },
    TunedSetting {
        name: "io-threads",
        value: || (available_parallelism().map_or(1, usize::from) / 2).clamp(1, MOST_IO_THREADS).to_string(),
        why: "sockets are read and written by others than the thread that runs commands, where there are cores for them (half of \
              them, 4 at most)",
    },
    TunedSetting {
        name: "latency-tracking",
        value: || "no".to_owned(),
        why: "the server need not keep a histogram of each command",
    },
];
