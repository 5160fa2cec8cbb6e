//! A command on a host. Everything goes through the user's own `ssh`, with its configuration, keys and agent; nobody is ever asked for a password.

use std::path::Path;
use std::time::Duration;

use openssh::{Child, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::error::{Error, Result};
use super::file::Host;

/// How long a host has to answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often ssh asks a host that is silent whether it is there; after three questions without an answer the connection counts as lost.
const ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// What a shell says of a program that it does not find.
const NOT_FOUND: i32 = 127;
/// What ssh itself says when the connection is gone.
const DISCONNECTED: i32 = 255;

/// An open connection to a host.
pub struct Connection {
    name: String,
    session: Session,
}

/// What a command on a host said.
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub error: String,
}

impl Connection {
    /// Connects to `host`. Its key must be known: the first connection is a person's own, who looks at the key.
    ///
    /// # Errors
    /// [`Error::Lost`] with what ssh said.
    pub async fn open(host: &Host, ssh_config: Option<&Path>) -> Result<Self> {
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(CONNECT_TIMEOUT)
            .server_alive_interval(ALIVE_INTERVAL)
            // Short: a socket's path has at most 107 bytes.
            .control_directory(std::env::temp_dir());
        if let Some(path) = ssh_config {
            builder.config_file(path);
        }
        let session = builder
            .connect_mux(&host.ssh)
            .await
            .map_err(|error| Error::Lost { host: host.name.clone(), problem: with_causes(&error, &host.ssh) })?;
        Ok(Connection { name: host.name.clone(), session })
    }

    /// Runs a program to its end, with `input` on its standard input.
    ///
    /// # Errors
    /// [`Error::Lost`] where the connection broke. A program that failed is no error: see [`Said::status`].
    pub async fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Result<Said> {
        let mut child = self.spawn(program, arguments).await?;
        let (mut stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        let give = async {
            if let Some(stdin) = stdin.as_mut() {
                // A program that ends without reading all of it says itself what it thinks of it.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
            drop(stdin.take());
        };
        let ((), output, error) = tokio::join!(give, read_all(stdout), read_all(stderr));
        let status = match child.wait().await {
            Ok(status) => status.code(),
            Err(openssh::Error::Remote(error)) if error.kind() == std::io::ErrorKind::NotFound => Some(NOT_FOUND),
            Err(error) => return Err(self.lost(&error)),
        };
        let Some(code) = status else { return Err(self.lost(&openssh::Error::Disconnected)) };
        if code == DISCONNECTED {
            self.check().await?;
        }
        Ok(Said { status: code, output, error: String::from_utf8_lossy(&error).trim().to_owned() })
    }

    /// Runs a program that must succeed; its standard output.
    ///
    /// # Errors
    /// [`Error::Lost`], or [`Error::Host`] with `what` and the program's last words.
    pub async fn ask(&self, what: &str, program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let said = self.run(program, arguments, input).await?;
        if said.status == 0 {
            return Ok(said.output);
        }
        let words = if said.error.is_empty() { format!("exit status {}", said.status) } else { said.error };
        Err(Error::Host { host: self.name.clone(), problem: format!("{what}: {words}") })
    }

    /// Starts a program, with pipes to all of its streams.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Child<&Session>> {
        let mut command = self.session.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().await.map_err(|error| self.lost(&error))
    }

    /// Whether the host still answers.
    ///
    /// # Errors
    /// [`Error::Lost`] where it does not.
    pub async fn check(&self) -> Result<()> {
        self.session.check().await.map_err(|error| self.lost(&error))
    }

    /// The error of a connection that broke.
    pub(super) fn lost(&self, error: &openssh::Error) -> Error {
        Error::Lost { host: self.name.clone(), problem: with_causes(error, "") }
    }

    /// The error of a host that is not as it must be.
    pub(super) fn refused(&self, problem: impl Into<String>) -> Error {
        Error::Host { host: self.name.clone(), problem: problem.into() }
    }
}

async fn read_all(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // What came before the connection broke is of use; that it broke is seen at the end of the program.
        let _ = from.read_to_end(&mut bytes).await;
    }
    bytes
}

/// An error with what caused it, and what to do where that is plain.
fn with_causes(error: &openssh::Error, destination: &str) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains("Host key verification failed") || text.contains("host key is known") {
        return format!("{text}; `ssh {destination}` once by hand shows its key and remembers it");
    }
    if text.contains("Permission denied") {
        return format!(
            "{text}; `ssh {destination}` must work without a password: with a key, or an agent that holds it"
        );
    }
    text
}
