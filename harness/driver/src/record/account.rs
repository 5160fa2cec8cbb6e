//! `<run>_account.jsonl`: what a shard knows of each of its jobs, for whoever puts the shards together.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use qbench_schema::shard::AccountRecord;

/// Writes a line per job. After the load, when nothing is measured any more.
///
/// # Errors
/// Why it could not be written, and which file.
pub(crate) fn write(path: &Path, account: impl Iterator<Item = AccountRecord>) -> Result<(), String> {
    let attempt = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for record in account {
            serde_json::to_writer(&mut file, &record)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    attempt().map_err(|error| format!("writing {} failed: {error}", path.display()))
}
