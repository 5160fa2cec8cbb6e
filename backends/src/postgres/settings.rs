//! What a queue is opened with.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use qbench_schema::load::Tuning;
use qbench_schema::result::Durability;
use sqlx::postgres::PgConnectOptions;

use super::address::Address;
use super::listener::{ChannelSession, Listening};
use super::namespace::{LONGEST, Namespace};
use super::notifier::{Notifier, Notifying};
use super::session_options::{Client, Plans, SessionOptions};
use crate::capability::Wake;
use crate::claimer::{Look, Notified, Waiting, WaitingClaimer};
use crate::config::BackendConfig;
use crate::counters::ClientCounters;
use crate::error::Result;
use crate::seam::Claimer;

/// What a reader of figures with notifications must know.
const NOTIFY_NOTE: &str = "enqueues and nacks notify: PostgreSQL takes a lock on the whole database when such a transaction \
                           commits and holds it over the flush of the WAL, so commits that notify stand in line";

/// Who opens a session; shown in `pg_stat_activity` as `qbench:<backend>:<role>:<schema>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Admin,
    Producer,
    /// The connection of a worker that claims.
    Claimer,
    /// Its other one, or its only one.
    Consumer,
    Listener,
    /// Tells of jobs where statements do not.
    Notifier,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Producer => "producer",
            Role::Claimer | Role::Consumer => "consumer",
            Role::Listener => "listener",
            Role::Notifier => "notifier",
        }
    }
}

/// One queue on one server, as configured. Holds no connection.
pub(super) struct Settings {
    backend: &'static str,
    address: Address,
    pub(super) namespace: Namespace,
    pub(super) durability: Durability,
    pub(super) tuning: Tuning,
    pub(super) lease: Duration,
    pub(super) wake: Wake,
    pub(super) poll_interval: Duration,
    pub(super) workers: u32,
    pub(super) timeout: Duration,
    sessions: SessionOptions,
    /// Who tells waiting consumers of new jobs.
    pub(super) notifying: Notifying,
    /// Whoever listens for consumers that wait to be told.
    pub(super) listening: Listening,
    counters: ClientCounters,
    notes: Vec<String>,
}

impl Settings {
    /// Reads a configuration. Does not connect.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an address that is not a PostgreSQL URL, an impossible namespace, or an option's value that
    /// there is not.
    pub(super) fn new(backend: &'static str, config: &BackendConfig) -> Result<Self> {
        let sessions = SessionOptions::of(&config.options)?;
        let notify_note = (config.wake == Wake::Notify).then(|| match config.notify_limit {
            Duration::ZERO => NOTIFY_NOTE.to_owned(),
            limit => format!("one session notifies for all enqueues and nacks, at most every {limit:?}"),
        });
        let notes = [notify_note, sessions.claim_commit.note().map(str::to_owned)];
        let mut settings = Settings {
            backend,
            address: Address::new(config.require_url()?, config.durability)?,
            namespace: Namespace::new(&config.namespace)?,
            durability: config.durability,
            tuning: config.tuning,
            lease: config.lease,
            wake: config.wake,
            poll_interval: config.poll_interval,
            workers: config.workers,
            timeout: config.timeout,
            sessions,
            notifying: Notifying::Nobody,
            listening: Listening::default(),
            counters: config.counters.clone(),
            notes: notes.into_iter().flatten().collect(),
        };
        if settings.wake == Wake::Notify {
            settings.notifying = match config.notify_limit {
                Duration::ZERO => Notifying::EachStatement(settings.counts()),
                limit => Notifying::Limited(Box::new(Notifier::new(
                    limit,
                    settings.channel_session(Role::Notifier),
                    settings.counts(),
                ))),
            };
        }
        Ok(settings)
    }

    /// The server for people.
    pub(super) fn place(&self) -> &str {
        &self.address.place
    }

    /// Name under which sessions of `role` show themselves on the server: tells runs in different schemas apart.
    pub(super) fn application_name(&self, role: Role) -> String {
        let mut name = format!("qbench:{}:{}:{}", self.backend, role.name(), self.namespace.name());
        // The server would cut it, too, and we compare it with what the server shows. All of it is ASCII.
        name.truncate(LONGEST);
        name
    }

    /// Who speaks to the server on a session of `role`: the client that was chosen, or, where nothing is measured, the general driver.
    pub(super) fn client(&self, role: Role) -> Client {
        match role {
            Role::Admin | Role::Listener | Role::Notifier => Client::Sqlx,
            Role::Producer | Role::Claimer | Role::Consumer => self.sessions.client,
        }
    }

    /// Where a session of `role` counts its round trips: in the run's counter, or, on the control side, nowhere.
    pub(super) fn counters(&self, role: Role) -> ClientCounters {
        match role {
            Role::Admin | Role::Listener | Role::Notifier => ClientCounters::default(),
            Role::Producer | Role::Claimer | Role::Consumer => self.counters.clone(),
        }
    }

    /// Where the run counts how its workers learn of work.
    pub(super) fn counts(&self) -> ClientCounters {
        self.counters.clone()
    }

    /// The claimer of a consumer of this queue that looks so.
    pub(super) fn claimer<L: Look + 'static>(&self, look: L) -> Box<dyn Claimer> {
        let waiting = match self.wake {
            Wake::Notify => Waiting::Notified(Notified::new(
                self.listening.announcements(),
                self.listening.current().map(|listener| listener as Arc<dyn Any + Send + Sync>),
                look.places(),
                self.poll_interval,
            )),
            Wake::Poll | Wake::Block => Waiting::Poll(self.poll_interval),
        };
        Box::new(WaitingClaimer::new(look, waiting, self.counts()))
    }

    /// What it takes to listen to this queue's notifications, or to send them apart from the statements that make jobs.
    pub(super) fn channel_session(&self, role: Role) -> ChannelSession {
        ChannelSession {
            session: self.session(role),
            channel: self.channel().to_owned(),
            limit: self.timeout,
            place: self.place().to_owned(),
        }
    }

    /// The channel of this queue's notifications: one per schema, as channels are of the whole database.
    pub(super) fn channel(&self) -> &str {
        self.namespace.name()
    }

    /// The same with a further note.
    pub(super) fn noting(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// What a reader of figures must know about this queue as it is configured.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Options of a session of `role`.
    pub(super) fn session(&self, role: Role) -> PgConnectOptions {
        let options = self.address.options.clone().application_name(&self.application_name(role));
        let plans = self.sessions.plans.settings().iter().copied();
        match role {
            Role::Admin => options.options(Plans::of_control_side()),
            Role::Producer | Role::Consumer => options.options(plans),
            Role::Claimer => options.options(plans.chain(self.sessions.claim_commit.settings().iter().copied())),
            Role::Listener => options,
            // Nothing of its own is to be flushed.
            Role::Notifier => options.options([("synchronous_commit", "off")]),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::BackendOptions;
    use crate::error::ErrorKind;
    use crate::url::ServerUrl;

    pub(crate) fn config(url: &str) -> BackendConfig {
        BackendConfig {
            url: Some(ServerUrl::new(url)),
            namespace: "qbench".to_owned(),
            durability: Durability::D2,
            lease: Duration::from_secs(30),
            wake: Wake::Poll,
            poll_interval: Duration::from_millis(10),
            notify_limit: Duration::ZERO,
            tuning: Tuning::Stock,
            workers: 1,
            timeout: Duration::from_secs(5),
            options: BackendOptions::default(),
            counters: ClientCounters::default(),
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused_without_its_password() {
        for url in ["redis://:s3cret@127.0.0.1", "127.0.0.1:5432", "postgres://ann:s3cret@:port/x"] {
            let error = Settings::new("skip_locked", &config(url)).err().expect(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("is not the address of a PostgreSQL server"), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn sessions_name_themselves_and_carry_the_durability_class() {
        let settings = Settings::new("skip_locked", &config("postgres://ann@db/x")).expect("a good configuration");
        let session = settings.session(Role::Consumer);
        assert_eq!(session.get_application_name(), Some("qbench:skip_locked:consumer:qbench"));
        assert!(session.get_options().is_some_and(|options| options.contains("synchronous_commit=on")));
        for (class, value) in [(Durability::D0, "on"), (Durability::D1, "off"), (Durability::D2, "on")] {
            assert_eq!(super::super::durability::session_setting(class), ("synchronous_commit", value));
        }
    }

    #[test]
    fn a_session_s_name_is_what_the_server_will_show() {
        let config = BackendConfig { namespace: "n".repeat(60), ..config("postgres://ann@db/x") };
        let settings = Settings::new("delete_returning", &config).expect("a good configuration");
        assert_eq!(settings.application_name(Role::Consumer).len(), LONGEST);
    }

    #[test]
    fn only_producers_and_consumers_count_round_trips() {
        let config = config("postgres://ann@db/x");
        let settings = Settings::new("skip_locked", &config).expect("a good configuration");
        for role in [Role::Admin, Role::Producer, Role::Consumer, Role::Listener, Role::Notifier] {
            settings.counters(role).add_request();
        }
        assert_eq!(config.counters.requests(), 2);
    }
}
