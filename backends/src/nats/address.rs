//! The parts of a server's URL.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::url::ServerUrl;

/// Port of clients where the URL names none.
const CLIENT_PORT: u16 = 4222;

/// What a URL should look like, for error messages. These never show the URL: it may hold a secret where nobody expects one.
const EXPECTED: &str = "expected nats://[user:password@]host[:port][?monitor=port]";

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, never shown.
    pub password: String,
}

/// Where a server is, and what is to be said to it.
///
/// `nats://ann:s3cret@db:4222?monitor=8222` is the server on `db` whose monitoring endpoint (`http_port`) is 8222. Without
/// `monitor`, its settings and counters stay unknown. `system_user` and `system_password` log in to its system account: only
/// the conformance suite needs them, to cut connections.
#[derive(Clone)]
pub struct Address {
    /// For the client library, without user and password.
    pub(super) server: ServerAddr,
    /// Who we are, where the server asks.
    pub(super) login: Option<Login>,
    /// Who we are to its system account.
    pub(super) system: Option<Login>,
    host: String,
    port: u16,
    monitor: Option<u16>,
}

impl Address {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when it is no address of a NATS server, or asks for what is not supported.
    pub fn parse(url: &ServerUrl) -> Result<Self> {
        let refused = |what: &str| Error::config(format!("the address of NATS is not usable: {what}; {EXPECTED}"));
        if !url.expose().starts_with("nats://") {
            return Err(refused("it does not begin with nats://, and only plain TCP connections are supported"));
        }
        let server: ServerAddr = url.expose().parse().map_err(|_| refused("it is no URL"))?;
        let mut parts = server.into_inner();
        let host =
            parts.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refused("it names no host"))?.to_owned();
        let port = parts.port().unwrap_or(CLIENT_PORT);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = match (parts.username(), parts.password()) {
            ("", None) => None,
            // It would be a token, which looks like a name and is a secret.
            (_, None) => return Err(refused("it has a user without a password, and tokens are not supported")),
            (user, Some(password)) => Some(Login { user: decoded(user), password: decoded(password) }),
        };
        let (mut monitor, mut system_user, mut system_password) = (None, None, None);
        for (key, value) in parts.query_pairs() {
            match &*key {
                "monitor" => monitor = Some(value.parse().map_err(|_| refused("monitor is no port"))?),
                "system_user" => system_user = Some(value.into_owned()),
                "system_password" => system_password = Some(value.into_owned()),
                _ => return Err(refused(&format!("it has an unknown key, {key}"))),
            }
        }
        let system = system_user.map(|user| Login { user, password: system_password.unwrap_or_default() });
        parts.set_query(None);
        // Neither fails for a URL with a host.
        let _ = (parts.set_username(""), parts.set_password(None));
        let server = ServerAddr::from_url(parts).map_err(|_| refused("it is no URL"))?;
        Ok(Address { server, login, system, host, port, monitor })
    }

    /// The same URL without the login to the system account, which is nobody's business but the conformance suite's.
    pub(super) fn without_system(url: ServerUrl) -> ServerUrl {
        let Some((server, query)) = url.expose().rsplit_once('?') else { return url };
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("system_")).collect();
        ServerUrl::new(if kept.is_empty() { server.to_owned() } else { format!("{server}?{}", kept.join("&")) })
    }

    /// Host name or address of the server.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port of the server's clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port of its monitoring endpoint, where the URL names one.
    pub fn monitor(&self) -> Option<(&str, u16)> {
        Some((self.host.as_str(), self.monitor?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address> {
        Address::parse(&ServerUrl::new(url))
    }

    #[test]
    fn a_url_tells_host_login_and_monitor() {
        let address = parse("nats://ann:p%40ss@db:4333?monitor=8222&system_user=sys&system_password=w%26d").unwrap();
        assert_eq!((address.host(), address.port(), address.monitor()), ("db", 4333, Some(("db", 8222))));
        let login = |login: Option<Login>| login.map(|login| (login.user, login.password));
        assert_eq!(login(address.login), Some(("ann".to_owned(), "p@ss".to_owned())));
        assert_eq!(login(address.system), Some(("sys".to_owned(), "w&d".to_owned())));
        assert_eq!(address.server.into_inner().as_str(), "nats://db:4333");

        let address = parse("nats://127.0.0.1").unwrap();
        assert_eq!((address.port(), address.monitor(), address.login.is_none()), (4222, None, true));
    }

    #[test]
    fn nobody_else_is_given_the_system_account() {
        for (url, given) in [
            ("nats://ann:pw@db?monitor=8222&system_user=sys&system_password=pw", "nats://ann:pw@db?monitor=8222"),
            ("nats://db?system_user=sys&system_password=pw", "nats://db"),
            ("nats://db:4222", "nats://db:4222"),
        ] {
            assert_eq!(Address::without_system(ServerUrl::new(url)).expose(), given);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (url, said) in [
            ("db:4222", "does not begin with nats://"),
            ("tls://ann:s3cret@db", "only plain TCP"),
            ("nats://", "no"),
            ("nats://ann:s3cret@db?monitor=http", "monitor is no port"),
            ("nats://ann:s3cret@db?moniter=s3cret", "an unknown key, moniter"),
            ("nats://s3cret@db", "tokens are not supported"),
        ] {
            let error = parse(url).err().expect(url).to_string();
            assert!(error.contains(said) && error.contains("expected nats://") && !error.contains("s3cret"), "{error}");
        }
    }
}
