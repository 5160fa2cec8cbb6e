//! What a backend is opened with.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;

use crate::capability::Wake;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};
use crate::url::ServerUrl;

/// Options of one backend (`--set KEY=VALUE`), already checked against the registry's list of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendOptions(BTreeMap<String, String>);

impl BackendOptions {
    /// Takes key and value pairs; later ones win.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        BackendOptions(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Value of `key`, parsed; `default` when it was not given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the value does not parse; the message names key, value and what is expected.
    pub fn parse<T: std::str::FromStr>(&self, key: &str, default: T, expected: &str) -> Result<T> {
        match self.0.get(key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Error::config(format!("option {key}={text} is not valid: expected {expected}"))),
        }
    }

    /// Value of `key` as a whole number within `range`; `default` when it was not given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the value is none, or outside; the message names the range.
    pub fn parse_in(&self, key: &str, default: u32, range: RangeInclusive<u32>) -> Result<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.parse(key, default, &expected)?;
        match range.contains(&value) {
            true => Ok(value),
            false => Err(Error::config(format!("option {key}={value} is not valid: expected {expected}"))),
        }
    }

    /// Value of `key` as one of `allowed`; the first of them when it was not given.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the value is none of them.
    pub fn choice<'a>(&self, key: &str, allowed: &[&'a str]) -> Result<&'a str> {
        match self.0.get(key) {
            None => Ok(allowed[0]),
            Some(text) => allowed.iter().find(|word| *word == text).copied().ok_or_else(|| {
                Error::config(format!("option {key}={text} is not valid: expected one of {}", allowed.join(", ")))
            }),
        }
    }
}

/// Everything that a backend needs to open connections.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// Address of the server, or `sqlite://` and the directory of an embedded database; `None` for backends that live in this
    /// process.
    pub url: Option<ServerUrl>,
    /// PostgreSQL schema, Valkey key prefix, beginning of NATS stream names, or name of a database file that holds everything the
    /// backend makes. Letters, digits and `_` only.
    pub namespace: String,
    /// Class that enqueue and ack must reach. The backend reads back what the server really gives ([`crate::Description`]).
    pub durability: Durability,
    /// How long a claim stays with a consumer that does not answer any more.
    pub lease: Duration,
    /// How a worker waits for work; one of the backend's own [`crate::Capabilities::wakes`].
    pub wake: Wake,
    /// Interval of polling, and of the fallback beside notifications.
    pub poll_interval: Duration,
    /// Least time between two notifications, where workers wait for such; zero for one with each batch of jobs.
    pub notify_limit: Duration,
    /// How the queue's tables are set.
    pub tuning: Tuning,
    /// Workers of the run, for backends that bind workers to partitions.
    pub workers: u32,
    /// Limit on one server round trip before it is given up as unanswered.
    pub timeout: Duration,
    /// The backend's own options.
    pub options: BackendOptions,
    /// Counts what producers and consumers ask of the server.
    pub counters: ClientCounters,
}

impl BackendConfig {
    /// A configuration for one worker in `namespace`, without an address: the strongest class, leases of 30 s, polling every
    /// 10 ms, an answer within 10 s, no options.
    pub fn new(namespace: impl Into<String>) -> Self {
        BackendConfig {
            url: None,
            namespace: namespace.into(),
            durability: Durability::D2,
            lease: Duration::from_secs(30),
            wake: Wake::Poll,
            poll_interval: Duration::from_millis(10),
            notify_limit: Duration::ZERO,
            tuning: Tuning::Stock,
            workers: 1,
            timeout: Duration::from_secs(10),
            options: BackendOptions::default(),
            counters: ClientCounters::default(),
        }
    }

    /// The same at `url`.
    #[must_use]
    pub fn at(self, url: &ServerUrl) -> Self {
        BackendConfig { url: Some(url.clone()), ..self }
    }

    /// The server's address.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when none was given.
    pub fn require_url(&self) -> Result<&ServerUrl> {
        self.url.as_ref().ok_or_else(Self::no_url)
    }

    /// That there is no address.
    pub(crate) fn no_url() -> Error {
        Error::config("this backend needs a server address and none was given")
    }

    /// The namespace, which a backend uses as `role`, for instance its key prefix.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when it is empty or has other characters than letters, digits and `_`.
    pub(crate) fn plain_namespace(&self, role: &str) -> Result<&str> {
        let namespace = &self.namespace;
        if namespace.is_empty() || !namespace.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("the {role} {namespace:?} is not valid: letters, digits and _ only");
            return Err(Error::config(message));
        }
        Ok(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        let options = BackendOptions::new([("n".to_owned(), "9".to_owned()), ("word".to_owned(), "x".to_owned())]);
        assert_eq!(options.parse_in("n", 1, 1..=9).unwrap(), 9);
        assert_eq!(options.parse_in("other", 2, 1..=9).unwrap(), 2);
        for (key, said) in [("n", "option n=9"), ("word", "option word=x")] {
            let error = options.parse_in(key, 1, 1..=8).unwrap_err().to_string();
            assert!(error.ends_with(&format!("{said} is not valid: expected a whole number from 1 to 8")), "{error}");
        }
    }
}
