//! A Valkey (or Redis) server for one run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use qbench_backends::ServerUrl;
use qbench_schema::result::Durability;

use super::locate::ValkeyProgram;
use crate::services::private_dir::PrivateDir;
use crate::services::private_server::{
    Launch, PrivateServer, Running, StopSteps, address, free_port, named, random_password, with_asked,
};
use crate::services::{Error, Result, RunAs, StartOptions};

/// An orderly end, and the end.
const STOP_STEPS: StopSteps = &[(Signal::SIGTERM, Duration::from_secs(5)), (Signal::SIGKILL, Duration::from_secs(5))];

/// Settings that the harness alone decides: where the server is, who may use it, and what its durability class promises.
const RESERVED: &[(&str, &str)] = &[
    ("appendonly", "it follows from the durability class"),
    ("appendfsync", "it follows from the durability class"),
    ("save", "snapshots are off in every durability class"),
    ("requirepass", "a random password is chosen"),
    ("bind", "where its clients are decides where it listens"),
    ("port", "a free one is chosen"),
    ("dir", "the data is in the private directory"),
    ("logfile", "the log is in the private directory"),
    ("daemonize", "the harness must stay its parent"),
    ("supervised", "the harness must stay its parent"),
];

/// A running private Valkey.
pub type ValkeyServer = PrivateServer<ValkeyProgram>;

impl ValkeyServer {
    /// Starts it in a private directory on a free port of the address that it is to listen on. Needs a few milliseconds. D0: nothing is written; D1: the
    /// append-only file is synced every second; D2: before the reply. Snapshots are always off.
    ///
    /// # Errors
    /// [`Error::Programs`], [`Error::Config`], [`Error::System`], or [`Error::Server`] with the end of the server's own
    /// log. Nothing runs and nothing is left then.
    pub async fn start(options: StartOptions) -> Result<Self> {
        let listen = options.listen;
        Self::start_on(|| free_port(listen), options).await
    }

    async fn start_on(choose_port: impl FnMut() -> Result<u16>, options: StartOptions) -> Result<Self> {
        let mut settings = settings(&options)?;
        let listen = options.listen;
        let password = random_password();
        let program = ValkeyProgram::of_machine()?;
        let run_as = RunAs::unprivileged()?;
        let dir = PrivateDir::create(options.base_dir.as_deref(), program.product, &program.server, run_as)?;
        let launch =
            Launch { name: program.product, dir, listen, stop_steps: STOP_STEPS, port_taken: "Address already in use" };
        let command = |dir: &PrivateDir, port: u16| {
            let mut text: String = settings
                .iter()
                .chain(&place(dir, listen, port))
                .map(|(key, value)| format!("{key} {value}\n"))
                .collect();
            // In a file that only its user can read; an argument could be read by everybody.
            text.push_str(&format!("requirepass {password}\n"));
            let file = dir.secret_file(&format!("server-{port}.conf"), &text)?;
            Ok(dir.child(&program.server).cores(options.cores.clone()).arg(file))
        };
        // The pid tells ours from somebody else's on the same port.
        let ready = |port: u16, pid: u32| {
            let client = redis::Client::open(url(listen, port, &password));
            async move {
                let mut connection = client?.get_multiplexed_async_connection().await?;
                let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
                match info.get::<u32>("process_id") {
                    Some(found) if found == pid => Ok(()),
                    _ => Err(redis::RedisError::from((redis::ErrorKind::Client, "another server answers"))),
                }
            }
        };
        let ready = |port, pid| {
            let answer = ready(port, pid);
            async move { answer.await.map_err(|error: redis::RedisError| error.to_string()) }
        };
        let running = Running::start(launch, choose_port, command, ready).await?;
        let port = running.port();
        settings.extend(place(running.dir(), listen, port));
        let url = ServerUrl::new(url(listen, port, &password));
        Ok(PrivateServer::new(running, url, settings, program))
    }

    /// What it really is: `valkey` or `redis`.
    pub fn product(&self) -> &'static str {
        self.programs().product
    }
}

fn url(listen: IpAddr, port: u16, password: &str) -> String {
    format!("redis://:{password}@{}/0", address(listen, port))
}

/// The durability class as configuration lines. The stock configuration would fork a snapshot every minute under load.
fn settings(options: &StartOptions) -> Result<BTreeMap<String, String>> {
    for (key, value) in &options.settings {
        if format!("{key}{value}").contains(['\n', '\r']) {
            return Err(Error::Config(format!("the setting {key} of a private Valkey has a line break in it")));
        }
    }
    let (appendonly, appendfsync) = match options.durability {
        Durability::D0 => ("no", "no"),
        Durability::D1 => ("yes", "everysec"),
        Durability::D2 => ("yes", "always"),
    };
    let ours = [("save", "\"\""), ("appendonly", appendonly), ("appendfsync", appendfsync), ("daemonize", "no")];
    let ours = named(ours.map(|(key, value)| (key, value.to_owned())));
    with_asked("Valkey", qbench_backends::valkey::ENGINE, RESERVED, ours, options)
}

/// The settings that say where the server is. The path needs quotes where it holds a space.
fn place(dir: &PrivateDir, listen: IpAddr, port: u16) -> BTreeMap<String, String> {
    let data = dir.data().display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    named([("bind", listen.to_string()), ("port", port.to_string()), ("dir", format!("\"{data}\""))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_decides_what_the_append_only_file_does_and_snapshots_are_always_off() {
        for (durability, expected) in
            [(Durability::D0, ("no", "no")), (Durability::D1, ("yes", "everysec")), (Durability::D2, ("yes", "always"))]
        {
            let settings = settings(&StartOptions::new(durability)).unwrap();
            assert_eq!((settings["appendonly"].as_str(), settings["appendfsync"].as_str()), expected);
            assert_eq!(settings["save"], "\"\"");
        }
    }

    #[tokio::test]
    async fn a_port_that_somebody_took_first_costs_another_attempt() {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![free_port(IpAddr::from([127, 0, 0, 1])), Ok(occupied.local_addr().unwrap().port())];
        let options = StartOptions::new(Durability::D0);
        let server = ValkeyServer::start_on(|| ports.pop().unwrap(), options).await.unwrap();
        assert!(ports.is_empty(), "the occupied port was not tried");
        server.stop().await.unwrap();
    }

    #[test]
    fn a_setting_of_the_harness_and_a_second_line_in_a_value_are_refused() {
        for (key, value) in [("Bind", "0.0.0.0"), ("maxmemory", "1gb\nbind 0.0.0.0")] {
            let mut options = StartOptions::new(Durability::D1);
            options.settings.insert(key.to_owned(), value.to_owned());
            assert!(settings(&options).is_err(), "{key}");
        }
    }
}
