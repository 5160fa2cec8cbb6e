//! Warnings of the libraries, on standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

/// Shows warnings; with `verbosity` 1 also what else is worth knowing, with 2 or more everything.
pub fn start(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        // It would tell by a macro that panics when nobody reads any more.
        .log_internal_errors(false)
        .init();
}
