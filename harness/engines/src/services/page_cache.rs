//! Empties the host's page cache, so that a cold start reads from the disk.

use std::fs::OpenOptions;
use std::io::Write;

/// Kernel file that drops caches when written to; root only.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Writes dirty pages back, then drops clean ones: of the whole host. Blocks until the disk has everything.
///
/// # Errors
/// Why it could not be done, as a sentence for the notes of a result. That is usual: containers and ordinary users may not.
pub fn drop_page_cache() -> Result<(), String> {
    let refused = |error: std::io::Error| {
        format!("the page cache of the host was not dropped: cannot write {DROP_CACHES}: {error}")
    };
    // Opened first: without the permission a sync would only slow others down.
    let mut file = OpenOptions::new().write(true).open(DROP_CACHES).map_err(refused)?;
    nix::unistd::sync();
    // 1: the page cache alone. Dropping directory entries as well would slow down the harness's own start.
    file.write_all(b"1\n").map_err(refused)
}
