//! Private servers, with real ones: they answer, and whatever becomes of the harness, nothing of them is left.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qbench_backends::ServerUrl;
use qbench_engines::engine::Engine;
use qbench_engines::postgres::{PostgresEngine, PostgresPrograms, PostgresServer};
use qbench_engines::servers::{Servers, Wanted};
use qbench_engines::services::{ChildSpec, GivenServer, Server as _, StartOptions, spawn_guarded};
use qbench_engines::valkey::{ValkeyEngine, ValkeyProgram, ValkeyServer};
use qbench_schema::result::Durability;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tempfile::TempDir;

/// Tells the helper test at the end of this file that it is wanted, and where its servers belong.
const OWNER_VARIABLE: &str = "QBENCH_TEST_OWNER_BASE";

/// What the product promises after a SIGKILL of the harness.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A directory that the servers' user may enter.
fn base() -> TempDir {
    let base = tempfile::Builder::new().prefix("qbench-test-").tempdir_in("/tmp").expect("make a directory in /tmp");
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o711)).expect("set its mode");
    base
}

fn options_in(base: &Path) -> StartOptions {
    StartOptions { base_dir: Some(base.to_owned()), ..StartOptions::new(Durability::D1) }
}

/// Both servers, each a private one.
async fn both_in(base: &Path) -> Servers {
    let wanted = Wanted::Private(options_in(base));
    Servers::start([(&PostgresEngine as _, wanted.clone()), (&ValkeyEngine as _, wanted)]).await.expect("both start")
}

/// Processes of the servers.
fn pids(services: &Servers) -> Vec<u32> {
    services.all().map(|(_, server)| server.pid().expect("it is ours")).collect()
}

/// Processes that work in `base` or name it in their arguments (the guards), and what is left in it.
fn left_in(base: &Path) -> Vec<String> {
    let mut left: Vec<String> = fs::read_dir(base)
        .expect("read the base directory")
        .map(|entry| entry.expect("read the base directory").path().display().to_string())
        .collect();
    for process in fs::read_dir("/proc").expect("read /proc").flatten() {
        let proc = process.path();
        let arguments = fs::read(proc.join("cmdline")).unwrap_or_default();
        let works_there = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(base));
        if works_there || String::from_utf8_lossy(&arguments).contains(&*base.to_string_lossy()) {
            left.push(format!("{}: {}", proc.display(), String::from_utf8_lossy(&arguments).replace('\0', " ")));
        }
    }
    left
}

fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

/// Waits until `gone` finds nothing any more; what it still finds at the end.
fn rest_after(limit: Duration, gone: impl Fn() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + limit;
    loop {
        let rest = gone();
        if rest.is_empty() || Instant::now() >= deadline {
            return rest;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn setting(url: &ServerUrl, name: &str) -> String {
    let mut connection = PgConnection::connect(url.expose()).await.expect("connect to the private PostgreSQL");
    let row = sqlx::query("select current_setting($1)").bind(name).fetch_one(&mut connection).await.expect("ask it");
    row.get(0)
}

async fn config(url: &ServerUrl, name: &str) -> String {
    let client = redis::Client::open(url.expose()).expect("read the URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect to the private Valkey");
    let pair: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.expect("ask it");
    pair[1].clone()
}

#[tokio::test]
async fn postgres_starts_answers_and_leaves_nothing() {
    let base = base();
    let server = PostgresServer::start(options_in(base.path())).await.unwrap();
    assert_eq!(setting(server.url(), "server_version").await.split(' ').next().unwrap(), server.version().to_string());
    assert_eq!(setting(server.url(), "data_directory").await, server.data_dir().display().to_string());
    for (name, value) in server.settings() {
        let live = setting(server.url(), name).await;
        let in_gigabytes = value.trim_end_matches("MB").parse::<u64>().map(|mb| format!("{}GB", mb / 1024));
        assert!(live == *value || Ok(live.clone()) == in_gigabytes, "{name}: asked {value}, is {live}");
    }
    assert!(server.address().starts_with("127.0.0.1:"));
    assert!(server.pgbench().is_file());
    assert!(server.died().is_none());
    let pid = server.pid();
    server.stop().await.unwrap();
    assert!(!lives(pid));
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[tokio::test]
async fn valkey_starts_answers_and_leaves_nothing() {
    let base = base();
    let server = ValkeyServer::start(options_in(base.path())).await.unwrap();
    assert_eq!(config(server.url(), "appendonly").await, "yes");
    assert_eq!(config(server.url(), "save").await, "");
    assert_eq!(config(server.url(), "dir").await, server.data_dir().display().to_string());
    assert!(["valkey", "redis"].contains(&server.product()));
    let pid = server.pid();
    server.stop().await.unwrap();
    assert!(!lives(pid));
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[tokio::test]
async fn the_durability_class_is_what_the_live_server_says() {
    let base = base();
    for (durability, expected) in [
        // D0 on PostgreSQL is unlogged tables, and nothing of the server's.
        (Durability::D0, ("on", "no", "no")),
        (Durability::D1, ("off", "yes", "everysec")),
        (Durability::D2, ("on", "yes", "always")),
    ] {
        let postgres = PostgresServer::start(StartOptions { durability, ..options_in(base.path()) }).await.unwrap();
        let valkey = ValkeyServer::start(StartOptions { durability, ..options_in(base.path()) }).await.unwrap();
        assert_eq!(setting(postgres.url(), "fsync").await, "on");
        let live = (
            setting(postgres.url(), "synchronous_commit").await,
            config(valkey.url(), "appendonly").await,
            config(valkey.url(), "appendfsync").await,
        );
        assert_eq!((live.0.as_str(), live.1.as_str(), live.2.as_str()), expected);
    }
}

#[tokio::test]
async fn servers_started_together_have_ports_and_directories_of_their_own() {
    let base = base();
    let (one, two) =
        tokio::join!(PostgresServer::start(options_in(base.path())), PostgresServer::start(options_in(base.path())));
    let (three, four) =
        tokio::join!(ValkeyServer::start(options_in(base.path())), ValkeyServer::start(options_in(base.path())));
    let (one, two, three, four) = (one.unwrap(), two.unwrap(), three.unwrap(), four.unwrap());
    let mut addresses = vec![one.address(), two.address(), three.address(), four.address()];
    let mut directories = vec![one.data_dir(), two.data_dir(), three.data_dir(), four.data_dir()];
    addresses.sort();
    addresses.dedup();
    directories.sort();
    directories.dedup();
    assert_eq!((addresses.len(), directories.len()), (4, 4));
    drop((one, two, three, four));
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[test]
fn a_panic_leaves_nothing() {
    let base = base();
    let (send, told) = mpsc::channel();
    let path = base.path().to_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let services = both_in(&path).await;
            send.send(pids(&services)).unwrap();
            panic!("this panic is part of the test");
        });
    });
    assert!(thread.join().is_err());
    let pids = told.recv().unwrap();
    assert!(pids.len() == 2 && !pids.into_iter().any(lives));
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_nothing() {
    let base = base();
    let start = tokio::spawn(PostgresServer::start(options_in(base.path())));
    while left_in(base.path()).is_empty() {
        assert!(!start.is_finished(), "nothing was seen of the start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.abort();
    assert!(start.await.is_err_and(|error| error.is_cancelled()));
    // The cluster is finished in the background, and then thrown away.
    let rest = rest_after(Duration::from_secs(60), || left_in(base.path()));
    assert_eq!(rest, Vec::<String>::new());
}

#[tokio::test]
async fn a_setting_that_postgres_refuses_is_told_in_its_own_words() {
    let base = base();
    let mut options = options_in(base.path());
    options.settings.insert("work_mem".to_owned(), "much".to_owned());
    let error = PostgresServer::start(options).await.err().unwrap().to_string();
    assert!(error.starts_with("postgres ended with exit status 1; the last lines of its log:\n"), "{error}");
    assert!(error.contains("invalid value for parameter \"work_mem\": \"much\""), "{error}");
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_setting_that_valkey_refuses_is_told_in_its_own_words() {
    let base = base();
    let mut options = options_in(base.path());
    options.settings.insert("maxmemory".to_owned(), "much".to_owned());
    let error = ValkeyServer::start(options).await.err().unwrap().to_string();
    assert!(error.contains("ended with exit status 1; the last lines of its log:\n"), "{error}");
    assert!(error.contains("'maxmemory much'") || error.contains("\"maxmemory\" \"much\""), "{error}");
    assert_eq!(left_in(base.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_was_killed_is_noticed_and_its_remains_are_removed() {
    let base = base();
    let server = PostgresServer::start(options_in(base.path())).await.unwrap();
    let lock_file = fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let shared_memory = lock_file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    assert!(shared_memory_segments().contains(&shared_memory));
    kill(Pid::from_raw(server.pid() as i32), Signal::SIGKILL).unwrap();
    let mut died = None;
    for _ in 0..200 {
        died = server.died();
        if died.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let died = died.expect("the end of the server was not noticed").to_string();
    assert!(died.starts_with("postgres was killed by SIGKILL; the last lines of its log:\n"), "{died}");
    assert!(died.contains("database system is ready to accept connections"), "{died}");
    server.stop().await.unwrap();
    assert_eq!(left_in(base.path()), Vec::<String>::new());
    assert!(!shared_memory_segments().contains(&shared_memory));
}

/// Ids of the System V shared memory of this machine.
fn shared_memory_segments() -> Vec<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").expect("read the list of shared memory");
    table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[tokio::test]
async fn passwords_are_in_no_process_list_log_or_leftover_file() {
    let base = base();
    let postgres = PostgresServer::start(options_in(base.path())).await.unwrap();
    let valkey = ValkeyServer::start(options_in(base.path())).await.unwrap();
    for (url, data) in [(postgres.url(), postgres.data_dir()), (valkey.url(), valkey.data_dir())] {
        let (user_info, _) = url.expose().rsplit_once('@').unwrap();
        let password = user_info.rsplit_once(':').unwrap().1;
        assert_eq!(password.len(), 32);
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&arguments).contains(password), "{}", process.path().display());
        }
        for file in fs::read_dir(data.parent().unwrap()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.path().display());
            let text = fs::read_to_string(file.path()).unwrap();
            let is_configuration = file.path().extension().is_some_and(|extension| extension == "conf");
            assert!(is_configuration || !text.contains(password), "{}", file.path().display());
        }
        assert!(!url.to_string().contains(password));
    }
    let wrong = postgres.url().expose().replacen("qbench:", "qbench:x", 1);
    assert!(PgConnection::connect(&wrong).await.is_err(), "PostgreSQL let a wrong password in");
}

async fn given(engine: &dyn Engine, url: ServerUrl) -> GivenServer {
    GivenServer::new(url.clone(), engine.process_of(&url)).await
}

#[tokio::test]
async fn the_process_of_a_given_server_is_found_on_this_host_only() {
    let base = base();
    let postgres = PostgresServer::start(options_in(base.path())).await.unwrap();
    let valkey = ValkeyServer::start(options_in(base.path())).await.unwrap();
    assert_eq!(given(&PostgresEngine, postgres.url().clone()).await.pid(), Ok(postgres.pid()));
    assert_eq!(given(&ValkeyEngine, valkey.url().clone()).await.pid(), Ok(valkey.pid()));
    for given in [
        given(&PostgresEngine, ServerUrl::new("postgres://ann:secret@192.0.2.1/x")).await,
        given(&ValkeyEngine, ServerUrl::new("redis://:secret@192.0.2.1")).await,
    ] {
        assert_eq!(given.pid(), Err("the process of the given server is not accounted: 192.0.2.1 is not this host"));
    }
    let dead = ServerUrl::new("redis://:secret@127.0.0.1:1");
    let reason = given(&ValkeyEngine, dead).await.pid().unwrap_err().to_owned();
    assert!(reason.contains("refused") && !reason.contains("secret"), "{reason}");
}

/// Writes a program that prints `text` for any argument. By another process, because a file that this one has open for
/// writing at the moment of somebody's fork cannot be executed.
fn fake_program(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("start sh");
    let script = format!("#!/bin/sh\necho '{text}'\n");
    shell.stdin.take().expect("its input").write_all(script.as_bytes()).expect("write to it");
    assert!(shell.wait().expect("wait for it").success());
}

fn postgres_in(path: &Path) -> qbench_engines::services::Result<PostgresPrograms> {
    PostgresPrograms::find_in(&[path.to_owned()])
}

fn valkey_in(path: &Path) -> qbench_engines::services::Result<ValkeyProgram> {
    ValkeyProgram::find_in(&[path.to_owned()])
}

#[test]
fn old_incomplete_and_missing_programs_are_refused_in_one_sentence() {
    let dir = base();
    let needed = "PostgreSQL 15 or newer with initdb and pgbench is needed";
    let remedy = "orchestration/install.sh installs it, and --pg-url uses a server that runs already";
    assert_eq!(postgres_in(dir.path()).unwrap_err().to_string(), format!("{needed} and none was found; {remedy}"));
    fake_program(&dir.path().join("postgres"), "postgres (PostgreSQL) 14.1");
    assert_eq!(
        postgres_in(dir.path()).unwrap_err().to_string(),
        format!("{needed} and only this was found: PostgreSQL 14.1 in {} (too old); {remedy}", dir.path().display())
    );
    fake_program(&dir.path().join("postgres"), "postgres (PostgreSQL) 18beta1 (Debian)");
    fake_program(&dir.path().join("initdb"), "");
    let error = postgres_in(dir.path()).unwrap_err().to_string();
    assert!(error.contains("PostgreSQL 18beta1 in") && error.contains("(without pgbench)"), "{error}");

    let remedy = "orchestration/install.sh installs it, and --valkey-url uses a server that runs already";
    fake_program(&dir.path().join("valkey-server"), "Valkey server v=7.2.9 sha=00000000:0 malloc=libc bits=64");
    fake_program(&dir.path().join("redis-server"), "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64");
    assert_eq!(
        valkey_in(dir.path()).unwrap_err().to_string(),
        format!(
            "Valkey 8 or newer (or Redis 7 or newer) is needed and only this was found: valkey 7.2.9 at \
             {0}/valkey-server (too old), redis 6.0.16 at {0}/redis-server (too old); {remedy}",
            dir.path().display()
        )
    );
}

#[test]
fn redis_is_accepted_in_valkeys_place_and_named_as_what_it_is() {
    let dir = base();
    fake_program(&dir.path().join("valkey-server"), "Valkey server v=7.2.9 sha=00000000:0 malloc=libc bits=64");
    fake_program(&dir.path().join("redis-server"), "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64");
    let found = valkey_in(dir.path()).unwrap();
    assert_eq!((found.product, found.version.to_string().as_str()), ("redis", "7.0.15"));
    // Distributions that replaced Redis ship Valkey under its old name.
    fake_program(&dir.path().join("redis-server"), "Valkey server v=8.1.0 sha=00000000:0 malloc=libc bits=64");
    assert_eq!(valkey_in(dir.path()).unwrap().product, "valkey");
}

#[test]
fn a_link_leads_to_the_installation_behind_it() {
    let dir = base();
    let (real, links) = (dir.path().join("16"), dir.path().join("links"));
    fs::create_dir(&real).unwrap();
    fs::create_dir(&links).unwrap();
    fake_program(&real.join("postgres"), "postgres (PostgreSQL) 16.4");
    fake_program(&real.join("initdb"), "");
    fake_program(&real.join("pgbench"), "");
    std::os::unix::fs::symlink(real.join("postgres"), links.join("postgres")).unwrap();
    let found = postgres_in(&links).unwrap();
    let real = real.canonicalize().unwrap();
    assert_eq!((found.initdb, found.pgbench), (real.join("initdb"), real.join("pgbench")));
    assert_eq!(found.version.major(), 16);
}

#[test]
fn a_place_that_the_servers_user_cannot_enter_is_refused_before_anything_starts() {
    let base = base();
    let closed = base.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let root = nix::unistd::Uid::effective().is_root();
    let asked = if root { closed.clone() } else { PathBuf::from("/nowhere/at/all") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = StartOptions { base_dir: Some(asked), ..StartOptions::new(Durability::D0) };
    let error = runtime.block_on(ValkeyServer::start(options)).err().unwrap().to_string();
    let expected = if root {
        format!("may not enter {}; set QBENCH_TMPDIR to a directory", closed.display())
    } else {
        "cannot use /nowhere/at/all for the data of private servers: No such file".to_owned()
    };
    assert!(error.contains(&expected), "{error}");
}

/// The helper process below, with everything that it started.
struct Owner {
    process: std::process::Child,
    base: TempDir,
    pids: Vec<u32>,
}

impl Owner {
    /// Starts the helper and waits until its servers answer.
    fn start() -> Self {
        let base = base();
        let mut process = Command::new(std::env::current_exe().expect("find this test program"))
            .args(["--exact", "--ignored", "--nocapture", "owner_of_servers"])
            .env(OWNER_VARIABLE, base.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start this test program again");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let pids = output
            .lines()
            .map(|line| line.expect("read its output"))
            .find_map(|line| line.split_once("PIDS ").map(|(_, pids)| pids.to_owned()))
            .expect("the helper ended before its servers answered")
            .split(' ')
            .map(|pid| pid.parse().expect("a pid"))
            .collect();
        Owner { process, base, pids }
    }

    fn kill(&mut self) {
        self.process.kill().expect("kill the helper");
        self.process.wait().expect("wait for the helper");
    }

    /// What is left of it once it should be gone.
    fn rest(&self) -> Vec<String> {
        rest_after(GONE_WITHIN, || {
            let living = self.pids.iter().filter(|pid| lives(**pid)).map(|pid| format!("process {pid} lives"));
            living.chain(left_in(self.base.path())).collect()
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Both fail where the test has done it, and that is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Children of every thread of `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .expect("list its threads")
        .flatten()
        .flat_map(|thread| {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<u32>>()
        })
        .collect()
}

#[test]
fn a_killed_harness_leaves_no_process_and_no_directory() {
    let mut owner = Owner::start();
    assert!(owner.pids.iter().all(|pid| lives(*pid)));
    owner.kill();
    assert_eq!(owner.rest(), Vec::<String>::new());
}

#[test]
fn a_killed_harness_leaves_nothing_even_of_servers_that_are_stopped() {
    let mut owner = Owner::start();
    let postmaster = owner.pids[0];
    let mut stopped = children_of(postmaster);
    assert!(!stopped.is_empty());
    stopped.extend(&owner.pids);
    for pid in &stopped {
        kill(Pid::from_raw(*pid as i32), Signal::SIGSTOP).unwrap();
    }
    owner.pids.extend(stopped);
    owner.kill();
    assert_eq!(owner.rest(), Vec::<String>::new());
}

#[test]
fn servers_of_a_killed_harness_end_even_when_their_guards_were_killed_before() {
    let mut owner = Owner::start();
    let guards: Vec<u32> = children_of(owner.process.id())
        .into_iter()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("\0qbench-guard\0"))
        })
        .collect();
    assert_eq!(guards.len(), 3, "one for each server and one for the other child");
    for pid in guards {
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    }
    owner.kill();
    let servers = &owner.pids[..2];
    let rest = rest_after(GONE_WITHIN, || {
        servers.iter().filter(|pid| lives(**pid)).map(|pid| format!("process {pid} lives")).collect()
    });
    assert_eq!(rest, Vec::<String>::new());
    // The other child ignores its death signal, so without a guard it is ours to end.
    kill(Pid::from_raw(owner.pids[2] as i32), Signal::SIGKILL).unwrap();
}

/// Not a test of its own: the harness that the tests above kill.
#[test]
#[ignore = "started by other tests in a process of its own"]
fn owner_of_servers() {
    let Some(base) = std::env::var_os(OWNER_VARIABLE).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let services = runtime.block_on(both_in(&base));
    let stubborn = ChildSpec::new("/bin/sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]);
    let stubborn = spawn_guarded(stubborn.death_signal(Signal::SIGTERM)).unwrap();
    let [postgres, valkey] = pids(&services)[..] else { panic!("two servers") };
    println!("PIDS {postgres} {valkey} {}", stubborn.pid());
    // Ends by itself should the test that started it be killed.
    std::thread::sleep(Duration::from_secs(120));
}
