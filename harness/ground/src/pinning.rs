//! Cores for each role (`--pin server=0,harness=1`), so that generator and server do not take them from each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::usage::Usage;

/// Who may be pinned, as `--pin` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The server under test.
    Server,
    /// This program.
    Harness,
    /// pgbench, and the server that it runs on where that is not the one under test.
    Background,
}

impl Role {
    const ALL: [Role; 3] = [Role::Server, Role::Harness, Role::Background];

    /// The word in `--pin`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Harness => "harness",
            Role::Background => "background",
        }
    }
}

/// Cores by number, at least one. Shows itself as `0-1,3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(BTreeSet<usize>);

impl Cores {
    /// Those that this process may use now.
    ///
    /// # Errors
    /// What the system said.
    pub fn of_this_process() -> std::io::Result<Self> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        Ok(Cores((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()))
    }

    /// Each of them by itself, by number.
    pub fn singly(&self) -> impl Iterator<Item = Cores> {
        self.0.iter().map(|core| Cores(BTreeSet::from([*core])))
    }

    /// Binds the calling thread, and every thread and process that it starts from now on. Makes one system call and
    /// allocates nothing, so that it may stand between fork and exec.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind_calling_thread(&self) -> std::io::Result<()> {
        let mut set = CpuSet::new();
        for core in &self.0 {
            set.set(*core)?;
        }
        Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for core in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *core => *last = *core,
                _ => ranges.push((*core, *core)),
            }
        }
        let words = ranges.iter().map(|(from, to)| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        });
        f.write_str(&words.collect::<Vec<_>>().join(","))
    }
}

/// Which role is bound to which cores. Nobody is, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinning {
    given: BTreeMap<Role, Cores>,
    /// What this process could use before it was bound: children of a bound harness get these back.
    all: Option<Cores>,
}

impl Pinning {
    /// Reads `server=0-1,3,harness=2`: a number without a role belongs to the role before it. `available` are the cores
    /// that may be given away.
    ///
    /// # Errors
    /// [`Usage`] for a text of another form, a role named twice, or a core that is not available.
    pub fn parse(text: &str, available: &Cores) -> Result<Self, Usage> {
        let refused = |problem: String| {
            Usage(format!(
                "--pin {text}: {problem}; expected for instance server=0-1,harness=2 or server=0,2,harness=1"
            ))
        };
        let mut pinning = Pinning { all: Some(available.clone()), ..Pinning::default() };
        let mut present = None;
        for part in text.split(',') {
            let cores = match part.split_once('=') {
                None => part,
                Some((name, cores)) => {
                    let role = Role::ALL.into_iter().find(|role| role.name() == name.trim());
                    let role = role.ok_or_else(|| refused(format!("there is no role `{}`", name.trim())))?;
                    if pinning.of(role).is_some() {
                        return Err(refused(format!("{name} is named twice")));
                    }
                    present = Some(role);
                    cores
                }
            };
            let role = present.ok_or_else(|| refused(format!("`{part}` does not say whose cores these are")))?;
            let (from, to) = cores.split_once('-').unwrap_or((cores, cores));
            let (from, to): (usize, usize) = (from.trim().parse().ok())
                .zip(to.trim().parse().ok())
                .filter(|(from, to)| from <= to)
                .ok_or_else(|| refused(format!("`{cores}` is no core and no range of cores")))?;
            if let Some(missing) = (from..=to).find(|core| !available.0.contains(core)) {
                return Err(Usage(format!(
                    "--pin {text}: core {missing} does not exist here or may not be used; there are {available}"
                )));
            }
            pinning.given.entry(role).or_insert(Cores(BTreeSet::new())).0.extend(from..=to);
        }
        Ok(pinning)
    }

    /// The cores that were given to `role`.
    pub fn of(&self, role: Role) -> Option<&Cores> {
        self.given.get(&role)
    }

    /// The cores for a new process of `role`: those given to it, else all of them where the harness itself is bound, which
    /// its children would inherit; `None` leaves it as it is.
    pub fn for_child(&self, role: Role) -> Option<Cores> {
        self.of(role).or(self.of(Role::Harness).and(self.all.as_ref())).cloned()
    }

    /// Binds this process, where the harness is to be bound. To be called before it starts threads: they inherit it.
    ///
    /// # Errors
    /// What the system said.
    pub fn bind_harness(&self) -> std::io::Result<()> {
        self.of(Role::Harness).map_or(Ok(()), Cores::bind_calling_thread)
    }

    /// A sentence for the manifest; `None` when nobody is bound.
    pub fn in_words(&self) -> Option<String> {
        let bound: Vec<String> = self.given.iter().map(|(role, cores)| format!("{} to {cores}", role.name())).collect();
        (!bound.is_empty()).then(|| format!("bound to cores: {}; everything else runs on any", bound.join(", ")))
    }
}

impl fmt::Display for Pinning {
    /// As `--pin` takes it, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound: Vec<String> = self.given.iter().map(|(role, cores)| format!("{}={cores}", role.name())).collect();
        f.write_str(if bound.is_empty() { "none".to_owned() } else { bound.join(",") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four_cores() -> Cores {
        Cores((0..4).collect())
    }

    fn read(text: &str) -> Result<Pinning, String> {
        Pinning::parse(text, &four_cores()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_goes_on_until_the_next_role() {
        let pinning = read("server=0-1,3,harness=2").unwrap();
        assert_eq!(pinning.of(Role::Server).unwrap().to_string(), "0-1,3");
        assert_eq!(pinning.of(Role::Harness).unwrap().to_string(), "2");
        assert_eq!(pinning.of(Role::Background), None);
        assert_eq!(pinning.to_string(), "server=0-1,3,harness=2");
        assert_eq!(read(&pinning.to_string()).unwrap(), pinning, "what is shown can be read again");
        assert_eq!(Pinning::default().to_string(), "none");
    }

    #[test]
    fn children_of_a_bound_harness_get_all_cores_back() {
        let pinning = read("harness=1").unwrap();
        assert_eq!(pinning.for_child(Role::Server), Some(four_cores()));
        assert_eq!(read("server=2").unwrap().for_child(Role::Background), None, "nothing was taken from it");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_there_is() {
        let missing = read("server=0,harness=4").unwrap_err();
        assert!(missing.contains("core 4 does not exist here or may not be used; there are 0-3"), "{missing}");
        for (text, word) in [
            ("0-1", "whose cores"),
            ("sever=0", "no role `sever`"),
            ("server=0,server=1", "named twice"),
            ("server=1-0", "`1-0` is no core"),
            ("server=", "`` is no core"),
        ] {
            assert!(read(text).unwrap_err().contains(word), "{text}: {}", read(text).unwrap_err());
        }
    }
}
