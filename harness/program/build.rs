//! Stamps the program with the git revision that it was built from.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(revision) => {
            let dirty = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
            if dirty { format!("{revision}-dirty") } else { revision }
        }
        None => "unknown".to_owned(),
    };
    println!("cargo::rustc-env=QBENCH_REVISION={revision}");
    // A change of any source makes the revision dirty.
    for source in [
        "src",
        "../src",
        "../ground",
        "../driver/src",
        "../engines/src",
        "../../schema",
        "../../backends",
        "../../scenarios",
        "../../orchestration/src",
        "../../analysis",
        "../../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={source}");
    }
    if let Some(git_dir) = git(&["rev-parse", "--absolute-git-dir"]) {
        // The log of HEAD also tells of a commit that changes no file. A file that is not there would mean: always again.
        for file in ["HEAD", "index", "logs/HEAD"].map(|file| format!("{git_dir}/{file}")) {
            if std::path::Path::new(&file).exists() {
                println!("cargo::rerun-if-changed={file}");
            }
        }
    }
}
