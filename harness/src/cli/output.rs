//! What the commands say, on standard output and standard error.
//!
//! The macros below replace those of the standard library within the command line. Those panic when nobody reads any more
//! (`qbench list backends | head -1`), which is no fault of a reader who has seen enough.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something that should stand on standard output could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output. A closed pipe is left alone; any other trouble is told once, and ends in [`was_lost`].
pub fn write_out(text: Arguments<'_>) {
    let Err(error) = io::stdout().write_fmt(text).and_then(|()| io::stdout().flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        write_err(format_args!("qbench: cannot write to standard output: {error}\n"));
    }
}

/// Writes to standard error. When that fails, there is nobody left to be told.
pub fn write_err(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Whether a part of the output is lost though somebody may have wanted it, for instance on a full disk.
pub fn was_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::write_out(::std::format_args!($($text)*)) };
}
macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => { print!("{}\n", ::std::format_args!($($text)*)) };
}
macro_rules! eprint {
    ($($text:tt)*) => { $crate::cli::output::write_err(::std::format_args!($($text)*)) };
}
macro_rules! eprintln {
    () => { eprint!("\n") };
    ($($text:tt)*) => { eprint!("{}\n", ::std::format_args!($($text)*)) };
}
