//! Results on standard output.

use std::fmt;
use std::io::{ErrorKind, Write};

use anyhow::Context;

/// Prints one line of a result, as `println!` does, but a reader that has closed its end (`qbench list backends | head -1`) has
/// seen what it wanted: that is no failure, and no panic.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::output::line(format_args!($($text)*))?
    };
}
pub(super) use say;

/// One line on standard output.
///
/// # Errors
/// When it cannot be written, for instance to a full disk.
pub fn line(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.write_all(b"\n")) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result to standard output"),
    }
}
