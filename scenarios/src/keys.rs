//! The one table of settings: name, help, how the text is read, how the value is written.
//!
//! The command line's flags, the keys of `qbench.toml` and of `[workload]` tables, and the `QBENCH_…` variables are all
//! made from it.

use std::num::NonZeroU32;
use std::time::Duration;

use qbench_schema::load::{Arrivals, AskedWake, Tuning};

use crate::nearest::did_you_mean;
use crate::units::{format_duration, format_size, parse_duration, parse_size};
use crate::workload::{JobsPerSecond, MAX_DELAY, MAX_DURATION, MAX_JOBS, MAX_PAYLOAD_BYTES, Percent, Workload};

/// One setting of the workload.
pub struct KeySpec {
    /// Its name on the command line and in files; `claim-batch` is `QBENCH_CLAIM_BATCH` in the environment.
    pub name: &'static str,
    /// What stands for the value in the help text; `None` for a switch, which takes none on the command line and
    /// `true` or `false` elsewhere.
    pub value_name: Option<&'static str>,
    /// One sentence for the help text.
    pub help: &'static str,
    pub(crate) parse: fn(&mut Workload, &str) -> Result<(), String>,
    pub(crate) print: fn(&Workload) -> String,
    pub(crate) copy: fn(&Workload, &mut Workload),
}

impl KeySpec {
    /// The name of its environment variable.
    pub fn variable(&self) -> String {
        variable(self.name)
    }

    /// Its value in `workload`, as the command line would take it.
    pub fn value_of(&self, workload: &Workload) -> String {
        (self.print)(workload)
    }
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static KeySpec> {
    KEYS.iter().find(|key| key.name == name)
}

/// The environment variable of a setting's name.
pub(crate) fn variable(name: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", name.replace('-', "_").to_uppercase())
}

/// What every variable of ours begins with.
pub const VARIABLE_PREFIX: &str = "QBENCH_";

/// [`KeySpec`]s: of each its name, what stands for the value in the help text, the field, how a text is read and how the value is
/// written, and the sentence.
macro_rules! keys {
    ($($name:literal, $value_name:expr, $($field:ident).+, $parse:expr, $print:expr, $help:literal;)*) => {
        &[$(KeySpec {
            name: $name,
            value_name: $value_name,
            help: $help,
            parse: |workload, text| {
                workload.$($field).+ = $parse(text)?;
                Ok(())
            },
            print: |workload| $print(workload.$($field).+),
            copy: |from, to| to.$($field).+ = from.$($field).+,
        }),*]
    };
}

/// Every setting, in the order in which help and manifest show them.
pub static KEYS: &[KeySpec] = keys! {
    "rate", Some("N"), rate, rate, print,
        "Jobs per second asked of the queue in the measured phase";
    "duration", Some("D"), duration,
        |text| within(text, Duration::from_nanos(1), MAX_DURATION, "the measured phase"), format_duration,
        "Length of the measured phase";
    "warmup", Some("D"), warmup,
        |text| within(text, Duration::ZERO, Duration::from_secs(3600), "the warm-up"), format_duration,
        "Length of the warm-up, in scenarios that have one";
    "warmup-rate", Some("N"), warmup_rate, rate, print,
        "Jobs per second in the warm-up";
    "arrivals", Some("constant|poisson"), arrivals,
        |text| choice(text, &Arrivals::ALL, Arrivals::name), |arrivals: Arrivals| arrivals.name().to_owned(),
        "How arrivals are spaced";
    "seed", Some("N"), seed,
        |text: &str| text.parse::<u64>().map_err(|_| "the seed must be a whole number from 0 to 2^64 - 1".to_owned()),
        print,
        "Seed of everything random: Poisson arrivals and the order of runs";
    "producers", Some("N"), producers, |text| positive(text, "producers"), print,
        "Concurrent producers; at least rate x enqueue time";
    "enqueue-batch", Some("N"), enqueue_batch, |text| positive(text, "jobs in one enqueue"), print,
        "Most jobs in one enqueue";
    "payload", Some("BYTES"), payload_bytes, payload, format_size,
        "Payload of a job, such as 512 or 64KiB";
    "workers", Some("N"), workers, |text| positive(text, "workers"), print,
        "Workers, each with its own connection";
    "concurrency", Some("N"), worker.concurrency, |text| positive(text, "jobs at a time per worker"), print,
        "Jobs that one worker works on at a time";
    "claim-batch", Some("N"), worker.claim_batch, |text| positive(text, "jobs in one claim"), print,
        "Most jobs in one claim";
    "prefetch", Some("N"), worker.prefetch, |text| count(text, 0, "prefetched jobs"), print,
        "Jobs that a worker claims ahead of its free slots";
    "refill", Some("N|auto"), worker.refill,
        |text| unless_auto(text, |text| count(text, 0, "jobs left at a refill")),
        |refill: Option<u32>| refill.map_or(AUTO.to_owned(), print),
        "With --prefetch: claim again when no more than N claimed jobs wait; auto: half of --prefetch";
    "ack-batch", Some("N|auto"), worker.ack_batch,
        |text| unless_auto(text, |text| positive(text, "jobs in one ack")),
        |batch: Option<NonZeroU32>| batch.map_or(AUTO.to_owned(), print),
        "Most jobs in one ack; auto: the backend's own completion buffer, and 1 where it has none";
    "ack-linger", Some("D|auto"), worker.ack_linger,
        |text| unless_auto(text, |text| within(text, Duration::ZERO, Duration::from_secs(10), "the ack linger")),
        |linger: Option<Duration>| linger.map_or(AUTO.to_owned(), format_duration),
        "How long a finished job may wait for others to be acked with; auto: as the backend's own completion buffer";
    "work", Some("D"), work,
        |text| within(text, Duration::ZERO, Duration::from_secs(3600), "the work"), format_duration,
        "Simulated work of one job";
    "fail-pct", Some("P"), fail_pct, |text| percent(text, "the share of jobs whose work fails"), print,
        "Percentage of the jobs whose work fails, chosen by the job's number and the seed";
    "panic-pct", Some("P"), panic_pct, |text| percent(text, "the share of jobs whose work panics"), print,
        "Percentage of the jobs whose work panics, chosen likewise";
    "wake", Some("poll|notify|block|push|auto"), wake,
        |text| unless_auto(text, |text| choice(text, &AskedWake::ALL, AskedWake::name)),
        |wake: Option<AskedWake>| wake.map_or(AUTO, AskedWake::name).to_owned(),
        "How workers learn of work; push: notify or block, whichever the backend has; auto: the backend's own way";
    "poll-interval", Some("D|auto"), poll_interval,
        |text| unless_auto(text, |text| {
            within(text, Duration::from_millis(1), Duration::from_secs(60), "the poll interval")
        }),
        |interval: Option<Duration>| interval.map_or(AUTO.to_owned(), format_duration),
        "Interval of polling, and of the fallback beside notifications; auto: 10ms, and 5s beside notifications";
    "notify-limit", Some("D"), notify_limit,
        |text| within(text, Duration::ZERO, Duration::from_secs(60), "the limit of notifications"), format_duration,
        "With --wake notify: at most one notification in this time, for all jobs since the last; 0s: one with each enqueue";
    "tuning", Some("stock|tuned"), tuning,
        |text| choice(text, &Tuning::ALL, Tuning::name), |tuning: Tuning| tuning.name().to_owned(),
        "How private servers and the queue's tables are set: stock, or tuned for a job queue (docs/BACKENDS.md has the list)";
    "delay", Some("D"), delay, |text| within(text, Duration::ZERO, MAX_DELAY, "the delay"), format_duration,
        "Added to each round trip between clients and server, by a relay, half of it each way; 0s: none";
    "lease", Some("D"), lease,
        |text| within(text, Duration::from_millis(1), Duration::from_secs(24 * 3600), "the lease"), format_duration,
        "How long a claim stays with a worker that vanished";
    "drain-deadline", Some("D"), drain_deadline,
        |text| within(text, Duration::from_secs(1), Duration::from_secs(24 * 3600), "the drain deadline"),
        format_duration,
        "How long to wait for the last completion after the last arrival";
    "allow-overload", None, allow_overload, switch, print,
        "Permit a utilisation of 0.9 or more; the result is marked";
    "saturate", None, saturate, switch, print,
        "Producers and workers go as fast as they can, for figures of capacity; --rate is not used";
    "max-backlog", Some("N"), max_backlog, |text| jobs(text, 1, "backlog"), print,
        "With --saturate: jobs in the system at which producers wait for workers";
    "prefill", Some("N"), prefill, |text| jobs(text, 0, "prefill"), print,
        "Jobs put into the queue before the measured phase";
};

/// Most producers, workers, jobs in a batch and the like.
const MAX_COUNT: u32 = 10_000;

fn print(value: impl ToString) -> String {
    value.to_string()
}

fn rate(text: &str) -> Result<JobsPerSecond, String> {
    // Rust reads `inf` and `nan` as numbers; the limits of the type refuse both.
    JobsPerSecond::new(
        text.parse().map_err(|_| "the rate must be a number of jobs per second, such as 500".to_owned())?,
    )
}

fn percent(text: &str, what: &str) -> Result<Percent, String> {
    text.parse().ok().and_then(Percent::new).ok_or_else(|| format!("{what} must be a percentage from 0 to 100"))
}

fn count(text: &str, least: u32, what: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if (least..=MAX_COUNT).contains(&number) => Ok(number),
        _ => Err(format!("the number of {what} must be a whole number from {least} to {MAX_COUNT}")),
    }
}

fn jobs(text: &str, least: u64, what: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(jobs) if (least..=MAX_JOBS).contains(&jobs) => Ok(jobs),
        _ => Err(format!("the {what} must be a whole number of jobs from {least} to {MAX_JOBS}")),
    }
}

fn positive(text: &str, what: &str) -> Result<NonZeroU32, String> {
    count(text, 1, what).map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

fn within(text: &str, least: Duration, most: Duration, what: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration < least {
        return Err(match least {
            // The smallest duration there is, as a limit, means "not nothing".
            least if least == Duration::from_nanos(1) => format!("{what} must be longer than nothing"),
            least => format!("{what} must be at least {}", format_duration(least)),
        });
    }
    if duration > most {
        return Err(format!("{what} must be at most {}", format_duration(most)));
    }
    Ok(duration)
}

fn payload(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text)?;
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(format!("the payload must be at most {}", format_size(MAX_PAYLOAD_BYTES)));
    }
    Ok(bytes)
}

fn choice<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let names = all.iter().map(|value| name(*value));
    all.iter().copied().find(|value| name(*value) == text).ok_or_else(|| {
        let known = names.clone().collect::<Vec<_>>().join(", ");
        match crate::nearest(text, names) {
            Some(near) => format!("`{text}` is none of {known}; did you mean `{near}`?"),
            None => format!("`{text}` is none of {known}"),
        }
    })
}

/// A value that may be left to the backend.
fn unless_auto<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == AUTO { Ok(None) } else { parse(text).map(Some) }
}

const AUTO: &str = "auto";

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// The end of a sentence about an unknown key: the nearest of [`KEYS`] and `others`.
pub(crate) fn hint(key: &str, others: &[&str]) -> String {
    let known: Vec<&str> = KEYS.iter().map(|key| key.name).chain(others.iter().copied()).collect();
    did_you_mean(key, known)
}
