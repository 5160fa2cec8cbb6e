//! Servers that run already: which process they are, for the accounting of roles.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use async_trait::async_trait;
use qbench_backends::ServerUrl;

use super::server::Server;

/// Limit on asking a server for its process.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// A server that somebody else started. Nothing of it is changed or ended.
#[derive(Debug, Clone)]
pub struct GivenServer {
    url: ServerUrl,
    pid: Result<u32, String>,
}

impl GivenServer {
    /// The server at `url`, whose process `question` finds. A server that cannot be reached is no error here: the backend's
    /// own connection says so in its own words.
    pub async fn new(url: ServerUrl, question: impl Future<Output = Result<u32, String>>) -> Self {
        let answer = match tokio::time::timeout(ASK_LIMIT, question).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it did not answer within {} s", ASK_LIMIT.as_secs())),
        };
        let pid = answer.map_err(|reason| format!("the process of the given server is not accounted: {reason}"));
        GivenServer { url, pid }
    }
}

#[async_trait]
impl Server for GivenServer {
    fn url(&self) -> &ServerUrl {
        &self.url
    }

    fn pid(&self) -> Result<u32, &str> {
        self.pid.as_ref().copied().map_err(String::as_str)
    }
}

/// For `map_err`: what the system or a driver said.
pub(crate) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Accepts a host name or an address that is this host's for sure.
pub(crate) fn check_this_host(host: &str) -> Result<(), String> {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = match address.parse::<IpAddr>() {
        Ok(address) => is_of_this_host(address),
        Err(_) => address.eq_ignore_ascii_case("localhost"),
    };
    if is_here { Ok(()) } else { Err(format!("{host} is not this host")) }
}

/// Whether an address is one of this host's: only to such a one can a socket be bound.
fn is_of_this_host(address: IpAddr) -> bool {
    let is_one = !address.is_unspecified() && !address.is_multicast();
    address.is_loopback() || (is_one && UdpSocket::bind((address, 0)).is_ok())
}

/// The process `pid` of this host, when its name is one of `names`. A server behind a forwarded port or in a container
/// tells a pid that means nothing here, or somebody else.
pub(crate) fn check_name(pid: i32, names: &[&str]) -> Result<procfs::process::Process, String> {
    let process = procfs::process::Process::new(pid)
        .map_err(|_| format!("its process {pid} is not visible here (a container, or a forwarded port?)"))?;
    let comm = process.stat().map_err(said)?.comm;
    if names.iter().any(|name| comm.starts_with(name)) {
        Ok(process)
    } else {
        Err(format!("process {pid} of this host is {comm:?} and not the server (a container, or a forwarded port?)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_addresses_of_this_host_are_this_host() {
        for host in ["127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"] {
            assert!(check_this_host(host).is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "db.example.org", "0.0.0.0", "localhost.example.org"] {
            assert!(check_this_host(host).is_err(), "{host}");
        }
    }
}
