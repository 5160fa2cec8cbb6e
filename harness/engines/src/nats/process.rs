//! Which process of this host a given NATS server is.

use std::collections::HashSet;

use procfs::net::{TcpState, tcp, tcp6};
use procfs::process::{FDTarget, all_processes};
use qbench_backends::ServerUrl;
use qbench_backends::nats::Address;

use crate::services::given::{check_loopback, check_name, said};

/// Whether the server at `url` is on this host, as far as its address tells.
///
/// # Errors
/// Why not.
pub(super) fn check_here(url: &ServerUrl) -> Result<Address, String> {
    let address = Address::parse(url).map_err(said)?;
    check_loopback(address.host())?;
    Ok(address)
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
