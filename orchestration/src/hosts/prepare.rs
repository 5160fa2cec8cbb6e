//! Makes a host ready: this very program there, and what its runs need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::agent::{AGENT_COMMAND, Hello};
use super::connection::Connection;
use super::error::{Error, Result};
use super::file::Host;
use super::probe::{Facts, InstallRight, facts};

/// What is brought to a host.
pub struct Payload<'a> {
    /// This program's file.
    pub program: &'a Path,
    /// Who it is.
    pub hello: &'a Hello,
    /// The script that installs what runs need, and its parts, by their paths from the root of the sources.
    pub install: &'a BTreeMap<String, String>,
    /// Which of them is the script.
    pub install_script: &'a str,
    /// A checkout of its sources, for a host on which this file does not run.
    pub sources: Option<&'a Path>,
}

/// Puts `bytes` from standard input in the place of a program that is not yet trusted.
const RECEIVE: &str = r#"mkdir -p "$1/bin" && cat > "$1/bin/qbench.new" && chmod 755 "$1/bin/qbench.new""#;
/// It is the right one.
const TRUST: &str = r#"mv "$1/bin/qbench.new" "$1/bin/qbench""#;
/// Builds the program from a bundle of its sources on standard input.
const BUILD: &str = r#"set -e
mkdir -p "$1/bin" && cd "$1"
cat > sources.bundle
PATH="$HOME/.cargo/bin:$PATH"
command -v git >/dev/null || { echo 'git is missing there, and is needed to build qbench' >&2; exit 1; }
command -v cargo >/dev/null || { echo 'Rust is missing there, and is needed to build qbench: see https://rustup.rs' >&2; exit 1; }
rm -rf sources
git clone --quiet sources.bundle sources
cd sources
CARGO_TARGET_DIR=../target cargo build --release --locked --bin qbench
cp ../target/release/qbench ../bin/qbench.new"#;

/// Makes `host` ready and says line by line what it does. What is right already is left alone.
///
/// # Errors
/// [`Error::Lost`], and [`Error::Host`] with what is the matter there.
pub async fn prepare(
    host: &Host,
    connection: &Connection,
    payload: &Payload<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Facts> {
    let facts = facts(host, connection).await?;
    if let Some(problem) = facts.problems().first() {
        return Err(connection.refused(problem.clone()));
    }
    match &facts.program {
        Some(there) if payload.hello.refuses(Some(there)).is_none() => {
            tell(&format!("qbench {} is there already", there.program));
        }
        _ => bring_program(host, connection, payload, &facts, tell).await?,
    }
    install(host, connection, payload, &facts, tell).await?;
    Ok(facts)
}

async fn bring_program(
    host: &Host,
    connection: &Connection,
    payload: &Payload<'_>,
    facts: &Facts,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let work_dir = host.work_dir.as_str();
    let fresh = format!("{}.new", host.program());
    // `uname -m` and Rust have the same names for what this program is built for on Linux.
    if facts.architecture == payload.hello.architecture {
        let bytes = std::fs::read(payload.program).map_err(Error::file("read", payload.program))?;
        tell(&format!(
            "copying this qbench ({}, {} MB) to {work_dir}/bin",
            payload.hello.program,
            bytes.len() / 1_000_000
        ));
        connection.ask("this program cannot be copied there", "sh", &["-c", RECEIVE, "sh", work_dir], &bytes).await?;
        match Hello::ask_at(&fresh, connection).await? {
            Some(there) if there == *payload.hello => {
                connection
                    .ask("this program cannot be put in its place", "sh", &["-c", TRUST, "sh", work_dir], b"")
                    .await?;
                return Ok(());
            }
            Some(_) => return Err(connection.refused("what arrived there is another program: is its disk full?")),
            None => tell(&format!("it does not run there ({}): it is built there", facts.libc)),
        }
    } else {
        tell(&format!(
            "its architecture is {} and not {}: it is built there",
            facts.architecture, payload.hello.architecture
        ));
    }
    let bundle = bundle(payload, connection)?;
    tell("building qbench there, which takes some minutes");
    watch(connection, "sh", &["-c", BUILD, "sh", work_dir], &bundle, "qbench cannot be built there", tell).await?;
    match Hello::ask_at(&fresh, connection).await? {
        Some(there) if there.program == payload.hello.program => {
            connection.ask("the program cannot be put in its place", "sh", &["-c", TRUST, "sh", work_dir], b"").await?;
            Ok(())
        }
        there => Err(connection.refused(format!(
            "what was built there is {}, and this program is {}: build and run qbench from the checkout that is sent",
            there.map_or("nothing that runs".to_owned(), |there| there.program),
            payload.hello.program
        ))),
    }
}

/// The history of the sources as one file, so that what is built there knows its revision.
fn bundle(payload: &Payload<'_>, connection: &Connection) -> Result<Vec<u8>> {
    let Some(sources) = payload.sources else {
        return Err(connection.refused(
            "this program does not run there, and can be built there from its sources only: call qbench hosts prepare in a checkout of them",
        ));
    };
    if payload.hello.program.contains("dirty") {
        return Err(connection.refused(
            "this program does not run there, and was built from sources that were not committed: commit them and build it again, so that \
             the same can be built there",
        ));
    }
    let output = Command::new("git").arg("-C").arg(sources).args(["bundle", "create", "-", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(connection
            .refused(format!("its sources cannot be packed: {}", String::from_utf8_lossy(&output.stderr).trim()))),
        Err(error) => Err(connection.refused(format!("its sources cannot be packed: git: {error}"))),
    }
}

async fn install(
    host: &Host,
    connection: &Connection,
    payload: &Payload<'_>,
    facts: &Facts,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let dir = format!("{}/install", host.work_dir);
    let files = serde_json::to_vec(payload.install)
        .map_err(|error| connection.refused(format!("the install script cannot be written down: {error}")))?;
    connection
        .ask(
            "the install script cannot be put there",
            &host.program(),
            &[AGENT_COMMAND, "unpack", "--dir", &dir],
            &files,
        )
        .await?;
    let script = format!("{dir}/{}", payload.install_script);
    let problem = "what its runs need cannot be installed";
    if facts.install == InstallRight::None {
        // What is there already may be all that is needed.
        return watch(connection, "bash", &[&script, "--servers", "--check"], b"", problem, tell).await;
    }
    watch(connection, "bash", &[&script, "--servers"], b"", problem, tell).await
}

/// Runs a program that must succeed, and tells what it says while it says it.
async fn watch(
    connection: &Connection,
    program: &str,
    arguments: &[&str],
    input: &[u8],
    problem: &str,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    use tokio::io::AsyncWriteExt;

    let mut child = connection.spawn(program, arguments).await?;
    let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let (said, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let give = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read on has said why.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let read = async {
        tokio::join!(pass_lines(stdout, said.clone()), pass_lines(stderr, said.clone()));
        drop(said);
    };
    let mut last = String::new();
    let show = async {
        while let Some(line) = lines.recv().await {
            tell(&line);
            last = line;
        }
    };
    tokio::join!(give, read, show);
    let status = child.wait().await.map_err(|error| connection.lost(&error))?;
    if status.success() {
        return Ok(());
    }
    connection.check().await?;
    Err(connection.refused(format!("{problem}: {last}")))
}

async fn pass_lines(from: Option<impl AsyncRead + Unpin>, to: tokio::sync::mpsc::UnboundedSender<String>) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            // The one who reads lives as long as this does.
            let _ = to.send(line);
        }
    }
}

/// The checkout in which `from` lies; `None` where it is none of this program.
pub fn checkout(from: &Path) -> Option<PathBuf> {
    let is_ours =
        |dir: &&Path| dir.join("harness/program/Cargo.toml").exists() && dir.join("orchestration/install.sh").exists();
    from.ancestors().find(is_ours).map(Path::to_path_buf)
}
