//! Names of the result files. A result folder is flat: one set of files per run, each starting with `<backend>_<scenario>`.

use std::path::{Path, PathBuf};

/// A row per run, in the output folder of an analysis, as are the four below.
pub const RUNS_CSV: &str = "runs.csv";
/// A row per backend x scenario.
pub const SUMMARY_CSV: &str = "summary.csv";
/// The same rows as JSON.
pub const SUMMARY_JSON: &str = "summary.json";
/// Quantiles of the end-to-end latency of each row of `summary.csv`; what the box plots are drawn from.
pub const DISTRIBUTION_CSV: &str = "distribution.csv";

/// A row per figure and pair of cells.
pub const COMPARISON_CSV: &str = "comparison.csv";

/// What each millisecond between clients and server costs, where a matrix varied the delay.
pub const ROUND_TRIP_CSV: &str = "round_trip.csv";

/// What the data say to the questions of a study.
pub const ANSWERS_JSON: &str = "answers.json";

/// What the machine could do before a block; in the block's folder.
pub const CALIBRATION_BEFORE_JSON: &str = "calibration_before.json";
/// The same after it.
pub const CALIBRATION_AFTER_JSON: &str = "calibration_after.json";

/// What `qbench capacity` found, in its output folder.
pub const CAPACITY_JSON: &str = "capacity.json";

/// What a matrix was started with, in its output folder.
pub const MATRIX_JSON: &str = "matrix.json";

/// Last part of a verdict's file name; a file that ends so is a run.
pub const RESULT_SUFFIX: &str = "_result.json";

/// Last part of the name of a file with a server's statistics.
const STATS_SUFFIX: &str = "_stats.csv";

/// The files of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFiles {
    dir: PathBuf,
    run: String,
}

impl RunFiles {
    /// Files of `<backend>_<scenario>` in `dir`.
    pub fn new(dir: &Path, backend: &str, scenario: &str) -> Self {
        RunFiles { dir: dir.to_path_buf(), run: format!("{}_{scenario}", backend.replace(':', "-")) }
    }

    /// The set that a verdict's path belongs to, or `None` when the path does not name a verdict.
    pub fn of_result(path: &Path) -> Option<Self> {
        let run = path.file_name()?.to_str()?.strip_suffix(RESULT_SUFFIX)?;
        Some(RunFiles { dir: path.parent()?.to_path_buf(), run: run.to_owned() })
    }

    /// `<backend>_<scenario>`.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Folder of the set.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A line per completed delivery of the measured phase.
    pub fn metrics(&self) -> PathBuf {
        self.with("_metrics.jsonl")
    }

    /// A row a second of the host and the roles.
    pub fn system(&self) -> PathBuf {
        self.with("_system.csv")
    }

    /// The same of the server's host, where an observer is there.
    pub fn system_server(&self) -> PathBuf {
        // No scenario's own name can end so before `.csv`.
        self.with("_system_server.csv")
    }

    /// A row a second of the server itself. `product` is the word for it: `db` for PostgreSQL, `valkey`.
    pub fn server_stats(&self, product: &str) -> PathBuf {
        self.with(&format!("_{product}{STATS_SUFFIX}"))
    }

    /// Statistics of servers that are there, of whatever product.
    fn all_server_stats(&self) -> impl Iterator<Item = PathBuf> {
        let is_product = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name();
            let product = name.to_str()?.strip_prefix(&self.run)?.strip_prefix('_')?.strip_suffix(STATS_SUFFIX)?;
            is_product(product).then(|| entry.path())
        })
    }

    /// Histograms of every stage, an interval a second.
    pub fn latency_log(&self) -> PathBuf {
        self.with("_latency.hlog")
    }

    /// The verdict.
    pub fn result(&self) -> PathBuf {
        self.with(RESULT_SUFFIX)
    }

    /// Everything needed to run it again.
    pub fn manifest(&self) -> PathBuf {
        self.with("_manifest.json")
    }

    /// Every file that the set can have; statistics of servers only where they are there.
    pub fn all(&self) -> Vec<PathBuf> {
        let fixed =
            [self.metrics(), self.latency_log(), self.system(), self.system_server(), self.result(), self.manifest()];
        fixed.into_iter().chain(self.all_server_stats()).collect()
    }

    fn with(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("{}{suffix}", self.run))
    }
}

/// Folder of block `block` (counted from 1) below `out`: `out` itself when there is one block, else `rep-01`, `rep-02`, …
pub fn block_dir(out: &Path, block: u32, blocks: u32) -> PathBuf {
    if blocks <= 1 { out.to_path_buf() } else { out.join(format!("rep-{block:02}")) }
}

/// Whether a folder of that name holds a block: `rep-01`.
pub fn is_block_folder(name: &str) -> bool {
    block_of(name).is_some()
}

/// Block of a folder of that name; `None` where it is none of a block.
pub fn block_of(name: &str) -> Option<u32> {
    name.strip_prefix("rep-").filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_any_server_belong_to_their_run_and_to_no_other() {
        let dir = std::env::temp_dir().join(format!("qbench-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (run, other) = (RunFiles::new(&dir, "list", "cold"), RunFiles::new(&dir, "list", "cold_x"));
        let paths = [run.server_stats("db"), run.server_stats("nats"), other.server_stats("db")];
        paths.iter().for_each(|path| std::fs::write(path, "").unwrap());
        let mut found: Vec<PathBuf> = run.all_server_stats().collect();
        found.sort();
        assert_eq!((found.as_slice(), other.all().len()), (&paths[..2], 7));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
