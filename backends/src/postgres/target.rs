//! Where a queue is, and how sessions are set up there.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use qbench_schema::result::Durability;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::namespace::{LONGEST, Namespace};
use super::notify::{self, Listening};
use crate::capability::Wake;
use crate::config::BackendConfig;
use crate::url::ServerUrl;
use crate::counters::ClientCounters;
use crate::error::{Error, Result};

/// Prepared statements that a session keeps. A worker that may serve 256 partitions needs more than the driver's 100.
const STATEMENT_CACHE: usize = 1024;

/// Who opens a session; shown in `pg_stat_activity` as `qbench:<backend>:<role>:<schema>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Admin,
    Producer,
    Consumer,
    Listener,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Listener => "listener",
        }
    }
}

/// A server's address.
struct Server {
    options: PgConnectOptions,
    /// For people: host, port and database, never the password.
    place: String,
}

impl Server {
    fn new(url: &ServerUrl, durability: Durability) -> Result<Self> {
        let not_a_url = |reason: &dyn fmt::Display| {
            Error::config(format!(
                "{url} is not the address of a PostgreSQL server ({reason}): expected postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE"
            ))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
            return Err(not_a_url(&"it does not start with postgres://"));
        }
        // What the URL does not say comes from PGUSER, PGPASSWORD, ~/.pgpass and so on, as everywhere in PostgreSQL.
        let options = PgConnectOptions::from_str(url.expose()).map_err(|error| not_a_url(&error))?;
        Ok(Server {
            options: options
                .options(session_settings(durability))
                .statement_cache_capacity(STATEMENT_CACHE)
                .disable_statement_logging(),
            place: url.redacted(),
        })
    }
}

/// One queue on one server, as configured. Holds no connection.
pub(super) struct Target {
    backend: &'static str,
    server: Server,
    pub(super) namespace: Namespace,
    pub(super) durability: Durability,
    pub(super) lease: Duration,
    pub(super) wake: Wake,
    pub(super) poll_interval: Duration,
    pub(super) workers: u32,
    pub(super) timeout: Duration,
    /// Whoever listens for consumers that wait to be told.
    pub(super) listening: Listening,
    counters: ClientCounters,
    notes: Vec<String>,
}

impl Target {
    /// Reads a configuration. Does not connect.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an address that is not a PostgreSQL URL, or an impossible namespace.
    pub(super) fn new(backend: &'static str, config: &BackendConfig) -> Result<Self> {
        Ok(Target {
            backend,
            server: Server::new(config.require_url()?, config.durability)?,
            namespace: Namespace::new(&config.namespace)?,
            durability: config.durability,
            lease: config.lease,
            wake: config.wake,
            poll_interval: config.poll_interval,
            workers: config.workers,
            timeout: config.timeout,
            listening: Listening::default(),
            counters: config.counters.clone(),
            notes: (config.wake == Wake::Notify).then(|| notify::NOTE.to_owned()).into_iter().collect(),
        })
    }

    /// The server for people.
    pub(super) fn place(&self) -> &str {
        &self.server.place
    }

    /// Name under which sessions of `role` show themselves on the server: tells runs in different schemas apart.
    pub(super) fn application_name(&self, role: Role) -> String {
        let mut name = format!("qbench:{}:{}:{}", self.backend, role.name(), self.namespace.name());
        // The server would cut it, too, and we compare it with what the server shows. All of it is ASCII.
        name.truncate(LONGEST);
        name
    }

    /// Where a session of `role` counts its round trips: in the run's counter, or, on the control side, nowhere.
    pub(super) fn counters(&self, role: Role) -> ClientCounters {
        match role {
            Role::Admin | Role::Listener => ClientCounters::default(),
            Role::Producer | Role::Consumer => self.counters.clone(),
        }
    }

    /// Where the run counts how its workers learn of work.
    pub(super) fn counts(&self) -> ClientCounters {
        self.counters.clone()
    }

    /// Where notifications are counted; `None` where whoever makes jobs ready tells nobody.
    pub(super) fn notifying(&self) -> Option<ClientCounters> {
        (self.wake == Wake::Notify).then(|| self.counts())
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
        let options = self.server.options.clone().application_name(&self.application_name(role));
        match role {
            Role::Admin => options.options(ADMIN_SETTINGS),
            Role::Producer | Role::Consumer | Role::Listener => options,
        }
    }
}

/// Settings of every session, sent with the connection itself so that they cost no round trip.
///
/// Only class D1 lets a commit return before it is on the disk. D0 needs no such thing: its tables are unlogged, so there is
/// nothing of a job to wait for, and the class stays one difference and not two.
///
/// Plans are pinned, for all backends alike. A worker prepares its statements on an empty table; left alone, the server
/// would either plan every single call (the limit of a claim makes a generic plan look dear) or keep a sequential scan
/// that was free on the empty table, until autovacuum looks at the table for the first time. And once a backlog is large,
/// the estimate of a generic claim passes the JIT threshold, and every call would be compiled. The manifest shows these settings.
fn session_settings(durability: Durability) -> [(&'static str, &'static str); 4] {
    let synchronous_commit = match durability {
        Durability::D0 | Durability::D2 => "on",
        Durability::D1 => "off",
    };
    [
        ("synchronous_commit", synchronous_commit),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
    ]
}

/// Settings of the control side on top of those. The depth's plan, too, is made on an empty table, where sorting all waiting
/// jobs seems as cheap as reading the first of them in the order of the index.
const ADMIN_SETTINGS: [(&str, &str); 1] = [("enable_sort", "off")];

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::BackendOptions;
use crate::url::ServerUrl;
    use crate::error::ErrorKind;

    pub(crate) fn config(url: &str) -> BackendConfig {
        BackendConfig {
            url: Some(ServerUrl::new(url)),
            namespace: "qbench".to_owned(),
            durability: Durability::D2,
            lease: Duration::from_secs(30),
            wake: Wake::Poll,
            poll_interval: Duration::from_millis(10),
            workers: 1,
            timeout: Duration::from_secs(5),
            options: BackendOptions::default(),
            counters: ClientCounters::default(),
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused_without_its_password() {
        for url in ["redis://:s3cret@127.0.0.1", "127.0.0.1:5432", "postgres://ann:s3cret@:port/x"] {
            let error = Target::new("skip_locked", &config(url)).err().expect(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("is not the address of a PostgreSQL server"), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn sessions_name_themselves_and_carry_the_durability_class() {
        let target = Target::new("skip_locked", &config("postgres://ann@db/x")).expect("a good configuration");
        let session = target.session(Role::Consumer);
        assert_eq!(session.get_application_name(), Some("qbench:skip_locked:consumer:qbench"));
        assert!(session.get_options().is_some_and(|options| options.contains("synchronous_commit=on")));
        for (class, value) in [(Durability::D0, "on"), (Durability::D1, "off"), (Durability::D2, "on")] {
            assert_eq!(session_settings(class)[0], ("synchronous_commit", value));
        }
    }

    #[test]
    fn a_session_s_name_is_what_the_server_will_show() {
        let config = BackendConfig { namespace: "n".repeat(60), ..config("postgres://ann@db/x") };
        let target = Target::new("delete_returning", &config).expect("a good configuration");
        assert_eq!(target.application_name(Role::Consumer).len(), LONGEST);
    }

    #[test]
    fn only_producers_and_consumers_count_round_trips() {
        let config = config("postgres://ann@db/x");
        let target = Target::new("skip_locked", &config).expect("a good configuration");
        for role in [Role::Admin, Role::Producer, Role::Consumer, Role::Listener] {
            target.counters(role).add_request();
        }
        assert_eq!(config.counters.requests(), 2);
    }
}
