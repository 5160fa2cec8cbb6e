//! The program as a process of its own. Every test file compiles this and uses its own part.
#![allow(dead_code, reason = "every test file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use qbench_schema::files::RunFiles;
use qbench_schema::result::RunResult;

/// `qbench`, without what the developer's shell or checkout sets.
pub fn qbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbench"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("QBENCH_") || key.starts_with("PG")) {
        command.env_remove(key);
    }
    command.current_dir(std::env::temp_dir());
    command
}

/// The verdict of `<backend>_<scenario>` in `dir`.
pub fn result_in(dir: &Path, backend: &str, scenario: &str) -> RunResult {
    serde_json::from_slice(&fs::read(RunFiles::new(dir, backend, scenario).result()).unwrap()).unwrap()
}
