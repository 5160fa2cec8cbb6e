//! Options that every queue of this engine has: how its sessions on the server are.

use crate::config::BackendOptions;
use crate::entry::OptionSpec;
use crate::error::Result;

/// What those options say.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionOptions {
    pub(super) client: Client,
    pub(super) plans: Plans,
    pub(super) claim_commit: ClaimCommit,
}

/// The client of what is measured. The control side and the listener always have the general driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// Our own ([`super::wire`]): what the queue can do, as pgbench would show it.
    Thin,
    /// sqlx: what most Rust programs would get.
    Sqlx,
}

/// Who decides how statements are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plans {
    /// The server, as everywhere (METHODOLOGY F11).
    Server,
    /// Settings that hardly anybody has in production: generic plans only, no sequential scan, no compilation.
    Pinned,
}

/// When a claim is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimCommit {
    /// As everything else of its durability class.
    Durable,
    /// Some time later: a crash undoes it, and the job is delivered again.
    Async,
}

const CLIENT_KEY: &str = "pg_client";
const PLANS_KEY: &str = "plans";
const CLAIM_COMMIT_KEY: &str = "claim_commit";

/// By which the client is chosen.
pub(super) const CLIENT: OptionSpec = OptionSpec {
    key: CLIENT_KEY,
    default: "thin",
    help: "who speaks to the server for producers and workers: thin (a client of our own, about as cheap as pgbench) or sqlx \
           (what most Rust programs use)",
};

/// By which plans are chosen.
pub(super) const PLANS: OptionSpec = OptionSpec {
    key: PLANS_KEY,
    default: "server",
    help: "who decides how statements are executed: server (as everywhere) or pinned (generic plans only, enable_seqscan and jit \
           off: cheaper, and nothing flips, but hardly anybody runs so)",
};

/// By which the commit of claims is chosen.
pub(super) const CLAIM_COMMIT: OptionSpec = OptionSpec {
    key: CLAIM_COMMIT_KEY,
    default: "durable",
    help: "when a claim is on the disk: durable (as its class says) or async (later: a crash only delivers the job again)",
};

/// Settings by which plans are pinned, for all queues alike.
///
/// A worker prepares its statements on an empty table. Left alone, the server plans most calls anew, because a plan for these very
/// arguments looks cheaper than one for any; or it keeps one that was right on the empty table until the table's
/// statistics change. And once a backlog is large, the estimate of a generic claim may pass the threshold of the compiler.
const PINNED: &[(&str, &str)] = &[("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")];

impl SessionOptions {
    /// What `options` say.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for a value that there is not.
    pub(super) fn of(options: &BackendOptions) -> Result<Self> {
        Ok(SessionOptions {
            client: match options.choice(CLIENT_KEY, &["thin", "sqlx"])? {
                "sqlx" => Client::Sqlx,
                _ => Client::Thin,
            },
            plans: match options.choice(PLANS_KEY, &["server", "pinned"])? {
                "pinned" => Plans::Pinned,
                _ => Plans::Server,
            },
            claim_commit: match options.choice(CLAIM_COMMIT_KEY, &["durable", "async"])? {
                "async" => ClaimCommit::Async,
                _ => ClaimCommit::Durable,
            },
        })
    }
}

impl Plans {
    /// Settings of the sessions of producers and workers.
    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Plans::Server => &[],
            Plans::Pinned => PINNED,
        }
    }

    /// Settings of the control side, whose statements are not measured and must not weigh: they are always pinned. The depth's plan, too,
    /// is made on an empty table, where sorting all waiting jobs seems as cheap as reading the first of them in the order of the index.
    pub(super) fn of_control_side() -> impl Iterator<Item = (&'static str, &'static str)> {
        PINNED.iter().copied().chain([("enable_sort", "off")])
    }
}

impl ClaimCommit {
    /// Settings of the sessions that claim.
    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            ClaimCommit::Durable => &[],
            ClaimCommit::Async => &[("synchronous_commit", "off")],
        }
    }

    /// What a reader of figures must know.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            ClaimCommit::Durable => None,
            ClaimCommit::Async => Some(
                "claims commit with synchronous_commit = off: a crash of the server undoes the last of them, and their jobs are \
                 delivered again; enqueues and acks are as durable as the class",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_help_says() {
        let of = |pairs: &[(&str, &str)]| SessionOptions::of(&BackendOptions::new(pairs.iter().copied()));
        let silent = of(&[]).expect("the defaults");
        let said = of(&[CLIENT, PLANS, CLAIM_COMMIT].map(|option| (option.key, option.default))).expect("the defaults");
        for options in [silent, said] {
            assert_eq!((options.client, options.plans), (Client::Thin, Plans::Server));
            assert_eq!(options.claim_commit, ClaimCommit::Durable);
        }
        assert_eq!(of(&[(CLIENT_KEY, "sqlx")]).expect("the other").client, Client::Sqlx);
        let error = of(&[(CLIENT_KEY, "libpq")]).expect_err("there is no such client").to_string();
        assert_eq!(error, "option pg_client=libpq is not valid: expected one of thin, sqlx");
    }
}
