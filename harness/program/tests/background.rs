//! The load beside a queue is the same one, whatever the queue is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod program;

use std::fs;

use program::{run, said};
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::Manifest;

#[test]
fn the_postgresql_of_pgbench_beside_valkey_has_the_durability_that_a_queue_in_it_would_have() {
    let folder = tempfile::tempdir().unwrap();
    for (durability, synchronous_commit) in [("d1", "off"), ("d2", "on")] {
        let out = folder.path().join(durability);
        let ended = run(&format!(
            "run --backend valkey_streams --scenario load --durability {durability} --rate 50 --duration 1s --warmup 0s --out {}",
            out.display()
        ));
        assert!(matches!(ended.status.code(), Some(0 | 3)), "{}", said(&ended));
        let text = fs::read(RunFiles::new(&out, "valkey_streams", "load").manifest()).unwrap();
        let manifest: Manifest = serde_json::from_slice(&text).unwrap();
        let background = manifest.servers.iter().find(|server| server.role == "background").unwrap();
        assert_eq!(background.settings["synchronous_commit"], synchronous_commit, "{durability}");
    }
}
