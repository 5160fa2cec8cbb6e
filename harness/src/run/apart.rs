//! The server's host, where an observer starts or watches the server there: its figures beside those of this host.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use qbench_backends::{Description, Wake};
use qbench_engines::ENGINES;
use qbench_engines::engine::Engine;
use qbench_engines::monitor::{CpuSeconds, MonitorSummary, WindowCost};
use qbench_engines::observe::command::ObserverCommand;
use qbench_engines::observe::offset::ClockOffset;
use qbench_engines::observe::protocol::BackendAsked;
use qbench_engines::observe::remote::{RemoteHost, RemoteServer, WatchPlan};
use qbench_ground::clock::RunClock;
use qbench_schema::files::RunFiles;
use qbench_schema::manifest::Host;
use qbench_schema::result::{CpuPct, ServerHost};

use super::opening::NAMESPACE;
use super::request::RunRequest;

/// Variables that an observer must not see beside addresses of servers: passwords, which it is told of where it needs them, and by which address
/// somebody reached this host.
const HIDDEN: [&str; 2] = ["PGPASSWORD", "SSH_CONNECTION"];

/// How a run says that its observer is gone.
const LOST: &str = "the observer on the server's host was lost";

/// The host of the server, with an observer on it.
pub(super) struct Apart {
    host: RemoteHost,
    /// Its clock before the run.
    offset: ClockOffset,
    /// Where servers there are reached, where that is known.
    reached_at: Option<IpAddr>,
}

impl Apart {
    /// Starts the observer that `command` leads to.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn connect(command: &ObserverCommand, address: Option<IpAddr>) -> anyhow::Result<Self> {
        let urls = ENGINES.iter().filter_map(|engine| Some(engine.url_flag()?.variable));
        let hidden: Vec<&str> = urls.chain(HIDDEN).collect();
        let host = RemoteHost::connect(command.clone(), &hidden).await.map_err(|reason| anyhow!(reason))?;
        let here = command.is_here().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let reached_at = address.or(host.hello().reached_at).or(here);
        let offset = host.clock_offset().await;
        let offset = offset.map_err(|reason| anyhow!("cannot read the clock of the server's host: {reason}"))?;
        Ok(Apart { host, offset, reached_at })
    }

    /// Starts the server of `request` there, with room for so many `connections`, or lets the given one be watched.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn server(
        &self,
        engine: &dyn Engine,
        request: &RunRequest,
        connections: u32,
    ) -> anyhow::Result<RemoteServer> {
        let tuning = request.plan.workload.tuning;
        let hostname = &self.machine().hostname;
        let server = match request.given_url() {
            Some(url) => self.host.adopt_server(engine, &url).await,
            None => {
                let listen = self.reached_at.with_context(|| {
                    format!(
                        "nobody knows at which address of {hostname} its servers are reached from here, because only ssh tells: give it \
                         with --server-address"
                    )
                })?;
                self.host.start_server(engine, request.durability, tuning, connections, listen).await
            }
        };
        server.map_err(|reason| anyhow!("on the server's host, {hostname}: {reason}"))
    }

    /// Where its server is reached.
    fn address(&self, request: &RunRequest) -> String {
        match (request.given_url(), self.reached_at) {
            (Some(url), _) => url.to_string(),
            (None, Some(address)) => address.to_string(),
            // No server was started then.
            (None, None) => String::new(),
        }
    }

    /// Where the server is, for the identity of a run.
    pub(super) fn topology(&self, request: &RunRequest) -> String {
        match self.reached_at {
            Some(address) if address.is_loopback() && request.given_url().is_none() => "private, observed".to_owned(),
            _ => format!("remote {}, host {}", self.address(request), self.host.hello().host_id),
        }
    }

    /// What the host is.
    pub(super) fn machine(&self) -> &Host {
        &self.host.hello().host
    }

    /// What is known of the host before the load.
    pub(super) fn describe(&self, request: &RunRequest) -> ServerHost {
        let hello = self.host.hello();
        ServerHost {
            host: hello.host.hostname.clone(),
            host_id: hello.host_id.clone(),
            address: self.address(request),
            version: hello.version.clone(),
            git_revision: hello.revision.clone(),
            cores: hello.host.cpu_count,
            clock_offset_ms: self.offset.real_ns as f64 / 1e6,
            clock_uncertain_us: self.offset.uncertain_ns as f64 / 1e3,
            ..ServerHost::default()
        }
    }

    /// A note where its program is another one than this, built from `revision`.
    pub(super) fn note_on_program(&self, revision: &str) -> Option<String> {
        let theirs = &self.host.hello().revision;
        (theirs != revision).then(|| {
            format!("the observer was built from revision {theirs}, and this program from {revision}: put the same on both hosts")
        })
    }

    /// Adds to `host` what its clock did meanwhile.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) async fn look_at_clock_again(&self, host: &mut ServerHost) -> Result<(), String> {
        let after = self.host.clock_offset().await?;
        host.clock_offset_after_ms = Some(after.real_ns as f64 / 1e6);
        host.clock_drift_us = Some((after.monotonic_ns - self.offset.monotonic_ns) as f64 / 1e3);
        host.clock_uncertain_us = host.clock_uncertain_us.max(after.uncertain_ns as f64 / 1e3);
        Ok(())
    }

    /// Makes a cold start cold; what came of it.
    pub(super) async fn cool_down(&self) -> String {
        match self.host.cool_down().await {
            Ok(sentence) => sentence,
            Err(reason) => format!("cold start: the page cache of the server's host was not dropped: {reason}"),
        }
    }

    /// Starts the monitors there, with a row per tick: of the run's clock, so often.
    ///
    /// # Errors
    /// Why they do not start.
    pub(super) async fn watch(
        &self,
        request: &RunRequest,
        wake: Wake,
        described: &Description,
        files: &RunFiles,
        ticks: (RunClock, Duration),
    ) -> anyhow::Result<()> {
        let engine = qbench_engines::of(request.entry.engine);
        let statistics = engine.statistics().context("the server has no statistics")?;
        let plan = WatchPlan {
            clock: ticks.0,
            offset: self.offset,
            system: &files.system_server(),
            server: &files.server_stats(statistics),
            objects: &described.objects,
            interval: ticks.1,
            backend: BackendAsked {
                id: request.entry.id.to_owned(),
                options: request.options.clone(),
                namespace: NAMESPACE.to_owned(),
                durability: request.durability,
                wake: wake.name().to_owned(),
                workers: request.plan.workload.workers.get(),
            },
        };
        self.host.watch(plan).await.map_err(|reason| anyhow!("the server cannot be watched on its host: {reason}"))
    }

    /// The host itself, to be told of phases and marks.
    pub(super) fn host(&self) -> &RemoteHost {
        &self.host
    }

    /// Why the run must end, where the observer is gone.
    pub(super) fn lost(&self) -> Option<String> {
        self.host.lost().map(|reason| format!("{LOST}: {reason}"))
    }

    /// Ends the monitors there. What they saw of the server takes the place of what `own` ones could not see, and what they saw of their
    /// host goes to `host`.
    pub(super) async fn unwatch(&self, own: MonitorSummary, host: &mut ServerHost) -> MonitorSummary {
        let observed = match self.host.unwatch().await {
            Ok(observed) => observed,
            Err(reason) => {
                let mut own = own;
                own.notes.push(format!("nothing is known of what the server cost: {reason}"));
                return own;
            }
        };
        let there = observed.summary;
        host.cpu_pct = there.cpu_pct.host;
        host.cpu_observer_pct = there.cpu_pct.harness;
        host.cpu_roles_of_host_pct = there.cpu_roles_of_host_pct;
        host.steal_pct = there.steal_pct;
        host.hiccup_ms = there.hiccups.host.as_ref().map(|report| report.late_ms);
        let said = there.notes.iter().chain(&observed.died);
        let notes = said.map(|note| format!("on the server's host: {note}"));
        MonitorSummary {
            cpu_pct: CpuPct { server: there.cpu_pct.server, ..own.cpu_pct },
            cpu_s: CpuSeconds { server: there.cpu_s.server, ..own.cpu_s },
            cost: WindowCost { harness_ctx_switches: own.cost.harness_ctx_switches, ..there.cost },
            rss_server_bytes: there.rss_server_bytes,
            deadlocks: there.deadlocks,
            notes: own.notes.iter().cloned().chain(notes).collect(),
            ..own
        }
    }

    /// Ends the server there, where it is one of ours, and the observer.
    ///
    /// # Errors
    /// What made trouble.
    pub(super) async fn stop(&self) -> Result<(), String> {
        self.host.stop().await
    }
}
