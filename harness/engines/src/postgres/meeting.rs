//! Shards of one run meet on a given PostgreSQL: each has a session, whose name says which shard it is and how far. The shared form of the lock that
//! keeps two runs apart lets them in together. All of it ends with the session.

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::lock::holders;
use crate::services::given::said;
use crate::services::meeting::{Joined, Meeting, Party, Stage, by_number};

/// What the sessions of one run's shards are called, before their numbers.
fn name_of(party: &Party) -> String {
    format!("qbench:shard {} ", party.run_key)
}

/// The session of one shard.
struct Seat {
    connection: PgConnection,
    party: Party,
}

/// Joins the other shards of `party` on the server at `url`, where `namespace` is worked on.
pub(super) async fn join(url: &ServerUrl, namespace: &str, party: &Party) -> Result<Joined, sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    let options = options.application_name(&session_name(party, Stage::Joined)).disable_statement_logging();
    let mut connection = options.connect().await?;
    let entered: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock_shared(hashtextextended($1, 0))")
        .bind(namespace)
        .fetch_one(&mut connection)
        .await?;
    let strangers = |holders: Vec<String>| holders.into_iter().find(|holder| !holder.starts_with(&name_of(party)));
    if let Some(stranger) = strangers(holders(&mut connection, namespace).await?) {
        return Ok(Joined::Other(stranger));
    }
    if !entered {
        return Ok(Joined::Other("which has just ended".to_owned()));
    }
    let seat = format!("{namespace} {} {}", party.run_key, party.shard);
    let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(seat)
        .fetch_one(&mut connection)
        .await?;
    if !is_free {
        return Ok(Joined::Other(format!("shard {} of this very run", party.shard)));
    }
    Ok(Joined::Seat(Box::new(Seat { connection, party: party.clone() })))
}

/// A short hash, a number and a word: far below the 63 characters that PostgreSQL keeps.
fn session_name(party: &Party, stage: Stage) -> String {
    format!("{}{} {stage}", name_of(party), party.shard.number)
}

#[async_trait]
impl Meeting for Seat {
    async fn announce(&mut self, stage: Stage) -> Result<(), String> {
        let name = session_name(&self.party, stage);
        sqlx::query("SELECT set_config('application_name', $1, false)")
            .bind(name)
            .execute(&mut self.connection)
            .await
            .map(drop)
            .map_err(said)
    }

    async fn stages(&mut self) -> Result<Vec<Option<Stage>>, String> {
        let prefix = name_of(&self.party);
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT substr(application_name, length($1) + 1) FROM pg_stat_activity
             WHERE datname = current_database() AND starts_with(application_name, $1)",
        )
        .bind(&prefix)
        .fetch_all(&mut self.connection)
        .await
        .map_err(said)?;
        let told = names.iter().filter_map(|name| {
            let (number, word) = name.split_once(' ')?;
            Some((number.parse().ok()?, word.to_owned()))
        });
        by_number(self.party.shard.of, told)
    }

    async fn server_us(&mut self) -> Result<i64, String> {
        const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
        sqlx::query_scalar(CLOCK).fetch_one(&mut self.connection).await.map_err(said)
    }

    async fn leave(self: Box<Self>) {
        // The locks go with the session, however that ends.
        let _ = self.connection.close().await;
    }
}
