//! `qbench host-agent`: this program on a host that another one has a matrix made on. Nobody types it.

use std::io::{Read, stdin, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use qbench_orchestration::hosts::agent::{self, MatrixDir};

use super::Status;
use crate::run;

/// Do on this host what `qbench matrix --hosts` asks for elsewhere
#[derive(Debug, Args)]
pub struct HostAgentArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say which program this is
    Hello,
    /// Write files below a folder; they come as JSON on standard input
    Unpack(Dir),
    /// Start a matrix, detached, or find that it runs; what it is comes as JSON on standard input
    Start {
        #[command(flatten)]
        dir: Dir,
        /// Go on with one that has ended, too
        #[arg(long)]
        again: bool,
    },
    /// Run the matrix to its end; `start` calls it
    Supervise(Dir),
    /// Tell what the matrix says until it ends
    Follow {
        #[command(flatten)]
        dir: Dir,
        /// Byte of its log to begin with
        #[arg(long)]
        from: u64,
    },
    /// Ask the matrix to stop
    Stop(Dir),
    /// List its result files
    List(Dir),
    /// Send a result file
    Send {
        #[command(flatten)]
        dir: Dir,
        /// The file, from the folder of the results
        #[arg(long)]
        path: String,
        /// Byte to begin with
        #[arg(long)]
        from: u64,
    },
}

#[derive(Debug, Args)]
struct Dir {
    /// Folder of the matrix
    #[arg(long)]
    dir: PathBuf,
}

impl Dir {
    /// With its whole path: a supervisor and its matrix do not stay where this is called.
    fn matrix(&self) -> anyhow::Result<MatrixDir> {
        let path = std::path::absolute(&self.dir).with_context(|| format!("{} is no path", self.dir.display()))?;
        Ok(MatrixDir::new(&path))
    }
}

pub fn main(args: HostAgentArgs, revision: &str) -> anyhow::Result<Status> {
    let to = &mut stdout().lock();
    match args.action {
        Action::Hello => serde_json::to_writer(to, &agent::hello(&run::program(revision))?)?,
        Action::Unpack(dir) => agent::unpack(&dir.dir, &serde_json::from_slice(&input()?)?)?,
        Action::Start { dir, again } => {
            serde_json::to_writer(to, &agent::start(&dir.matrix()?, &serde_json::from_slice(&input()?)?, again)?)?;
        }
        Action::Supervise(dir) => agent::supervise(&dir.matrix()?)?,
        Action::Follow { dir, from } => agent::follow(&dir.matrix()?, from, to)?,
        Action::Stop(dir) => serde_json::to_writer(to, &agent::stop(&dir.matrix()?)?)?,
        Action::List(dir) => agent::list(&dir.matrix()?, to)?,
        Action::Send { dir, path, from } => agent::send(&dir.matrix()?, &path, from, to)?,
    }
    Ok(Status::Done)
}

fn input() -> anyhow::Result<Vec<u8>> {
    let mut input = Vec::new();
    stdin().lock().read_to_end(&mut input).context("nothing can be read from standard input")?;
    Ok(input)
}
