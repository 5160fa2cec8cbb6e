//! Addresses of servers, which never show their passwords.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands as it is in a URL, whatever its place: letters, digits and these (RFC 3986, section 2.3). All else is `%XX`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

    /// The same with its server at another place. Whether that is the place which counts is for the driver library to say: some take host
    /// and port from elsewhere in an address, too.
    #[must_use]
    pub fn moved_to(&self, host: &str, port: u16) -> ServerUrl {
        let (scheme, rest) = match self.0.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), self.0.as_str()),
        };
        let (user_info, place) = match rest.rsplit_once('@') {
            Some((user_info, place)) => (format!("{user_info}@"), place),
            None => (String::new(), rest),
        };
        let path = place.find(['/', '?', '#']).map_or("", |end| &place[end..]);
        ServerUrl(format!("{scheme}{user_info}{host}:{port}{path}"))
    }

    /// Every way to write the password, the longest first: one may be part of another.
    fn secrets(&self) -> Vec<String> {
        let (of_user, of_query) = (self.password_of_user(), self.password_of_query());
        let mut secrets = Vec::new();
        for written in of_user.into_iter().chain(of_query) {
            let decoded = percent_decode_str(written).decode_utf8_lossy();
            let encoded = percent_encoded(&decoded);
            for secret in [written, &decoded, &encoded] {
                let within_json = serde_json::Value::from(secret).to_string();
                secrets.extend([within_json[1..within_json.len() - 1].to_owned(), secret.to_owned()]);
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

fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
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
    fn a_server_at_another_place_is_spoken_to_as_before() {
        for (url, moved) in [
            (
                "postgres://ann:p@ss:w/o?rd@db:5432/x?sslmode=disable",
                "postgres://ann:p@ss:w/o?rd@127.0.0.1:7/x?sslmode=disable",
            ),
            ("redis://:s3cret@db/0", "redis://:s3cret@127.0.0.1:7/0"),
            ("nats://db?monitor=8222", "nats://127.0.0.1:7?monitor=8222"),
            ("redis://[2001:db8::1]:6379", "redis://127.0.0.1:7"),
        ] {
            assert_eq!(ServerUrl::new(url).moved_to("127.0.0.1", 7).expose(), moved);
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
