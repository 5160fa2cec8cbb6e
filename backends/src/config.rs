//! What a backend is opened with.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use qbench_schema::result::Durability;

use crate::capability::Wake;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

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

    /// `text` without this URL's password, for words of others that may hold it: as it stands in the URL, as a library
    /// decodes it, as one encodes it again, and either of these within a JSON text.
    pub fn conceal_in(&self, text: &str) -> String {
        let text = text.replace(&self.0, &self.redacted());
        self.secrets().iter().fold(text, |text, secret| text.replace(secret, "***"))
    }

    /// Every way to write the password, the longest first: one may be part of another.
    fn secrets(&self) -> Vec<String> {
        let (of_user, of_query) = (self.password_of_user(), self.password_of_query());
        let mut secrets = Vec::new();
        for written in of_user.into_iter().chain(of_query) {
            let decoded = percent_decoded(written);
            let encoded = percent_encoded(&decoded);
            for secret in [written.to_owned(), decoded, encoded] {
                let within_json = serde_json::Value::from(secret.as_str()).to_string();
                secrets.extend([within_json[1..within_json.len() - 1].to_owned(), secret]);
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }

    /// Everything between scheme and query, user information first.
    fn rest(&self) -> &str {
        self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest)
    }

    fn password_of_user(&self) -> Option<&str> {
        let (user_info, _) = self.rest().rsplit_once('@')?;
        Some(user_info.split_once(':')?.1)
    }

    fn password_of_query(&self) -> Option<&str> {
        let (_, after) = self.0.split_once("password=")?;
        Some(after.split('&').next().unwrap_or(after))
    }

    /// A PostgreSQL URL together with the user and the password that `variable` has in PGUSER and PGPASSWORD, where the URL
    /// itself names none: for a client that does not see our environment.
    pub(crate) fn with_variables(&self, variable: impl Fn(&str) -> Option<String>) -> ServerUrl {
        let user_info = self.rest().rsplit_once('@').map_or("", |(user_info, _)| user_info);
        let has_user = !matches!(user_info.split(':').next(), None | Some("")) || self.0.contains("user=");
        let has_password = self.password_of_user().or_else(|| self.password_of_query()).is_some();
        let mut url = self.0.clone();
        for (known, key, name) in [(has_user, "user", "PGUSER"), (has_password, "password", "PGPASSWORD")] {
            let value = if known { None } else { variable(name).filter(|value| !value.is_empty()) };
            if let Some(value) = value {
                // A `?` before the host is part of a password.
                let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
                let separator = if host.contains('?') { '&' } else { '?' };
                url = format!("{url}{separator}{key}={}", percent_encoded(&value));
            }
        }
        ServerUrl(url)
    }
}

/// `text` with its `%xx` as the bytes that they stand for.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let hex = others.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `text` with everything but letters, digits and `-._~` as `%XX`.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
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
    /// PostgreSQL schema, Valkey key prefix, or name of a database file that holds everything the backend makes. Letters,
    /// digits and `_` only.
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
        self.url.as_ref().ok_or_else(|| Error::config("this backend needs a server address and none was given"))
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
    fn a_password_is_concealed_however_a_library_writes_it() {
        let encoded = ServerUrl::new("postgres://ann:p%40s%22s%5c@db/x");
        for said in [r#"p@s"s\"#, "p%40s%22s%5c", "p%40s%22s%5C", r#"p@s\"s\\"#] {
            let shown = encoded.conceal_in(&format!("password <{said}> was refused"));
            assert_eq!(shown, "password <***> was refused", "{said}");
        }
        let raw = ServerUrl::new("postgres://ann:p@ss%zz%@db/x");
        assert_eq!(raw.conceal_in("p@ss%zz% or p%40ss%25zz%25"), "*** or ***");
    }

    #[test]
    fn user_and_password_of_the_environment_stand_in_for_missing_ones() {
        let variable = |name: &str| match name {
            "PGUSER" => Some("bob".to_owned()),
            "PGPASSWORD" => Some("p@s&s".to_owned()),
            _ => None,
        };
        for (url, resolved) in [
            ("postgres://ann@db/x", "postgres://ann@db/x?password=p%40s%26s"),
            ("postgres://db/x?sslmode=require", "postgres://db/x?sslmode=require&user=bob&password=p%40s%26s"),
            ("postgres://db/x?user=ann", "postgres://db/x?user=ann&password=p%40s%26s"),
            ("postgres://ann:own?@db/x", "postgres://ann:own?@db/x"),
            ("postgres://db/x?user=ann&password=own", "postgres://db/x?user=ann&password=own"),
        ] {
            let resolved_url = ServerUrl::new(url).with_variables(variable);
            assert_eq!(resolved_url.expose(), resolved);
            assert!(!resolved_url.to_string().contains("p%40s"), "{resolved_url}");
        }
        assert_eq!(ServerUrl::new("postgres://ann@db/x").with_variables(|_| None).expose(), "postgres://ann@db/x");
    }

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
