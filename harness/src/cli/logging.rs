//! Warnings of the libraries, on standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that call it an error when they give a connection up. We open another one, or the run says what is wrong.
const EXCITED: [&str; 1] = ["async_nats"];

/// Shows warnings; with `verbosity` 1 also what else is worth knowing, with 2 or more everything.
pub fn start(verbosity: u8) {
    let (level, of_excited) = match verbosity {
        0 => (LevelFilter::WARN, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::INFO),
        _ => (LevelFilter::DEBUG, LevelFilter::DEBUG),
    };
    let targets = Targets::new().with_default(level).with_targets(EXCITED.map(|library| (library, of_excited)));
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        // It would tell by a macro that panics when nobody reads any more.
        .log_internal_errors(false)
        .finish()
        .with(targets)
        .init();
}
