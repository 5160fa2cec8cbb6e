//! Which process of this host a given NATS server is.

use std::collections::HashSet;

use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, all_processes};
use qbench_backends::ServerUrl;
use qbench_backends::nats::Address;

use crate::engine::TcpPlace;
use crate::services::given::{check_name, check_this_host, said};

/// Whether the server at `url` is on this host, as far as its address tells.
///
/// # Errors
/// Why not.
pub(super) fn check_here(url: &ServerUrl) -> Result<Address, String> {
    let address = Address::parse(url).map_err(said)?;
    check_this_host(address.host())?;
    Ok(address)
}

/// Where it is reached over a network: the port of its clients and, where the address names it, that of its monitoring endpoint.
///
/// # Errors
/// Why there is no such place.
pub(super) fn place_of(url: &ServerUrl) -> Result<TcpPlace, String> {
    let address = Address::parse(url).map_err(said)?;
    let monitor = address.monitor().map(|(_, port)| port);
    Ok(TcpPlace { host: address.host().to_owned(), ports: [address.port()].into_iter().chain(monitor).collect() })
}

/// `url` with client port and monitoring endpoint at another place.
pub(super) fn moved(url: &ServerUrl, place: &TcpPlace) -> ServerUrl {
    let monitor = Address::parse(url).ok().and_then(|address| Some(address.monitor()?.1));
    let moved = url.moved_to(&place.host, place.ports.first().copied().unwrap_or_default());
    match (monitor, place.ports.get(1)) {
        (Some(port), Some(now)) => {
            ServerUrl::new(moved.expose().replace(&format!("monitor={port}"), &format!("monitor={now}")))
        }
        _ => moved,
    }
}

/// Its one process: the one that listens on its port. The server itself does not tell.
///
/// # Errors
/// Why it is not known.
pub(super) fn find(url: &ServerUrl) -> Result<u32, String> {
    let port = check_here(url)?.port();
    let sockets: HashSet<u64> = [tcp(), tcp6()]
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
        .map(|entry| entry.inode)
        .collect();
    let listens = |process: &procfs::process::Process| {
        let descriptors = process.fd().into_iter().flatten().flatten();
        descriptors.into_iter().any(|fd| matches!(fd.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
    };
    // Processes of others cannot be looked into.
    let process = all_processes().map_err(said)?.flatten().find(listens);
    let pid = process.ok_or_else(|| format!("no process that we may look into listens on port {port}"))?.pid;
    check_name(pid, &["nats-server"])?;
    u32::try_from(pid).map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitoring_endpoint_moves_with_the_clients_port() {
        let url = ServerUrl::new("nats://ann:pw@db:4333?monitor=8222&system_user=sys&system_password=pw");
        assert_eq!(place_of(&url).unwrap(), TcpPlace { host: "db".to_owned(), ports: vec![4333, 8222] });
        let place = TcpPlace { host: "127.0.0.1".to_owned(), ports: vec![50_001, 50_002] };
        let moved = moved(&url, &place);
        assert_eq!(moved.expose(), "nats://ann:pw@127.0.0.1:50001?monitor=50002&system_user=sys&system_password=pw");
        assert_eq!(place_of(&moved).unwrap(), place);
    }
}
