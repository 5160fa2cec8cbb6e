//! Servers that outlive the command that started them, until they are stopped: a process of their own keeps them, with the
//! same guard as those of a run, so that nothing of them is left whatever becomes of it.
//!
//! Who wants to know about them asks the keeper over a socket in the user's state directory, which only that user can
//! reach: addresses hold passwords, and these stand in no file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qbench_schema::result::Durability;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::engine::Engine;
use crate::servers::{Servers, Wanted};
use crate::services::{Error, Result, Server, StartOptions};

/// Name of the socket in the state directory.
const SOCKET: &str = "services.sock";
/// Name of the file whose lock says that a keeper is at work.
const LOCK: &str = "services.lock";
/// Longest path of a unix socket that every system accepts.
const SOCKET_PATH_MAX_BYTES: usize = 100;
/// Longest wait for a keeper's answer. It has nothing else to do.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Connections that a kept server has room for: nobody knows yet what it will be used for.
const CONNECTIONS: u32 = 300;

/// What to keep: products, each with the durability class of its server where one is wanted.
pub type Keep = Vec<(&'static dyn Engine, Option<Durability>)>;

/// What a keeper says of its servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Process of the keeper.
    pub keeper_pid: u32,
    /// Its servers by the name that results have for their product; `null` for a product of which none is kept.
    #[serde(flatten)]
    pub servers: BTreeMap<String, Option<KeptServer>>,
}

/// One kept server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptServer {
    /// How to connect, password included.
    pub url: String,
    /// Its version.
    pub version: String,
    /// The class that it was started with.
    pub durability: Durability,
    /// Its main process.
    pub pid: u32,
    /// Its data directory, which goes with it.
    pub data_dir: PathBuf,
    /// That it has ended by itself, and its last words.
    pub ended: Option<String>,
}

/// The directory that keeps what a program of this user wants to find again: `$XDG_STATE_HOME/qbench`, else
/// `~/.local/state/qbench`.
///
/// # Errors
/// [`Error::Config`] when neither variable says where.
pub fn state_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .map(|base| base.join("qbench"))
        .ok_or_else(|| Error::Config("neither XDG_STATE_HOME nor HOME names a directory: set one of them".to_owned()))
}

/// Asks the keeper of `state_dir`; `None` when there is none.
///
/// # Errors
/// [`Error::System`] when there is one and it does not answer.
pub fn ask(state_dir: &Path) -> Result<Option<Kept>> {
    let socket = state_dir.join(SOCKET);
    let attempted = format!("ask the keeper of the servers at {}", socket.display());
    let mut stream = match UnixStream::connect(&socket) {
        Ok(stream) => stream,
        // The second one: its keeper was killed.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(Error::system(attempted)(error)),
    };
    let mut text = String::new();
    let answer = stream.set_read_timeout(Some(ANSWER_LIMIT)).and_then(|()| stream.read_to_string(&mut text));
    match answer {
        // It is ending at this moment.
        Ok(0) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(Error::system(attempted)(error)),
    }
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Error::Refused { attempted, message: format!("it answered something else ({error})") })
}

/// Starts the servers and answers questions about them until `stop` resolves, then ends them and removes their data.
/// `ready` is told of them once; when nobody listens any more, it says so by an error, and the servers are ended at once.
///
/// # Errors
/// Those of [`Servers::start`]; [`Error::Busy`] when another keeper works in `state_dir`; [`Error::Config`] when a socket
/// cannot be there; [`Error::System`]. Nothing runs then.
pub async fn keep(
    state_dir: &Path,
    keep: Keep,
    ready: impl FnOnce(&Kept) -> std::io::Result<()>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let socket = state_dir.join(SOCKET);
    if socket.as_os_str().len() > SOCKET_PATH_MAX_BYTES {
        return Err(Error::Config(format!(
            "{} is too long a path for a socket: set XDG_STATE_HOME to a shorter one",
            socket.display()
        )));
    }
    let directory = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    directory(state_dir).map_err(Error::system(format!("make the directory {}", state_dir.display())))?;
    let _lock = lock(&state_dir.join(LOCK))?;
    let services = Servers::start(keep.iter().filter_map(|(engine, durability)| {
        let options = StartOptions { connections: CONNECTIONS, ..StartOptions::new((*durability)?) };
        Some((*engine, Wanted::Private(options)))
    }))
    .await?;
    let outcome = answer(&socket, &services, &keep, ready, stop).await;
    // First, so that nobody is told of servers that are ending.
    let _ = fs::remove_file(&socket);
    outcome.and(services.stop().await)
}

/// The lock of a keeper. It ends with the file's last descriptor, so a keeper that was killed leaves none.
fn lock(path: &Path) -> Result<fs::File> {
    let attempted = format!("lock {}", path.display());
    let file = fs::File::create(path).map_err(Error::system(attempted.as_str()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy(
            "servers are kept already: `qbench services status` shows them, `qbench services stop` ends them"
                .to_owned(),
        )),
        Err(fs::TryLockError::Error(error)) => Err(Error::system(attempted)(error)),
    }
}

async fn answer(
    socket: &Path,
    services: &Servers,
    keep: &Keep,
    ready: impl FnOnce(&Kept) -> std::io::Result<()>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    // Of a keeper that was killed; ours is the lock.
    let _ = fs::remove_file(socket);
    let listener =
        UnixListener::bind(socket).map_err(Error::system(format!("make the socket {}", socket.display())))?;
    if ready(&describe(services, keep)).is_err() {
        return Ok(());
    }
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = listener.accept() => {
                // Whoever asked and went away again does not matter.
                if let Ok((mut stream, _)) = accepted
                    && let Ok(text) = serde_json::to_vec(&describe(services, keep))
                {
                    let _ = tokio::time::timeout(ANSWER_LIMIT, stream.write_all(&text)).await;
                }
            }
        }
    }
}

fn describe(services: &Servers, keep: &Keep) -> Kept {
    let describe = |server: &dyn Server, durability: Durability| {
        let own = server.private()?;
        Some(KeptServer {
            url: server.url().expose().to_owned(),
            version: own.version,
            durability,
            pid: server.pid().ok()?,
            data_dir: own.data_dir,
            ended: server.died().map(|error| error.to_string()),
        })
    };
    let servers = keep.iter().map(|(engine, durability)| {
        let server = services.of(engine.kind()).zip(*durability);
        (engine.kind().id.to_owned(), server.and_then(|(server, durability)| describe(server, durability)))
    });
    Kept { keeper_pid: std::process::id(), servers: servers.collect() }
}
