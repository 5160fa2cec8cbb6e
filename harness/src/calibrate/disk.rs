//! What it takes until the disk has something: a server that answers only when it has pays this for every commit.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use qbench_engines::postgres::PostgresPrograms;

/// Bytes behind which the disk is waited for: a page of PostgreSQL.
const PAGE: [u8; 8_192] = [0x5A; 8_192];
/// Pages that are overwritten in turn, as a log that is used again does.
const PAGES: u64 = 512;

/// A file without a name: it goes with this process, however that ends.
pub(super) struct File {
    file: fs::File,
    next: u64,
}

impl File {
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(dir)?;
        for page in 0..PAGES {
            file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
        }
        file.sync_all()?;
        Ok(File { file, next: 0 })
    }

    /// Delays of `fdatasync` behind a page that is overwritten, in microseconds.
    pub(super) fn fdatasync(&mut self, length: Duration) -> io::Result<Vec<f64>> {
        self.repeat(length, |file, number| {
            file.write_all_at(&PAGE, number % PAGES * PAGE.len() as u64)?;
            file.sync_data()
        })
    }

    /// Delays of `fsync` behind a page that makes the file longer, which the file system has to write down, too.
    pub(super) fn fsync(&mut self, length: Duration) -> io::Result<Vec<f64>> {
        let delays = self.repeat(length, |file, _| {
            io::Seek::seek(&mut &*file, io::SeekFrom::End(0))?;
            (&*file).write_all(&PAGE)?;
            file.sync_all()
        })?;
        self.file.set_len(PAGES * PAGE.len() as u64)?;
        Ok(delays)
    }

    fn repeat(&mut self, length: Duration, once: impl Fn(&fs::File, u64) -> io::Result<()>) -> io::Result<Vec<f64>> {
        let mut delays = Vec::new();
        let began = Instant::now();
        while began.elapsed() < length {
            let before = Instant::now();
            once(&self.file, self.next)?;
            delays.push(before.elapsed().as_secs_f64() * 1e6);
            self.next += 1;
        }
        Ok(delays)
    }
}

/// What PostgreSQL's own program says about `fdatasync` of one page in `dir`, in microseconds; `None` where it is not there.
pub(super) fn pg_test_fsync(dir: &Path) -> Option<f64> {
    let program = PostgresPrograms::of_machine().ok()?.postgres.with_file_name("pg_test_fsync");
    // Of no name either: it knows the file by the number under which this process has it.
    let file = tempfile::tempfile_in(dir).ok()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let mut child = Command::new(program)
        .args(["--secs-per-test", "1", "--filename", &path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let lines = io::BufReader::new(child.stdout.take()?).lines().map_while(Result::ok);
    let found = lines.filter(|line| line.trim_start().starts_with("fdatasync")).map(|line| fdatasync_us(&line)).next();
    // It has a quarter of a minute of further methods to try.
    let _ = child.kill();
    let _ = child.wait();
    found.flatten()
}

/// From its line on `fdatasync`: `fdatasync    1234.567 ops/sec     810 usecs/op`.
fn fdatasync_us(line: &str) -> Option<f64> {
    line.split_whitespace().collect::<Vec<_>>().windows(2).find(|pair| pair[1] == "usecs/op")?[0].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_pg_test_fsync_is_read() {
        let line = "        fdatasync                          1234.567 ops/sec     810 usecs/op";
        assert_eq!(fdatasync_us(line), Some(810.0));
        assert_eq!(fdatasync_us("        fdatasync      n/a*"), None);
    }
}
