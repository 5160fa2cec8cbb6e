//! A run does not outlive its matrix.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should stop there")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod fake;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fake::Fake;

/// Set in the copy of this program that plays the matrix.
const ROLE: &str = "QBENCH_TEST_MATRIX";
const NAME: &str = "a_run_dies_with_its_matrix";

fn alive(pid: i32) -> bool {
    // A zombie is dead; it only waits for somebody to take note.
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[test]
fn a_run_dies_with_its_matrix() {
    let fake = Fake::new();
    if let Ok(told) = std::env::var(ROLE) {
        std::fs::write(told, fake.program().parent().unwrap().to_str().unwrap()).unwrap();
        let plan = fake.plan(&["stubborn"], &["cold"], 1);
        fake.execute(&plan, &fake.survey(&plan, false).unwrap());
        return;
    }

    let told = fake.path("folder");
    let mut matrix = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(ROLE, &told)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    let folder = loop {
        match std::fs::read_to_string(&told) {
            Ok(folder) if !folder.is_empty() => break folder,
            _ if Instant::now() > patience => panic!("the matrix did not start"),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let run = Fake::await_pid(Path::new(&folder));
    assert!(alive(run));
    matrix.kill().unwrap();
    matrix.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while alive(run) {
        assert!(Instant::now() < patience, "the run outlived its matrix");
        std::thread::sleep(Duration::from_millis(20));
    }
}
