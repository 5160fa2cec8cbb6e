//! Against `valkey-benchmark`, driving the same XADD, and the same XREADGROUP and XACK, at equal connections and depth.
//!
//! valkey-benchmark cannot use what a command returned, so its claim and its ack are two runs over the same entries: one
//! that reads them, and one that acks ids at random among those that were read. A job through both takes the sum of the
//! two, so the rate to compare with is `1 / (1 / reads + 1 / acks)`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use qbench_backends::ServerUrl;
use qbench_engines::services::{Server as _, StartOptions};
use qbench_engines::valkey::{ValkeyProgram, ValkeyServer};
use qbench_schema::result::Durability;

use super::peer::{self, NAMESPACE, TURNS};
use super::table::{Table, judged, median};

const CONNECTIONS: u64 = 8;
const PAYLOAD_BYTES: usize = 512;
/// Jobs of one turn of the peer.
const JOBS: u64 = 200_000;
/// Pipeline depths of the enqueue.
const DEPTHS: [u64; 2] = [1, 16];

pub fn compare() -> anyhow::Result<Vec<Table>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(ValkeyServer::start(StartOptions::new(Durability::D0)))?;
    let outcome = Peer::of(&server).and_then(|peer| compare_on(&peer));
    runtime.block_on(server.stop())?;
    outcome
}

fn compare_on(peer: &Peer) -> anyhow::Result<Vec<Table>> {
    let own = Some(("QBENCH_VALKEY_URL", &peer.url));
    let connections = CONNECTIONS.to_string();
    let mut table = Table::new(
        format!("valkey-benchmark, XADD and XREADGROUP + XACK, {CONNECTIONS} connections, {PAYLOAD_BYTES} B"),
        "medians of alternating turns; the harness records and audits every job meanwhile",
        &["", "qbench jobs/s", "valkey-benchmark jobs/s", "ratio"],
    );
    let mut row = |what: String, ours: Vec<f64>, theirs: Vec<f64>| {
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours / theirs;
        table.row([what, format!("{ours:.0}"), format!("{theirs:.0}"), judged(ratio, ">= 0.9", ratio >= 0.9)]);
    };
    for depth in DEPTHS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let depth = depth.to_string();
            let flags =
                ["--scenario", "enqueue", "--producers", &connections, "--enqueue-batch", &depth, "--workers", "2"];
            ours.push(peer::qbench(&[&COMMON[..], &flags, &["--duration", "3s"]].concat(), own)?.throughput_jobs_s);
            theirs.push(peer.enqueue(&depth)?);
        }
        row(format!("XADD, pipeline depth {depth}"), ours, theirs);
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let jobs = JOBS.to_string();
    for _ in 0..TURNS {
        let flags = ["--scenario", "drain", "--workers", &connections, "--prefill", &jobs, "--producers", "2"];
        ours.push(peer::qbench(&[&COMMON[..], &flags].concat(), own)?.throughput_jobs_s);
        theirs.push(peer.consume()?);
    }
    row("XREADGROUP + XACK, one at a time".to_owned(), ours, theirs);
    Ok(vec![table])
}

const COMMON: [&str; 4] = ["--backend", "valkey_streams", "--set", "delete=none"];

struct Peer {
    program: PathBuf,
    port: String,
    /// Without a password: valkey-benchmark takes one on its command line only, where everybody could read it, so this
    /// private server on the loopback goes without for as long as the comparison takes.
    url: ServerUrl,
    client: redis::Client,
}

impl Peer {
    fn of(server: &ValkeyServer) -> anyhow::Result<Self> {
        let programs = ValkeyProgram::of_machine()?;
        let name = if programs.server.ends_with("redis-server") { "redis-benchmark" } else { "valkey-benchmark" };
        let program = programs.server.with_file_name(name);
        ensure!(program.exists(), "{} is missing: install the package that brings it", program.display());
        let mut connection = redis::Client::open(server.url().expose())?.get_connection()?;
        let _: () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").query(&mut connection)?;
        let address = server.address();
        let port = address.rsplit(':').next().context("the server has no port")?.to_owned();
        let url = format!("redis://{address}/0");
        Ok(Peer { program, port, client: redis::Client::open(url.as_str())?, url: ServerUrl::new(url) })
    }

    fn stream() -> String {
        format!("{NAMESPACE}:jobs")
    }

    fn enqueue(&self, depth: &str) -> anyhow::Result<f64> {
        self.forget()?;
        let payload = "x".repeat(PAYLOAD_BYTES);
        self.run(&["-P", depth], &["XADD", &Self::stream(), "NOMKSTREAM", "*", "j", "123456", "p", &payload])
    }

    fn consume(&self) -> anyhow::Result<f64> {
        self.forget()?;
        let mut connection = self.client.get_connection()?;
        let payload = "x".repeat(PAYLOAD_BYTES);
        for first in (1..=JOBS).step_by(1_000) {
            let mut pipeline = redis::pipe();
            for id in first..first + 1_000 {
                pipeline
                    .cmd("XADD")
                    .arg(Self::stream())
                    .arg(format!("0-{id}"))
                    .arg("j")
                    .arg(id)
                    .arg("p")
                    .arg(&payload)
                    .ignore();
            }
            pipeline.query::<()>(&mut connection)?;
        }
        let stream = Self::stream();
        let reads = self
            .run(&[], &["XREADGROUP", "GROUP", "qbench", "c", "COUNT", "1", "BLOCK", "250", "STREAMS", &stream, ">"])?;
        let acks = self.run(&["-r", &JOBS.to_string()], &["XACK", &stream, "qbench", "0-__rand_int__"])?;
        Ok(1.0 / (1.0 / reads + 1.0 / acks))
    }

    fn forget(&self) -> anyhow::Result<()> {
        let mut connection = self.client.get_connection()?;
        let _: () = redis::cmd("DEL").arg(Self::stream()).query(&mut connection)?;
        let _: () = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(Self::stream())
            .arg("qbench")
            .arg("0")
            .arg("MKSTREAM")
            .query(&mut connection)?;
        Ok(())
    }

    /// Requests per second of one command.
    fn run(&self, flags: &[&str], command: &[&str]) -> anyhow::Result<f64> {
        let mut process = Command::new(&self.program);
        process
            .args(["-p", &self.port, "-c", &CONNECTIONS.to_string(), "-n", &JOBS.to_string(), "--csv"])
            .args(flags)
            .args(command);
        let (said, _) = peer::run(&mut process)?;
        // "test","rps",… and then the line of the command.
        let line = said.lines().last().with_context(|| format!("valkey-benchmark printed nothing: {said}"))?;
        let rate = line.rsplit("\",\"").nth(6).with_context(|| format!("valkey-benchmark printed `{line}`"))?;
        rate.parse().with_context(|| format!("`{rate}` in `{line}` is no number"))
    }
}
