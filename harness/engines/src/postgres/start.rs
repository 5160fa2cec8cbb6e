//! A PostgreSQL server for one run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use qbench_backends::ServerUrl;
use qbench_schema::result::Durability;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::locate::PostgresPrograms;
use super::memory::{MemorySettings, machine_memory_bytes};
use crate::services::child::spawn_under;
use crate::services::given::said;
use crate::services::private_dir::PrivateDir;
use crate::services::private_server::{
    Launch, PrivateServer, Running, StopSteps, address, beside_the_runtime, free_port, how_it_ended, log_tail, named,
    random_password, with_asked,
};
use crate::services::{Error, Result, RunAs, StartOptions};

/// Superuser of the private cluster.
const USER: &str = "qbench";
/// Database that is made in it.
const DATABASE: &str = "qbench";
/// `initdb` takes a second or two; a disk that needs longer than this cannot be measured on.
const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// PostgreSQL's own default of `max_connections`. A run that needs no more gets just this.
const PRODUCT_MAX_CONNECTIONS: u32 = 100;
/// Connections beyond those that are planned: reconnections while the server still holds the old one, a person with psql,
/// and what PostgreSQL reserves for superusers.
const SPARE_CONNECTIONS: u32 = 20;
/// Who may connect to a cluster whose clients are on another host: whoever knows the password. The file that `initdb` makes lets
/// nobody in from there.
const WHO_MAY_CONNECT: &str = "local all all scram-sha-256\nhost all all all scram-sha-256\n";
/// Longest path of a unix socket that every system accepts, file name included.
const SOCKET_PATH_MAX_BYTES: usize = 100;

/// Fast shutdown, immediate shutdown (which gives backends 5 s itself), and the end.
const STOP_STEPS: StopSteps = &[
    (Signal::SIGINT, Duration::from_secs(5)),
    (Signal::SIGQUIT, Duration::from_secs(7)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Settings that the harness alone decides: where the server is, and what its durability class promises.
const RESERVED: &[(&str, &str)] = &[
    ("fsync", "the harness never measures a server that can lose everything (METHODOLOGY F1)"),
    ("synchronous_commit", "it follows from the durability class"),
    ("listen_addresses", "where its clients are decides where it listens"),
    ("hba_file", "where its clients are decides who may connect"),
    ("port", "a free one is chosen"),
    ("unix_socket_directories", "the socket is in the private directory"),
    ("data_directory", "the data is in the private directory"),
];

/// A running private PostgreSQL.
pub type PostgresServer = PrivateServer<PostgresPrograms>;

impl PostgresServer {
    /// Makes a cluster in a private directory, starts it on a free port of the address that it is to listen on, and makes the database `qbench`.
    /// Needs one to three seconds. The durability class decides `synchronous_commit`; `fsync` is always on, and the unlogged
    /// tables of D0 are the backend's matter.
    ///
    /// # Errors
    /// [`Error::Programs`], [`Error::Config`], [`Error::System`], or [`Error::Server`] with the end of the server's own
    /// log. Nothing runs and nothing is left then.
    pub async fn start(options: StartOptions) -> Result<Self> {
        let listen = options.listen;
        Self::start_on(|| free_port(listen), None, options).await
    }

    /// The same with the programs of one installation.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn start_from(programs: PostgresPrograms, options: StartOptions) -> Result<Self> {
        let listen = options.listen;
        Self::start_on(|| free_port(listen), Some(programs), options).await
    }

    async fn start_on(
        choose_port: impl FnMut() -> Result<u16>,
        programs: Option<PostgresPrograms>,
        options: StartOptions,
    ) -> Result<Self> {
        let mut settings = settings(&options)?;
        let (cores, listen) = (options.cores.clone(), options.listen);
        let password = random_password();
        let (programs, dir) = {
            let password = password.clone();
            beside_the_runtime(move || make_cluster(programs, options, &password)).await?
        };
        let launch = Launch { name: "postgres", dir, listen, stop_steps: STOP_STEPS, port_taken: "could not bind IPv" };
        if !listen.is_loopback() {
            settings.insert(
                "hba_file".to_owned(),
                launch.dir.secret_file("hba.conf", WHO_MAY_CONNECT)?.display().to_string(),
            );
        }
        let command = |dir: &PrivateDir, port: u16| {
            let spec = dir.child(&programs.postgres).cores(cores.clone());
            // An immediate shutdown: the postmaster takes its children and its shared memory with it.
            let spec = spec.death_signal(Signal::SIGQUIT).arg("-D").arg(dir.data());
            Ok(settings
                .iter()
                .chain(&place(dir, listen, port))
                .fold(spec, |spec, (key, value)| spec.arg("-c").arg(format!("{key}={value}"))))
        };
        let connect = |port: u16, database: &str| {
            // Nothing of this comes from the user's PG… variables.
            PgConnectOptions::new_without_pgpass()
                .host(&listen.to_string())
                .port(port)
                .username(USER)
                .password(&password)
                .database(database)
                .ssl_mode(PgSslMode::Disable)
        };
        // Nobody else's server lets us in with this password.
        let ready = |port: u16, _pid: u32| {
            let options = connect(port, "postgres");
            async move { execute(&options, "select 1").await.map_err(said) }
        };
        let running = Running::start(launch, choose_port, command, ready).await?;
        let port = running.port();
        execute(&connect(port, "postgres"), &format!("create database {DATABASE}")).await.map_err(|error| {
            let attempted =
                format!("create the database {DATABASE} on the private PostgreSQL at {}", address(listen, port));
            Error::Refused { attempted, message: error.to_string() }
        })?;
        settings.extend(place(running.dir(), listen, port));
        let at = address(listen, port);
        let url = ServerUrl::new(format!("postgres://{USER}:{password}@{at}/{DATABASE}?sslmode=disable"));
        Ok(PrivateServer::new(running, url, settings, programs))
    }

    /// The pgbench of the same installation.
    pub fn pgbench(&self) -> &Path {
        &self.programs().pgbench
    }
}

/// Our own settings (those of a server with 8 GB, fitted to the machine), and the durability class.
fn settings(options: &StartOptions) -> Result<BTreeMap<String, String>> {
    let memory = MemorySettings::for_machine(machine_memory_bytes()?);
    let synchronous_commit = match options.durability {
        // D0 is unlogged tables and nothing else.
        Durability::D0 | Durability::D2 => "on",
        Durability::D1 => "off",
    };
    let ours = named([
        ("shared_buffers", format!("{}MB", memory.shared_buffers_mb)),
        ("effective_cache_size", format!("{}MB", memory.effective_cache_size_mb)),
        ("maintenance_work_mem", format!("{}MB", memory.maintenance_work_mem_mb)),
        ("work_mem", format!("{}MB", memory.work_mem_mb)),
        ("max_connections", max_connections(options.connections).to_string()),
        ("fsync", "on".to_owned()),
        ("synchronous_commit", synchronous_commit.to_owned()),
    ]);
    with_asked("PostgreSQL", qbench_backends::postgres::ENGINE, RESERVED, ours, options)
}

/// Room for the connections of the run, and for those that nobody planned.
fn max_connections(connections: u32) -> u32 {
    (connections + SPARE_CONNECTIONS).max(PRODUCT_MAX_CONNECTIONS)
}

/// The settings that say where the server is.
fn place(dir: &PrivateDir, listen: IpAddr, port: u16) -> BTreeMap<String, String> {
    let socket = dir.data().join(".s.PGSQL.65535");
    // Nothing of ours uses the socket; it is there for a person with psql, where its path is short enough.
    let sockets = if socket.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
        dir.data().display().to_string()
    } else {
        String::new()
    };
    named([("listen_addresses", listen.to_string()), ("port", port.to_string()), ("unix_socket_directories", sockets)])
}

/// Makes the private directory and the cluster in it. Blocks.
fn make_cluster(
    programs: Option<PostgresPrograms>,
    options: StartOptions,
    password: &str,
) -> Result<(PostgresPrograms, PrivateDir)> {
    let programs = match programs {
        Some(programs) => programs,
        None => PostgresPrograms::of_machine()?,
    };
    let run_as = RunAs::unprivileged()?;
    let dir = PrivateDir::create(options.base_dir.as_deref(), "postgres", &programs.postgres, run_as)?;
    let password_file = dir.secret_file("password", password)?;
    let spec = (dir.child(&programs.initdb))
        .args([OsStr::new("--pgdata"), dir.data().as_os_str(), OsStr::new("--pwfile"), password_file.as_os_str()])
        .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
        // An unfinished cluster is thrown away in any case; the server itself syncs as its class demands.
        .args(["--no-sync", "--no-instructions"]);
    let (log, spec) = dir.log_output("initdb.log", spec)?;
    let initdb = spawn_under(spec, dir.guard())?;
    let ended = initdb.wait_timeout(INITDB_LIMIT);
    let failed = |what: String| Error::Server { what, log: log_tail(&log) };
    match ended {
        Some(status) if status.success() => {}
        Some(status) => return Err(failed(format!("initdb {}", how_it_ended(status)))),
        None => return Err(failed(format!("initdb did not finish within {} s", INITDB_LIMIT.as_secs()))),
    }
    fs::remove_file(&password_file).map_err(Error::system(format!("remove {}", password_file.display())))?;
    Ok((programs, dir))
}

async fn execute(options: &PgConnectOptions, statement: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect_with(options).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_decides_when_a_commit_returns_and_fsync_is_always_on() {
        for (durability, expected) in [(Durability::D0, "on"), (Durability::D1, "off"), (Durability::D2, "on")] {
            let settings = settings(&StartOptions::new(durability)).unwrap();
            assert_eq!(settings["synchronous_commit"], expected);
            assert_eq!(settings["fsync"], "on");
        }
    }

    #[test]
    fn there_is_room_for_every_connection_of_the_run() {
        let of = |connections| {
            let options = StartOptions { connections, ..StartOptions::new(Durability::D1) };
            settings(&options).unwrap()["max_connections"].clone()
        };
        assert_eq!((of(0).as_str(), of(80).as_str(), of(500).as_str()), ("100", "100", "520"));
    }

    #[tokio::test]
    async fn a_port_that_somebody_took_first_costs_another_attempt() {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![free_port(IpAddr::from([127, 0, 0, 1])), Ok(occupied.local_addr().unwrap().port())];
        let options = StartOptions::new(Durability::D1);
        let server = PostgresServer::start_on(|| ports.pop().unwrap(), None, options).await.unwrap();
        assert!(ports.is_empty(), "the occupied port was not tried");
        server.stop().await.unwrap();
    }

    #[test]
    fn a_given_setting_replaces_ours_unless_it_is_the_harness_s_own() {
        let mut options = StartOptions::new(Durability::D1);
        options.settings.insert("Work_Mem".to_owned(), "7MB".to_owned());
        assert_eq!(settings(&options).unwrap()["work_mem"], "7MB");
        options.settings.insert("FSYNC".to_owned(), "off".to_owned());
        let error = settings(&options).unwrap_err().to_string();
        assert!(error.contains("fsync") && error.contains("cannot be changed"), "{error}");
    }
}
