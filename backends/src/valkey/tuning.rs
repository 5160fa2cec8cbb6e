//! What `--tuning tuned` sets on a server of ours.
//!
//! Source: the comments of `valkey.conf` on each of them. `no-appendfsync-on-rewrite` stays off: it would lower what survives a crash.

use crate::entry::TunedSetting;

/// Threads for sockets, the main one included. `valkey.conf`: none beside it below 3 cores, 2 or 3 for 4 cores, 6 for 8; more than 8 are not
/// likely to help.
fn io_threads(cores: usize) -> usize {
    if cores < 3 { 1 } else { (cores * 3 / 4).min(8) }
}

pub(super) const TUNED: &[TunedSetting] = &[
    TunedSetting {
        name: "auto-aof-rewrite-min-size",
        value: |_| "1gb".to_owned(),
        why: "the log of a queue is nearly all of deleted entries; at the stock 64 MB it is rewritten every few seconds",
    },
    TunedSetting { name: "auto-aof-rewrite-percentage", value: |_| "400".to_owned(), why: "for the same reason" },
    TunedSetting {
        name: "io-threads",
        value: |cores| io_threads(cores).to_string(),
        why: "sockets are read and written by others than the thread that runs commands, where there are cores for them",
    },
    TunedSetting {
        name: "latency-tracking",
        value: |_| "no".to_owned(),
        why: "the server need not keep a histogram of each command",
    },
];
