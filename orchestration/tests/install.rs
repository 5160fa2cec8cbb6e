//! `install.sh --check`: which parts a name stands for. It only looks.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

use std::path::Path;
use std::process::Command;

#[test]
fn all_is_every_server_and_chromium_goes_by_its_own_name() {
    let looked_for = |with: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
        let output = Command::new(script).args(["--check", "--with", with]).output().unwrap();
        // What is there and what is missing are both named; Chromium may be Google Chrome.
        let said = String::from_utf8(output.stdout).unwrap();
        ["PostgreSQL", "NATS", "Chrom"].map(|name| said.contains(name))
    };
    assert_eq!(looked_for("all"), [true, true, false]);
    assert_eq!(looked_for("all,chromium"), [true; 3]);
    assert_eq!(looked_for("chromium,nats"), [true; 3]);
}
