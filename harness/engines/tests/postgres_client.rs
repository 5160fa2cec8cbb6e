//! Both clients for PostgreSQL, our own and the general driver, against private servers: the same sessions, the same logins, the
//! same errors, and neither is put out by what a server may say at any time.

mod consuming;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consuming::{ack, claim};
use qbench_backends::registry;
use qbench_backends::{
    AckStatus, Backend, BackendConfig, BackendOptions, Error, ErrorKind, JobId, Lease, NewJob, Producer, ProducerId,
    ServerUrl, WorkerId,
};
use qbench_engines::postgres::PostgresServer;
use qbench_engines::services::StartOptions;
use qbench_schema::result::Durability;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::timeout;

const NAMESPACE: &str = "qbench_client";
const CLIENTS: [&str; 2] = ["thin", "sqlx"];

/// A private server, and a connection past the backends.
struct Rig {
    server: PostgresServer,
    raw: PgConnection,
}

impl Rig {
    async fn start() -> Self {
        let server = PostgresServer::start(StartOptions::new(Durability::D1)).await.expect("PostgreSQL starts");
        let raw = PgConnection::connect(server.url().expose()).await.expect("connects");
        Rig { server, raw }
    }

    async fn execute(&mut self, script: &str) {
        self.raw.execute(sqlx::raw_sql(AssertSqlSafe(script.to_owned()))).await.expect(script);
    }

    async fn text(&mut self, question: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(&mut self.raw).await.expect(question)
    }

    /// A queue of skip_locked that producers and workers use with `client`.
    async fn queue(&self, client: &str) -> Arc<dyn Backend> {
        set_up(&config(self.server.url(), client)).await
    }

    /// How many sessions of the queue's producers or consumers there are.
    async fn sessions(&mut self, role: &str) -> i64 {
        let question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        let name = format!("qbench:skip_locked:{role}:{NAMESPACE}");
        sqlx::query_scalar(question).bind(name).fetch_one(&mut self.raw).await.expect("counts")
    }

    async fn stop(self) {
        drop(self.raw);
        self.server.stop().await.expect("PostgreSQL ends");
    }
}

fn config(url: &ServerUrl, client: &str) -> BackendConfig {
    BackendConfig {
        url: Some(url.clone()),
        durability: Durability::D1,
        timeout: Duration::from_secs(20),
        options: BackendOptions::new([("pg_client", client), ("plans", "pinned")]),
        ..BackendConfig::new(NAMESPACE)
    }
}

fn open(config: &BackendConfig) -> Arc<dyn Backend> {
    registry::find("skip_locked").expect("registered").open(config).expect("opens")
}

async fn set_up(config: &BackendConfig) -> Arc<dyn Backend> {
    let backend = open(config);
    backend.admin().await.expect("connects").setup().await.expect("sets up");
    backend
}

async fn producer(backend: &dyn Backend) -> Box<dyn Producer> {
    backend.producer(ProducerId(0)).await.expect("connects")
}

fn jobs(numbers: std::ops::Range<u64>, payload: &Bytes) -> Vec<NewJob> {
    numbers.map(|job| NewJob { job: JobId(job), payload: payload.clone() }).collect()
}

fn job(number: u64) -> Vec<NewJob> {
    jobs(number..number + 1, &Bytes::from_static(b"payload"))
}

/// Claims everything, 10,000 at a time, and acks it.
async fn drain(backend: &dyn Backend) -> Vec<Lease> {
    let mut consumer = backend.consumer(WorkerId(0)).await.expect("connects");
    let mut all = Vec::new();
    loop {
        let leases = claim(&mut consumer, 10_000, Duration::ZERO).await;
        if leases.is_empty() {
            return all;
        }
        assert_eq!(ack(&mut consumer, &leases).await, vec![AckStatus::Acked; leases.len()]);
        all.extend(leases);
    }
}

fn numbers(leases: &[Lease]) -> Vec<u64> {
    leases.iter().map(|lease| lease.job.0).collect()
}

/// `url` with another user and password.
fn url_of(url: &ServerUrl, user: &str, password: &str) -> ServerUrl {
    let (_, place) = url.expose().rsplit_once('@').expect("a user");
    ServerUrl::new(format!("postgres://{user}:{password}@{place}"))
}

#[tokio::test]
async fn both_clients_ask_for_the_same_session() {
    // What a session is shows only within it, so a trigger writes it down.
    const NOTE_IT: &str = "
        CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen SELECT new.job, name, setting, source FROM pg_settings WHERE name <> 'transaction_read_only';
            RETURN new;
        END $$;
        CREATE TABLE seen (job bigint, name text, setting text, source text);";
    const DIFFERENT: &str = "
        SELECT coalesce(string_agg(concat_ws(' ', name, a.setting, a.source, b.setting, b.source), '; '), '')
        FROM (SELECT * FROM seen WHERE job = 0) a FULL JOIN (SELECT * FROM seen WHERE job = 1) b USING (name)
        WHERE (a.setting, a.source) IS DISTINCT FROM (b.setting, b.source)";
    let mut rig = Rig::start().await;
    rig.execute(NOTE_IT).await;
    let url = ServerUrl::new(format!(
        "{}&options=-c%20lock_timeout%3D7s&options[geqo]=off&application_name=ignored",
        rig.server.url().expose()
    ));
    for (number, client) in (0..).zip(CLIENTS) {
        let backend = set_up(&config(&url, client)).await;
        rig.execute(
            "CREATE TRIGGER note_it BEFORE INSERT ON qbench_client.jobs FOR EACH ROW EXECUTE FUNCTION note_it()",
        )
        .await;
        producer(&*backend).await.enqueue(&job(number)).await.expect("enqueues");
    }
    assert_eq!(rig.text(DIFFERENT).await, "");
    let set = "SELECT string_agg(concat(name, '=', setting), ' ' ORDER BY name) FROM seen WHERE job = 0 AND name IN \
               ('application_name', 'geqo', 'lock_timeout', 'plan_cache_mode', 'synchronous_commit', 'TimeZone')";
    assert_eq!(
        rig.text(set).await,
        "TimeZone=UTC application_name=qbench:skip_locked:producer:qbench_client geqo=off lock_timeout=7000 \
         plan_cache_mode=force_generic_plan synchronous_commit=off"
    );
    rig.stop().await;
}

#[tokio::test]
async fn every_way_to_log_in_with_a_password_works_and_a_wrong_one_is_refused_in_one_sentence() {
    // What pg_hba.conf calls it, and how the server keeps the password.
    const WAYS: [(&str, &str); 4] =
        [("scram-sha-256", "scram-sha-256"), ("md5", "md5"), ("password", "scram-sha-256"), ("trust", "md5")];
    let mut rig = Rig::start().await;
    let hba_file = rig.text("SHOW hba_file").await;
    let mut lines = "VALUES ('host all qbench 127.0.0.1/32 scram-sha-256')".to_owned();
    for (way, kept) in WAYS {
        let user = format!("by {way}");
        // With what a URL must encode, and what SASLprep changes.
        let role =
            format!("SET password_encryption = '{kept}'; CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD 'p@ss:/% ª'");
        rig.execute(&role).await;
        lines.push_str(&format!(", ('host all \"{user}\" 127.0.0.1/32 {way}')"));
    }
    // In its text format COPY would double backslashes; there are none.
    rig.execute(&format!("COPY ({lines}) TO '{hba_file}'")).await;
    rig.execute("SELECT pg_reload_conf()").await;
    for (way, _) in WAYS {
        let user = format!("by%20{way}");
        let right = url_of(rig.server.url(), &user, "p%40ss%3A%2F%25%20%C2%AA");
        let wrong = url_of(rig.server.url(), &user, "wr0ng");
        let mut said = Vec::new();
        for client in CLIENTS {
            let backend = set_up(&config(&right, client)).await;
            producer(&*backend).await.enqueue(&job(1)).await.expect("enqueues");
            assert_eq!(numbers(&drain(&*backend).await), [1], "{way} {client}");
            match open(&config(&wrong, client)).producer(ProducerId(0)).await {
                Ok(_) => assert_eq!(way, "trust", "{client} logs in with a wrong password"),
                Err(error) => said.push((error.kind(), error.to_string())),
            }
        }
        if way != "trust" {
            let (kind, sentence) = &said[0];
            assert_eq!((*kind, said.len()), (ErrorKind::Connect, 2), "{way}");
            assert!(sentence.contains("password authentication failed") && sentence.contains("28P01"), "{sentence}");
            assert!(sentence.contains("check user and password"), "{sentence}");
            assert!(!sentence.contains("wr0ng"), "{sentence}");
            assert_eq!(said[0], said[1], "{way}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_unix_socket_leads_to_the_server_and_a_demand_for_tls_nowhere() {
    let mut rig = Rig::start().await;
    let directory = rig.text("SHOW unix_socket_directories").await;
    assert!(!directory.is_empty(), "the private directory's path is too long for a socket in it");
    let sockets = ServerUrl::new(format!("{}&host={directory}", rig.server.url().expose()));
    let tls = ServerUrl::new(rig.server.url().expose().replace("sslmode=disable", "sslmode=require"));
    for client in CLIENTS {
        let backend = set_up(&config(&sockets, client)).await;
        let mut connected = producer(&*backend).await;
        connected.enqueue(&job(1)).await.expect("enqueues");
        let over_sockets = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name LIKE '%:producer:%' AND client_addr IS NULL";
        assert_eq!(rig.text(over_sockets).await, "1", "{client}");
        assert_eq!(numbers(&drain(&*backend).await), [1], "{client}");
        drop(connected);

        let error = open(&config(&tls, client)).producer(ProducerId(0)).await.err().expect("a refusal");
        assert_eq!(error.kind(), ErrorKind::Connect, "{client}");
        let sentence = error.to_string();
        assert!(sentence.ends_with("this program speaks no TLS: use sslmode=disable"), "{sentence}");
        assert!(!sentence.contains(". "), "one sentence: {sentence}");
        while rig.sessions("producer").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    rig.stop().await;
}

/// What a refused enqueue says, and whether the same connection then enqueues what it is told.
async fn refused(rig: &mut Rig, client: &str, break_it: &str, mend_it: &str) -> (Error, bool) {
    let url = ServerUrl::new(format!("{}&options=-c%20lock_timeout%3D200ms", rig.server.url().expose()));
    let backend = set_up(&config(&url, client)).await;
    let mut producer = producer(&*backend).await;
    producer.enqueue(&job(1)).await.expect("enqueues");
    let pids = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE application_name LIKE '%:producer:%'";
    let before = rig.text(pids).await;
    rig.execute(break_it).await;
    let error = producer.enqueue(&job(2)).await.expect_err(break_it);
    rig.execute(mend_it).await;
    producer.enqueue(&job(3)).await.expect("enqueues again");
    let kept = rig.text(pids).await == before;
    assert_eq!(numbers(&drain(&*backend).await), [1, 3], "{client}: {break_it}");
    (error, kept)
}

#[tokio::test]
async fn errors_of_the_server_mean_the_same_from_both_clients() {
    let cases = [
        (
            "BEGIN; LOCK TABLE qbench_client.jobs",
            "COMMIT",
            "55P03",
            ErrorKind::Rejected,
            "another session holds the table",
        ),
        (
            "ALTER TABLE qbench_client.jobs RENAME TO gone",
            "ALTER TABLE qbench_client.gone RENAME TO jobs",
            "42P01",
            ErrorKind::Server,
            "run setup first",
        ),
        (
            "ALTER TABLE qbench_client.jobs ADD CONSTRAINT small CHECK (job < 2)",
            "ALTER TABLE qbench_client.jobs DROP CONSTRAINT small",
            "23514",
            ErrorKind::Server,
            "violates check constraint \"small\"; Failing row contains",
        ),
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'no' USING ERRCODE = '40P01', DETAIL = 'detail', HINT = 'hint.';
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON qbench_client.jobs EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON qbench_client.jobs; DROP FUNCTION refuse",
            "40P01",
            ErrorKind::Rejected,
            "no; detail; hint",
        ),
    ];
    let mut rig = Rig::start().await;
    for (break_it, mend_it, code, kind, words) in cases {
        let mut said = Vec::new();
        for client in CLIENTS {
            let (error, kept) = refused(&mut rig, client, break_it, mend_it).await;
            assert_eq!((error.kind(), error.count_key()), (kind, code), "{client}: {error}");
            assert!(error.to_string().contains(words), "{client}: {error}");
            assert!(kept, "{client}: {code} cost the connection");
            said.push(error.to_string());
        }
        // A failing row shows its id, which the sequence does not give twice.
        if code != "23514" {
            assert_eq!(said[0], said[1]);
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_made_anew_with_its_statements() {
    const END: &str =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'qbench:%'";
    let mut rig = Rig::start().await;
    for client in CLIENTS {
        let backend = rig.queue(client).await;
        let mut producer = producer(&*backend).await;
        let mut consumer = backend.consumer(WorkerId(0)).await.expect("connects");
        producer.enqueue(&job(1)).await.expect("enqueues");
        let first = claim(&mut consumer, 10, Duration::ZERO).await;
        rig.execute(END).await;
        let error = producer.enqueue(&job(2)).await.expect_err("its session was ended");
        assert_eq!((error.kind(), error.count_key()), (ErrorKind::Unknown, "57P01"), "{client}: {error}");
        let error = consumer.acker.ack(&first, &mut Vec::new()).await.expect_err("its session was ended");
        assert_eq!((error.kind(), error.count_key()), (ErrorKind::Unknown, "57P01"), "{client}: {error}");
        let error =
            consumer.claimer.claim(1, Duration::ZERO, &mut Vec::new()).await.expect_err("its session was ended");
        assert_eq!((error.kind(), error.count_key()), (ErrorKind::Unknown, "57P01"), "{client}: {error}");
        for number in 3..6 {
            producer.enqueue(&job(number)).await.expect("enqueues");
        }
        assert_eq!(ack(&mut consumer, &first).await, [AckStatus::Acked], "{client}");
        assert_eq!(numbers(&claim(&mut consumer, 10, Duration::ZERO).await), [3, 4, 5], "{client}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_the_server_says_unasked_is_not_taken_for_an_answer() {
    // A notice, a warning and a setting that changes, within the enqueue of every row.
    const TALK: &str = "
        CREATE OR REPLACE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE NOTICE 'job %', new.job;
            RAISE WARNING 'a job' USING DETAIL = repeat('x', 30000);
            PERFORM set_config('TimeZone', CASE new.job % 2 WHEN 0 THEN 'UTC' ELSE 'Europe/Vienna' END, false);
            RETURN new;
        END $$;
        CREATE TRIGGER talk BEFORE INSERT ON qbench_client.jobs FOR EACH ROW EXECUTE FUNCTION talk()";
    // And a notification, which the general driver takes for an error wherever nobody reads notifications.
    const NOTIFY: &str = "
        CREATE OR REPLACE FUNCTION notify() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            LISTEN talk;
            PERFORM pg_notify('talk', new.job::text);
            RETURN new;
        END $$;
        CREATE TRIGGER notify BEFORE INSERT ON qbench_client.jobs FOR EACH ROW EXECUTE FUNCTION notify()";
    let mut rig = Rig::start().await;
    for client in CLIENTS {
        let backend = rig.queue(client).await;
        rig.execute(TALK).await;
        if client == "thin" {
            rig.execute(NOTIFY).await;
        }
        let mut producer = producer(&*backend).await;
        producer.enqueue(&jobs(0..20, &Bytes::new())).await.expect("enqueues");
        for number in 20..40 {
            producer.enqueue(&job(number)).await.expect("enqueues");
        }
        assert_eq!(numbers(&drain(&*backend).await), (0..40).collect::<Vec<_>>(), "{client}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn large_payloads_and_many_rows_come_back_as_they_went() {
    let rig = Rig::start().await;
    for client in CLIENTS {
        let backend = rig.queue(client).await;
        let mut producer = producer(&*backend).await;
        let large: Bytes = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut consumer = backend.consumer(WorkerId(0)).await.expect("connects");
        producer.enqueue(&jobs(0..5, &large)).await.expect("enqueues");
        producer.enqueue(&jobs(5..10_000, &Bytes::from_static(b"small"))).await.expect("enqueues");
        producer.enqueue(&jobs(10_000..10_001, &Bytes::new())).await.expect("enqueues");
        let leases = claim(&mut consumer, 10_000, Duration::ZERO).await;
        assert_eq!(numbers(&leases), (0..10_000).collect::<Vec<_>>(), "{client}");
        for lease in &leases {
            let expected: &[u8] = if lease.job.0 < 5 { &large } else { b"small" };
            assert!(lease.payload == expected && lease.attempt == 1, "{client}: {}", lease.job.0);
        }
        assert_eq!(ack(&mut consumer, &leases).await, vec![AckStatus::Acked; 10_000], "{client}");
        let last = drain(&*backend).await;
        assert_eq!((numbers(&last), last[0].payload.len()), (vec![10_000], 0), "{client}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_or_that_nobody_waits_for_costs_its_connection() {
    const LIMIT: Duration = Duration::from_millis(400);
    let mut rig = Rig::start().await;
    for client in CLIENTS {
        let backend = rig.queue(client).await;
        let config = BackendConfig { timeout: LIMIT, ..config(rig.server.url(), client) };
        let mut hasty = producer(&*open(&config)).await;
        let mut dropped = producer(&*backend).await;
        hasty.enqueue(&job(1)).await.expect("enqueues");
        dropped.enqueue(&job(2)).await.expect("enqueues");
        rig.execute("BEGIN; LOCK TABLE qbench_client.jobs").await;
        let error = hasty.enqueue(&job(3)).await.expect_err("the table is locked");
        assert_eq!(error.kind(), ErrorKind::Unknown, "{client}");
        assert!(error.to_string().ends_with("no answer within 400ms; the connection was given up"), "{error}");
        timeout(LIMIT, dropped.enqueue(&job(4))).await.expect_err("the table is locked");
        rig.execute("COMMIT").await;
        // Were a connection used again, its answers would be those of the statements before.
        for number in 5..8 {
            hasty.enqueue(&job(number)).await.expect("enqueues");
            dropped.enqueue(&jobs(10 * number..10 * number + 3, &Bytes::new())).await.expect("enqueues");
        }
        drop((hasty, dropped));
        while rig.sessions("producer").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut found = numbers(&drain(&*backend).await);
        found.sort_unstable();
        // What was given up may or may not have happened.
        found.retain(|number| ![3, 4].contains(number));
        assert_eq!(found, [1, 2, 5, 6, 7, 50, 51, 52, 60, 61, 62, 70, 71, 72], "{client}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_statement_is_prepared_once_per_session() {
    // What a session has prepared is shown only within it, so a trigger writes it down.
    const NOTE_IT: &str = "
        CREATE TABLE kept (statements bigint);
        CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO kept SELECT count(*) FROM pg_prepared_statements;
            RETURN new;
        END $$;
        CREATE TRIGGER note_it BEFORE INSERT ON qbench_client.jobs FOR EACH ROW EXECUTE FUNCTION note_it()";
    let mut rig = Rig::start().await;
    let backend = rig.queue("thin").await;
    rig.execute(NOTE_IT).await;
    let mut producer = producer(&*backend).await;
    for number in 0..50 {
        producer.enqueue(&job(number)).await.expect("enqueues");
    }
    assert_eq!(rig.text("SELECT string_agg(statements::text, ' ') FROM kept").await, ["1"; 50].join(" "));
    rig.stop().await;
}
