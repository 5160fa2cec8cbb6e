//! What a backend is opened with.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use qbench_schema::result::Durability;

use crate::capability::Wake;
use crate::error::{Error, Result};
use crate::round_trips::RoundTrips;

/// Address of a server, possibly with a password. Shows itself without it: only [`ServerUrl::expose`] gives the whole.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Takes a URL as the user gave it; the driver library judges it when it connects.
    pub fn new(url: impl Into<String>) -> Self {
        ServerUrl(url.into())
    }

    /// The URL with its password, for connecting only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The URL with the password replaced by `***`, user information kept. A password may hold any character, so
    /// everything between the first `:` of the user information and the last `@` before the path is masked; so is the
    /// value of a `password` query parameter.
    pub fn redacted(&self) -> String {
        let (scheme, rest) = match self.0.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), self.0.as_str()),
        };
        let shown = match rest.rsplit_once('@') {
            Some((user_info, host)) => match user_info.split_once(':') {
                Some((user, _)) => format!("{user}:***@{host}"),
                None => rest.to_owned(),
            },
            None => rest.to_owned(),
        };
        let shown = match shown.split_once("password=") {
            Some((before, after)) => {
                let rest = after.split_once('&').map(|(_, rest)| format!("&{rest}")).unwrap_or_default();
                format!("{before}password=***{rest}")
            }
            None => shown,
        };
        format!("{scheme}{shown}")
    }

    /// `text` without this URL's password, for words of others that may hold it.
    pub fn conceal_in(&self, text: &str) -> String {
        let text = text.replace(&self.0, &self.redacted());
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        let of_user = rest.rsplit_once('@').and_then(|(user_info, _)| Some(user_info.split_once(':')?.1));
        let of_query = self.0.split_once("password=").map(|(_, after)| after.split('&').next().unwrap_or(after));
        let secrets = of_user.into_iter().chain(of_query).filter(|secret| !secret.is_empty());
        secrets.fold(text, |text, secret| text.replace(secret, "***"))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.redacted())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Options of one backend (`--set KEY=VALUE`), already checked against the registry's list of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendOptions(BTreeMap<String, String>);

impl BackendOptions {
    /// Takes key and value pairs; later ones win.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        BackendOptions(pairs.into_iter().collect())
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
    /// Address of the server, or `sqlite://` and the directory of an embedded database; `None` for backends that live in this process, and for one that is opened only to be asked
    /// for its contract: then connecting fails.
    pub url: Option<ServerUrl>,
    /// PostgreSQL schema, Valkey key prefix, or name of a database file that holds everything the backend makes. Letters, digits and `_` only.
    pub namespace: String,
    /// Class that enqueue and ack must reach. The backend reads back what the server really gives ([`crate::Description`]).
    pub durability: Durability,
    /// How long a claim stays with a consumer that does not answer any more.
    pub lease: Duration,
    /// How a worker waits for work; one of the backend's own [`crate::Capabilities::wakes`].
    pub wake: Wake,
    /// Interval of polling, and of the fallback beside notifications.
    pub poll_interval: Duration,
    /// Workers of the run, for backends that bind workers to partitions.
    pub workers: u32,
    /// Limit on one server round trip before it is given up as unanswered.
    pub timeout: Duration,
    /// The backend's own options.
    pub options: BackendOptions,
    /// Counts what producers and consumers ask of the server.
    pub round_trips: RoundTrips,
}

impl BackendConfig {
    /// The server's address.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when none was given.
    pub fn require_url(&self) -> Result<&ServerUrl> {
        self.url.as_ref().ok_or_else(Self::no_url)
    }

    pub(crate) fn no_url() -> Error {
        Error::config("this backend needs a server address and none was given")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_lose_the_password_too() {
        for (url, secret) in [
            ("postgres://ann:p@ss:w/o?rd@db/x", "p@ss:w/o?rd"),
            ("redis://:s3cret@127.0.0.1:6379", "s3cret"),
            ("postgres://db/x?user=ann&password=s3cret&a=b", "s3cret"),
        ] {
            let said = format!("tried {url}: password {secret} was refused");
            let shown = ServerUrl::new(url).conceal_in(&said);
            assert!(!shown.contains(secret) && shown.contains("was refused"), "{shown}");
        }
        let open = ServerUrl::new("postgres://ann@db/x");
        assert_eq!(open.conceal_in("no route to postgres://ann@db/x"), "no route to postgres://ann@db/x");
    }

    #[test]
    fn a_url_never_shows_its_password() {
        for (url, shown) in [
            ("postgres://ann:s3cret@db:5432/x", "postgres://ann:***@db:5432/x"),
            ("postgres://ann:p@ss:w/o?rd@db/x", "postgres://ann:***@db/x"),
            ("redis://:s3cret@127.0.0.1:6379", "redis://:***@127.0.0.1:6379"),
            ("postgres://db/x?user=ann&password=s3cret&a=b", "postgres://db/x?user=ann&password=***&a=b"),
            ("postgres://ann@db/x", "postgres://ann@db/x"),
        ] {
            let url = ServerUrl::new(url);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("s3cret"));
        }
    }
}
