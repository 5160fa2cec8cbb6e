//! Who speaks to the server for producers and consumers.

use crate::config::BackendOptions;
use crate::entry::OptionSpec;
use crate::error::Result;

/// The client of what is measured. The control side and the listener always have the general driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// Our own ([`super::wire`]): what the queue can do, as pgbench would show it.
    Thin,
    /// sqlx: what most Rust programs would get.
    Sqlx,
}

const KEY: &str = "pg_client";

/// The option by which every queue of this engine lets it be chosen.
pub(super) const OPTION: OptionSpec = OptionSpec {
    key: KEY,
    default: "thin",
    help: "who speaks to the server for producers and workers: thin (a client of our own, about as cheap as pgbench) or sqlx \
           (what most Rust programs use)",
};

/// The option set by which the conformance suite checks a queue with the other client.
pub(super) const GENERAL: &[(&str, &str)] = &[(KEY, "sqlx")];

impl Client {
    /// The client that `options` choose.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for one that there is not.
    pub(super) fn of(options: &BackendOptions) -> Result<Self> {
        Ok(match options.choice(KEY, &["thin", "sqlx"])? {
            "sqlx" => Client::Sqlx,
            _ => Client::Thin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_our_own_unless_it_is_said_otherwise() {
        let of = |pairs: &[(&str, &str)]| Client::of(&BackendOptions::new(pairs.iter().copied()));
        assert_eq!(of(&[]).expect("the default"), Client::Thin);
        assert_eq!(of(&[(KEY, OPTION.default)]).expect("what the help says"), Client::Thin);
        assert_eq!(of(GENERAL).expect("the other"), Client::Sqlx);
        let error = of(&[(KEY, "libpq")]).expect_err("there is no such client").to_string();
        assert_eq!(error, "option pg_client=libpq is not valid: expected one of thin, sqlx");
    }
}
