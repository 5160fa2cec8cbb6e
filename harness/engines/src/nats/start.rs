//! A NATS server for one run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use qbench_backends::ServerUrl;
use qbench_backends::nats::connect;
use qbench_schema::result::Durability;

use super::locate::NatsProgram;
use crate::services::private_dir::PrivateDir;
use crate::services::private_server::{
    Launch, PrivateServer, Running, StopSteps, address, free_port, named, random_password, with_asked,
};
use crate::services::{Error, Result, RunAs, StartOptions};

/// An orderly end, and the end.
const STOP_STEPS: StopSteps = &[(Signal::SIGTERM, Duration::from_secs(5)), (Signal::SIGKILL, Duration::from_secs(5))];

/// Limit on one attempt to see whether it answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Largest message: NATS advises against more than 8 MB, and takes 1 MB by default.
const MAX_PAYLOAD: &str = "8MB";

/// What settings of the `jetstream` block begin with; all others stand at the top.
const JETSTREAM: &str = "jetstream.";

/// Settings that the harness alone decides: where the server is, who may use it, and what its durability class promises.
const RESERVED: &[(&str, &str)] = &[
    ("jetstream.sync_interval", "it follows from the durability class"),
    ("jetstream.store_dir", "the data is in the private directory"),
    ("jetstream", "its settings are given one by one, as jetstream.max_memory_store=1GB"),
    ("listen", "where its clients are decides where it listens"),
    ("host", "where its clients are decides where it listens"),
    ("port", "a free one is chosen"),
    ("http", "the monitoring endpoint is beside the clients' port, on a free one"),
    ("http_port", "the monitoring endpoint is beside the clients' port, on a free one"),
    ("server_name", "the harness knows its server by it"),
    ("accounts", "a random password is chosen"),
    ("authorization", "a random password is chosen"),
    ("system_account", "a random password is chosen"),
    ("include", "the settings that apply must be in the manifest"),
    ("log_file", "the log is in the private directory"),
    ("logfile", "the log is in the private directory"),
    ("net", "where its clients are decides where it listens"),
    ("monitor_port", "the monitoring endpoint is beside the clients' port, on a free one"),
    ("https", "the monitoring endpoint is beside the clients' port, on a free one"),
    ("https_port", "the monitoring endpoint is beside the clients' port, on a free one"),
    ("prof_port", "nothing else is to listen"),
    ("store_dir", "the data is in the private directory"),
    ("storedir", "the data is in the private directory"),
    ("system", "a random password is chosen"),
    ("no_auth_user", "a random password is chosen"),
    ("jetstream.sync", "it follows from the durability class"),
    ("jetstream.store", "the data is in the private directory"),
    ("jetstream.storedir", "the data is in the private directory"),
    ("jetstream.enabled", "there is no queue without it"),
];

/// A running private NATS server.
pub type NatsServer = PrivateServer<NatsProgram>;

impl NatsServer {
    /// Starts it in a private directory on free ports of the address that it is to listen on, with JetStream. Its monitoring endpoint asks
    /// nobody for a password. D2: files are synced before every answer; else
    /// at NATS's own interval, two minutes (a queue of D0 asks for memory instead of files).
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
        let name = format!("qbench-{:016x}", rand::random::<u64>());
        let program = NatsProgram::of_machine()?;
        let run_as = RunAs::unprivileged()?;
        let dir = PrivateDir::create(options.base_dir.as_deref(), "nats", &program.server, run_as)?;
        let launch = Launch { name: "nats", dir, listen, stop_steps: STOP_STEPS, port_taken: "address already in use" };
        let monitor = AtomicU16::new(0);
        let command = |dir: &PrivateDir, port: u16| {
            let chosen = free_port(listen)?;
            monitor.store(chosen, Ordering::Relaxed);
            let place = place(dir, listen, port, chosen);
            let text = configuration(settings.iter().chain(&place), &name, &password);
            // In a file that only its user can read; an argument could be read by everybody.
            let file = dir.secret_file(&format!("server-{port}.conf"), &text)?;
            Ok(dir.child(&program.server).cores(options.cores.clone()).arg("--config").arg(file))
        };
        // The name tells ours from somebody else's on the same port.
        let ready = |port: u16, _pid: u32| {
            let (url, name) = (url(listen, port, monitor.load(Ordering::Relaxed), &password), &name);
            async move {
                let client = connect(&url, "qbench start", ANSWER_LIMIT).await.map_err(|error| error.to_string())?;
                if client.server_info().server_name == *name {
                    Ok(())
                } else {
                    Err("another server answers".to_owned())
                }
            }
        };
        let running = Running::start(launch, choose_port, command, ready).await?;
        let (port, monitor) = (running.port(), monitor.into_inner());
        settings.extend(place(running.dir(), listen, port, monitor));
        Ok(PrivateServer::new(running, url(listen, port, monitor, &password), settings, program))
    }
}

/// The system account is for the conformance suite, which cuts connections.
fn url(listen: IpAddr, port: u16, monitor: u16, password: &str) -> ServerUrl {
    let address = address(listen, port);
    ServerUrl::new(format!(
        "nats://qbench:{password}@{address}?monitor={monitor}&system_user=system&system_password={password}"
    ))
}

/// The durability class and what the user asked for as settings.
fn settings(options: &StartOptions) -> Result<BTreeMap<String, String>> {
    for (key, value) in &options.settings {
        let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        if !is_plain || value.contains(['\n', '\r', '{', '}', '#', ';', ',']) {
            let message = format!(
                "the setting {key} of a private NATS has a line break or punctuation of its configuration in it"
            );
            return Err(Error::Config(message));
        }
    }
    let mut ours = named([("max_payload", MAX_PAYLOAD.to_owned())]);
    if options.durability == Durability::D2 {
        ours.insert(format!("{JETSTREAM}sync_interval"), "always".to_owned());
    }
    with_asked("NATS", qbench_backends::nats::ENGINE, RESERVED, ours, options)
}

/// The settings that say where the server is.
fn place(dir: &PrivateDir, listen: IpAddr, port: u16, monitor: u16) -> BTreeMap<String, String> {
    let data = dir.data().display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    named([
        ("listen", format!("\"{}\"", address(listen, port))),
        ("http", format!("\"{}\"", address(listen, monitor))),
        ("jetstream.store_dir", format!("\"{data}\"")),
    ])
}

/// The text of the configuration file.
fn configuration<'a>(settings: impl Iterator<Item = (&'a String, &'a String)>, name: &str, password: &str) -> String {
    let (mut top, mut jetstream) = (String::new(), String::new());
    for (key, value) in settings {
        match key.strip_prefix(JETSTREAM) {
            Some(key) => jetstream.push_str(&format!("  {key}: {value}\n")),
            None => top.push_str(&format!("{key}: {value}\n")),
        }
    }
    format!(
        "server_name: \"{name}\"\n\
         {top}\
         jetstream {{\n{jetstream}}}\n\
         system_account: SYSTEM\n\
         accounts {{\n  \
           SYSTEM {{ users: [{{ user: system, password: \"{password}\" }}] }}\n  \
           QBENCH {{ jetstream: enabled, users: [{{ user: qbench, password: \"{password}\" }}] }}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_strongest_class_syncs_before_every_answer() {
        for (durability, synced) in [(Durability::D0, None), (Durability::D1, None), (Durability::D2, Some("always"))] {
            let settings = settings(&StartOptions::new(durability)).unwrap();
            assert_eq!(settings.get("jetstream.sync_interval").map(String::as_str), synced, "{durability:?}");
        }
    }

    #[test]
    fn settings_stand_where_the_server_looks_for_them() {
        let settings = [("max_payload", "1MB"), ("jetstream.max_memory_store", "1GB")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let text = configuration(settings.iter().map(|(key, value)| (key, value)), "qbench-1", "s3cret");
        assert!(text.contains("\nmax_payload: 1MB\njetstream {\n  max_memory_store: 1GB\n}\n"), "{text}");
    }

    #[tokio::test]
    async fn a_port_that_somebody_took_first_costs_another_attempt() {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![free_port(IpAddr::from([127, 0, 0, 1])), Ok(occupied.local_addr().unwrap().port())];
        let options = StartOptions::new(Durability::D0);
        let server = NatsServer::start_on(|| ports.pop().unwrap(), options).await.unwrap();
        assert!(ports.is_empty(), "the occupied port was not tried");
        server.stop().await.unwrap();
    }

    #[test]
    fn a_setting_of_the_harness_and_a_second_setting_in_a_value_are_refused() {
        for (key, value) in
            [("Listen", "0.0.0.0:4222"), ("jetstream.store_dir", "/"), ("max_payload", "1MB\nport: 1"), ("x", "{")]
        {
            let mut options = StartOptions::new(Durability::D1);
            options.settings.insert(key.to_owned(), value.to_owned());
            assert!(settings(&options).is_err(), "{key}");
        }
    }
}
