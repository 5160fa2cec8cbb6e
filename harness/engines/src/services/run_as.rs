//! Which user private servers run as.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User};

use super::error::{Error, Result};

/// An unprivileged user. PostgreSQL refuses to run as root, and no server of ours needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl RunAs {
    /// The user for servers: `postgres` when we are root and it exists, else `nobody`; `None`, which is ourselves, when
    /// we are not root.
    ///
    /// # Errors
    /// [`Error::Config`] when we are root and there is neither.
    pub fn unprivileged() -> Result<Option<RunAs>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Ok(Some(user)) = User::from_name(name)
                && !user.uid.is_root()
            {
                return Ok(Some(RunAs { name: user.name, uid: user.uid, gid: user.gid }));
            }
        }
        Err(Error::Config(
            "private servers cannot run as root, and this system has neither a user postgres nor a user nobody; \
             run qbench as an ordinary user"
                .to_owned(),
        ))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its user id.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// Its primary group.
    pub fn gid(&self) -> Gid {
        self.gid
    }

    /// The first directory on the way to `dir`, itself included, that this user may not enter. Looks at permission bits
    /// only, as the kernel does for users without privileges.
    pub(super) fn blocked_at(&self, dir: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = dir.ancestors().collect();
        way.reverse();
        way.into_iter().find(|path| !self.may_enter(path)).map(Path::to_owned)
    }

    fn may_enter(&self, dir: &Path) -> bool {
        let Ok(metadata) = dir.metadata() else { return false };
        let bit = if metadata.uid() == self.uid.as_raw() {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }
}
