//! What a host is, and what it lacks, asked with nothing but a shell there.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::agent::Hello;
use super::connection::Connection;
use super::error::Result;
use super::file::Host;

/// Prints `key=value` lines. Its argument is the work folder, which need not be there: its nearest parent is asked.
const SCRIPT: &str = r#"
say() { printf '%s=%s\n' "$1" "$2"; }
say system "$(uname -s)"
say architecture "$(uname -m)"
say kernel "$(uname -r)"
say host_name "$(uname -n)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo unknown)"
say cores "$(getconf _NPROCESSORS_ONLN)"
say memory_kb "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
say cpu_model "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
say governor "$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
say load "$(cut -d' ' -f1 /proc/loadavg)"
say machine_id "$(cat /etc/machine-id 2>/dev/null)"
if [ "$(id -u)" = 0 ]; then say install root
elif sudo -n true 2>/dev/null; then say install sudo
else say install none; fi
dir=$1
while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
if [ -w "$dir" ]; then say writable yes; else say writable no; fi
say free_kb "$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')"
"#;

/// How often the clock is asked; the answer that came back soonest says most.
const CLOCK_QUESTIONS: usize = 5;

/// Free space below which a matrix should not begin: a few runs of the profile `standard`.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// A clock that is further off makes it hard to read logs and times of two hosts side by side.
const CLOCK_OFFSET_S_MAX: f64 = 1.0;
/// Load of others, in processes per core, above which nothing should be measured.
const LOAD_PER_CORE_MAX: f64 = 0.5;
/// The governor under which a processor does not slow down between two bursts.
const STEADY_GOVERNOR: &str = "performance";

/// Who may install packages there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallRight {
    /// The user is root.
    Root,
    /// `sudo` works without a password.
    Sudo,
    /// Nobody but a person with a password.
    None,
}

/// What a host is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Its name in `hosts.toml`.
    pub name: String,
    /// Its name for itself.
    pub host_name: String,
    /// `/etc/machine-id`; empty where there is none.
    pub machine_id: String,
    /// `Linux`.
    pub system: String,
    /// As `uname -m` has it.
    pub architecture: String,
    /// As `uname -r` has it.
    pub kernel: String,
    /// As `getconf GNU_LIBC_VERSION` has it.
    pub libc: String,
    /// Cores that are on line.
    pub cores: u32,
    /// The processor's name.
    pub cpu_model: String,
    /// Memory in MB.
    pub memory_mb: u64,
    /// How the processor's frequency is governed; `None` where the host does not say, as most virtual machines do not.
    pub governor: Option<String>,
    /// Processes that wanted to run, as a mean of the last minute.
    pub load: f64,
    /// Free space for the work folder, in bytes.
    pub free_bytes: u64,
    /// Whether the work folder, or its nearest parent, can be written.
    pub writable: bool,
    /// Who may install packages.
    pub install: InstallRight,
    /// How far its clock is ahead of the one here, in seconds.
    pub clock_offset_s: f64,
    /// The most by which that may be wrong: half of the way there and back.
    pub clock_error_s: f64,
    /// This program there; `None` where it was not brought there yet.
    pub program: Option<Hello>,
}

/// Asks `host` what it is. Nothing is written there.
///
/// # Errors
/// [`super::Error::Lost`], and [`super::Error::Host`] where it has no shell that answers.
pub async fn facts(host: &Host, connection: &Connection) -> Result<Facts> {
    let arguments = ["-s", "--", host.work_dir.as_str()];
    let text = connection.ask("it could not be asked what it is", "sh", &arguments, SCRIPT.as_bytes()).await?;
    let (clock_offset_s, clock_error_s) = clock(connection).await?;
    let program = Hello::ask(host, connection).await?;
    let text = String::from_utf8_lossy(&text);
    Ok(facts_of(&host.name, &values(&text), (clock_offset_s, clock_error_s), program))
}

fn values(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key, value.trim())).collect()
}

fn facts_of(name: &str, values: &BTreeMap<&str, &str>, clock: (f64, f64), program: Option<Hello>) -> Facts {
    let text = |key: &str| values.get(key).copied().unwrap_or_default().to_owned();
    let number = |key: &str| values.get(key).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
    const KIB: f64 = 1024.0;
    Facts {
        name: name.to_owned(),
        host_name: text("host_name"),
        machine_id: text("machine_id"),
        system: text("system"),
        architecture: text("architecture"),
        kernel: text("kernel"),
        libc: text("libc"),
        cores: number("cores") as u32,
        cpu_model: text("cpu_model"),
        memory_mb: (number("memory_kb") * KIB / 1e6) as u64,
        governor: Some(text("governor")).filter(|governor| !governor.is_empty()),
        load: number("load"),
        free_bytes: (number("free_kb") * KIB) as u64,
        writable: text("writable") == "yes",
        install: match text("install").as_str() {
            "root" => InstallRight::Root,
            "sudo" => InstallRight::Sudo,
            _ => InstallRight::None,
        },
        clock_offset_s: clock.0,
        clock_error_s: clock.1,
        program,
    }
}

/// How far the host's clock is ahead, and the most by which that may be wrong, in seconds (Cristian 1989: the answer was given somewhere between
/// question and arrival).
async fn clock(connection: &Connection) -> Result<(f64, f64)> {
    let here = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let mut best: Option<(f64, f64)> = None;
    for _ in 0..CLOCK_QUESTIONS {
        let asked = here();
        let answer = connection.ask("it could not be asked for its time", "date", &["+%s.%N"], b"").await?;
        let arrived = here();
        let Ok(there) = String::from_utf8_lossy(&answer).trim().parse::<f64>() else {
            return Err(
                connection.refused("`date +%s.%N` there gives no time with fractions: GNU coreutils are needed")
            );
        };
        let error = (arrived - asked) / 2.0;
        if best.is_none_or(|(_, least)| error < least) {
            best = Some((there - (asked + error), error));
        }
    }
    Ok(best.unwrap_or_default())
}

impl Facts {
    /// What keeps a matrix from running there, with what to do about it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.system != "Linux" {
            problems.push(format!("it runs {}: figures come from Linux's /proc, so a Linux is needed", self.system));
        }
        if !self.writable {
            problems.push("its work folder cannot be written: name another work-dir in the file of hosts".to_owned());
        }
        if self.free_bytes < FREE_BYTES_MIN {
            problems.push(format!(
                "only {} MB are free for its work folder, and a few runs take {} MB: make room, or name another work-dir",
                self.free_bytes / 1_000_000,
                FREE_BYTES_MIN / 1_000_000
            ));
        }
        problems
    }

    /// What makes figures from there doubtful, or needs a person later.
    pub fn cautions(&self) -> Vec<String> {
        let mut cautions = Vec::new();
        if self.clock_offset_s.abs() - self.clock_error_s > CLOCK_OFFSET_S_MAX {
            cautions.push(format!(
                "its clock is {:.1} s {} the one here: latencies do not mind, since each is measured by one clock; times in logs do",
                self.clock_offset_s.abs(),
                if self.clock_offset_s > 0.0 { "ahead of" } else { "behind" }
            ));
        }
        if let Some(governor) = self.governor.as_deref().filter(|governor| *governor != STEADY_GOVERNOR) {
            cautions.push(format!(
                "the governor of its processor is {governor}: `cpupower frequency-set -g {STEADY_GOVERNOR}` keeps it from slowing down"
            ));
        }
        if self.load > LOAD_PER_CORE_MAX * f64::from(self.cores) {
            cautions.push(format!("its load is {:.1} on {} cores: something else runs there", self.load, self.cores));
        }
        if self.install == InstallRight::None {
            cautions.push(
                "packages cannot be installed without a password: have what `qbench doctor` there wants installed"
                    .to_owned(),
            );
        }
        cautions
    }
}

/// In what hosts differ that ought to be identical: one sentence each.
pub fn differences(hosts: &[Facts]) -> Vec<String> {
    type Fact = (&'static str, fn(&Facts) -> String);
    const FACTS: [Fact; 6] = [
        ("architecture", |facts| facts.architecture.clone()),
        ("kernel", |facts| facts.kernel.clone()),
        ("processor", |facts| facts.cpu_model.clone()),
        ("cores", |facts| facts.cores.to_string()),
        ("memory", |facts| format!("{} MB", facts.memory_mb)),
        ("governor", |facts| facts.governor.clone().unwrap_or_else(|| "not said".to_owned())),
    ];
    let differs = |(name, fact): &Fact| {
        let values: Vec<String> = hosts.iter().map(fact).collect();
        let is_one = values.windows(2).all(|pair| pair[0] == pair[1]);
        let said = hosts.iter().zip(&values).map(|(host, value)| format!("{} on {}", value, host.name));
        (!is_one).then(|| format!("{name}: {}", said.collect::<Vec<_>>().join(", ")))
    };
    FACTS.iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "system=Linux\narchitecture=x86_64\nkernel=6.1.0-18\nhost_name=db1\nlibc=glibc 2.36\ncores=4\nmemory_kb=16384000\n\
        cpu_model=AMD EPYC\ngovernor=\nload=0.08\nmachine_id=ab12\ninstall=sudo\nwritable=yes\nfree_kb=52428800\n";

    fn of(text: &str, clock: (f64, f64)) -> Facts {
        facts_of("vm1", &values(text), clock, None)
    }

    #[test]
    fn a_sound_host_has_no_problem_and_no_caution() {
        let facts = of(TEXT, (0.002, 0.001));
        assert_eq!(
            (facts.cores, facts.memory_mb, facts.install, facts.governor.clone()),
            (4, 16777, InstallRight::Sudo, None)
        );
        assert_eq!((facts.problems(), facts.cautions()), (vec![], vec![]));
    }

    #[test]
    fn what_is_the_matter_is_said_with_what_to_do() {
        let text = TEXT.replace("free_kb=52428800", "free_kb=2048").replace("writable=yes", "writable=no");
        let problems = of(&text, (0.0, 0.0)).problems().join("\n");
        assert!(problems.contains("only 2 MB are free") && problems.contains("another work-dir"), "{problems}");
        let text =
            TEXT.replace("governor=", "governor=powersave").replace("load=0.08", "load=3.5").replace("=sudo", "=none");
        let cautions = of(&text, (-3.0, 0.01)).cautions();
        for (caution, words) in cautions.iter().zip(["3.0 s behind", "powersave", "load is 3.5", "without a password"])
        {
            assert!(caution.contains(words), "{caution}");
        }
        assert_eq!(cautions.len(), 4);
    }

    #[test]
    fn a_clock_is_off_only_where_the_way_does_not_explain_it() {
        assert_eq!(of(TEXT, (1.5, 1.0)).cautions(), Vec::<String>::new());
        assert_eq!(of(TEXT, (1.5, 0.1)).cautions().len(), 1);
    }

    #[test]
    fn hosts_that_differ_are_told_apart_by_what_differs() {
        let (first, mut second) = (of(TEXT, (0.0, 0.0)), of(&TEXT.replace("cores=4", "cores=8"), (0.0, 0.0)));
        second.name = "vm2".to_owned();
        assert_eq!(differences(&[first.clone(), second]), ["cores: 4 on vm1, 8 on vm2"]);
        assert_eq!(differences(&[first.clone(), first]), Vec::<String>::new());
    }
}
