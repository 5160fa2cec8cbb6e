//! The temporary directory of one private server.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::child::ChildSpec;
use super::error::{Error, Result};
use super::guard::{Guard, MARKER_FILE};
use super::run_as::RunAs;

/// Variable that says where private servers keep their data.
pub const DIRECTORY_VARIABLE: &str = "QBENCH_TMPDIR";

/// A directory with a guard. The top belongs to us: log files, secrets, the marker. `data` below it belongs to the
/// server's user, so that we, possibly root, never write where that user could put a link in our way. Dropping it
/// removes everything.
pub(crate) struct PrivateDir {
    path: PathBuf,
    guard: Arc<Guard>,
    run_as: Option<RunAs>,
}

impl PrivateDir {
    /// Makes `<base>/qbench-<name>-<random>` for `program`, which will run as `run_as` with `data` as its working
    /// directory.
    pub(crate) fn create(base: Option<&Path>, name: &str, program: &Path, run_as: Option<RunAs>) -> Result<Self> {
        let base = base_directory(base, run_as.as_ref())?;
        let path = base.join(format!("qbench-{name}-{:016x}", rand::random::<u64>()));
        let guard = Arc::new(Guard::start(Some((&path, program)))?);
        let dir = PrivateDir { path, guard, run_as };
        dir.fill()?;
        Ok(dir)
    }

    fn fill(&self) -> Result<()> {
        // Others may pass through to `data` if it is theirs, and see nothing on the way.
        let mode = if self.run_as.is_some() { 0o711 } else { 0o700 };
        make_dir(&self.path)?;
        drop(create_file(&self.path.join(MARKER_FILE))?);
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
            .map_err(Error::system(format!("set the mode of {}", self.path.display())))?;
        make_dir(&self.data())?;
        self.give_away(&self.data())
    }

    /// The server's own directory in it.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Who looks after its servers.
    pub(crate) fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// `program` as it runs here: by its servers' user, in their directory.
    pub(crate) fn child(&self, program: &Path) -> ChildSpec {
        ChildSpec::new(program).current_dir(self.data()).run_as(self.run_as.as_ref())
    }

    /// Sends what `spec` prints to a file in the top that only we can read.
    pub(crate) fn log_output(&self, name: &str, spec: ChildSpec) -> Result<(PathBuf, ChildSpec)> {
        let path = self.path.join(name);
        let file = create_file(&path)?;
        let copy = file.try_clone().map_err(Error::system(format!("use {} twice", path.display())))?;
        Ok((path, spec.stdout(file).stderr(copy)))
    }

    /// Makes a file in the top that only the server's user can read.
    pub(crate) fn secret_file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        create_file(&path)?
            .write_all(content.as_bytes())
            .map_err(Error::system(format!("write {}", path.display())))?;
        self.give_away(&path)?;
        Ok(path)
    }

    fn give_away(&self, path: &Path) -> Result<()> {
        match &self.run_as {
            None => Ok(()),
            Some(user) => chown(path, Some(user.uid().as_raw()), Some(user.gid().as_raw()))
                .map_err(Error::system(format!("give {} to user {}", path.display(), user.name()))),
        }
    }

    /// Ends whatever still runs in it and removes it. Does nothing the second time.
    ///
    /// # Errors
    /// [`Error::System`] when it is still there afterwards.
    pub(crate) fn remove(&self) -> Result<()> {
        self.guard.finish();
        // The guard has done it, unless somebody killed the guard.
        if self.path.join(MARKER_FILE).exists() {
            fs::remove_dir_all(&self.path).map_err(Error::system(format!("remove {}", self.path.display())))?;
        }
        Ok(())
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!("{error}");
        }
    }
}

fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(Error::system(format!(
        "make the directory {}; {DIRECTORY_VARIABLE} names another place",
        path.display()
    )))
}

fn create_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::system(format!("create {}", path.display())))
}

/// Where private servers keep their data when nobody asks for another place: what a run's server writes to.
///
/// # Errors
/// [`Error::Config`] where their user may not enter it, or there is no user for them; [`Error::System`] where it is not there.
pub fn data_directory() -> Result<PathBuf> {
    base_directory(None, RunAs::unprivileged()?.as_ref())
}

/// Where private directories are made: `asked`, else $QBENCH_TMPDIR, else $TMPDIR where the servers' user can reach it,
/// else /tmp.
fn base_directory(asked: Option<&Path>, run_as: Option<&RunAs>) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(base) = asked.map(Path::to_owned).or_else(|| variable(DIRECTORY_VARIABLE)) {
        return usable(&base, run_as);
    }
    // TMPDIR was not set with us in mind; a root's own TMPDIR is often closed to others.
    if let Some(base) = variable("TMPDIR")
        && let Ok(base) = usable(&base, run_as)
    {
        return Ok(base);
    }
    usable(Path::new("/tmp"), run_as)
}

fn usable(base: &Path, run_as: Option<&RunAs>) -> Result<PathBuf> {
    let base = base
        .canonicalize()
        .map_err(Error::system(format!("use {} for the data of private servers", base.display())))?;
    match run_as.and_then(|user| user.blocked_at(&base).map(|blocked| (user, blocked))) {
        None => Ok(base),
        Some((user, blocked)) => Err(Error::Config(format!(
            "private servers run as user {} here and cannot keep their data in {}, because that user may not enter {}; \
             set {DIRECTORY_VARIABLE} to a directory that every user may enter",
            user.name(),
            base.display(),
            blocked.display(),
        ))),
    }
}
