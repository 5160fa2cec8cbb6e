//! `qbench observe`: what a run starts on the server's host, to start a server there and to watch it.

use std::io::{self, BufReader};
use std::net::IpAddr;
use std::time::Duration;

use qbench_engines::ENGINES;
use qbench_engines::observe::protocol::{Hello, PROTOCOL};
use qbench_engines::observe::serve::{Post, serve};

use super::Status;
use super::signals::Interrupts;
use crate::machine;
use crate::run::meter_program;

/// How long work that was given up may take to end. What is left then is ended by the guards of private servers.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(1);

pub fn main(revision: &str) -> anyhow::Result<Status> {
    let hello = Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: revision.to_owned(),
        host_id: machine::id(),
        host: machine::describe(&std::env::temp_dir()),
        reached_at: std::env::var("SSH_CONNECTION").ok().and_then(|connection| reached_at(&connection)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let post = Post { engines: ENGINES, hello, meter: Some(meter_program()) };
        let input = BufReader::new(io::stdin());
        serve(post, input, io::stdout(), async { interrupts.first().await }).await.map_err(anyhow::Error::msg)
    });
    runtime.shutdown_timeout(GIVE_UP_LIMIT);
    outcome.map(|()| Status::Done)
}

/// The server's address of an ssh connection: the third of client address, client port, server address, server port (ssh(1)).
fn reached_at(connection: &str) -> Option<IpAddr> {
    connection.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_tells_at_which_address_this_host_was_reached() {
        assert_eq!(reached_at("10.0.0.1 50122 10.0.0.2 22"), Some(IpAddr::from([10, 0, 0, 2])));
        assert_eq!(reached_at("2001:db8::1 50122 2001:db8::2 22"), "2001:db8::2".parse().ok());
        assert_eq!(reached_at(""), None);
    }
}
