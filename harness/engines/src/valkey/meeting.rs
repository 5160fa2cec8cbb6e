//! Shards of one run meet on a given Valkey: each has a key that it renews, with how far it is, beside the key of the lock, which then holds the name of
//! the run. What a dead shard leaves expires within a minute.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use qbench_backends::ServerUrl;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError};
use tokio::task::JoinSet;

use crate::services::given::said;
use crate::services::lock::{LIFETIME, RENEWAL, new_holder};
use crate::services::meeting::{Joined, Meeting, Party, Stage, by_number};

/// Takes or renews lock (key 1) for the run (argument 1) and seat (key 2) for this shard (argument 2, its stage is argument 3). Returns the run, or who
/// is in the way.
const SIT: &str = "local run = redis.call('GET', KEYS[1]) \
     if run and run ~= ARGV[1] then return run end \
     local seat = redis.call('HGET', KEYS[2], 'holder') \
     if seat and seat ~= ARGV[2] then return seat end \
     redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4]) \
     redis.call('HSET', KEYS[2], 'holder', ARGV[2], 'stage', ARGV[3]) \
     redis.call('PEXPIRE', KEYS[2], ARGV[4]) \
     return ARGV[1]";
/// Gives up the seat (key 2), when it is ours, and the lock (key 1) with the last of all seats (keys from 3 on).
const LEAVE: &str = "if redis.call('HGET', KEYS[2], 'holder') == ARGV[2] then redis.call('DEL', KEYS[2]) end \
     for place = 3, #KEYS do if redis.call('EXISTS', KEYS[place]) == 1 then return 0 end end \
     if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end \
     return 1";

/// Names of keys, and what they hold.
struct Names {
    lock: String,
    /// Of every shard, in the order of their numbers.
    seats: Vec<String>,
    own: String,
    run: String,
    holder: String,
}

impl Names {
    fn new(namespace: &str, party: &Party) -> Self {
        let seat = |number: u32| format!("{namespace}:shard:{}:{number}", party.run_key);
        Names {
            lock: format!("{namespace}:lock"),
            seats: (1..=party.shard.of).map(seat).collect(),
            own: seat(party.shard.number),
            run: format!("the shards of run {}", party.run_key),
            holder: format!("shard {} of this very run: {}", party.shard, new_holder()),
        }
    }

    fn sit(&self, stage: Stage) -> Cmd {
        let mut sit = redis::cmd("EVAL");
        sit.arg(SIT).arg(2).arg(&self.lock).arg(&self.own);
        sit.arg(&self.run).arg(&self.holder).arg(stage.to_string()).arg(LIFETIME.as_millis() as u64);
        sit
    }

    fn leave(&self) -> Cmd {
        let mut leave = redis::cmd("EVAL");
        leave.arg(LEAVE).arg(2 + self.seats.len()).arg(&self.lock).arg(&self.own).arg(&self.seats);
        leave.arg(&self.run).arg(&self.holder);
        leave
    }
}

/// The keys, and the task that renews them and ends with this value.
struct Seat {
    connection: MultiplexedConnection,
    names: Arc<Names>,
    stage: Arc<Mutex<Stage>>,
    renewal: JoinSet<()>,
}

/// Joins the other shards of `party` on the server at `url`, where `namespace` is worked on.
pub(super) async fn join(url: &ServerUrl, namespace: &str, party: &Party) -> Result<Joined, RedisError> {
    let mut connection = redis::Client::open(url.expose())?.get_multiplexed_async_connection().await?;
    let names = Arc::new(Names::new(namespace, party));
    let found: String = names.sit(Stage::Joined).query_async(&mut connection).await?;
    if found != names.run {
        return Ok(Joined::Other(found));
    }
    let stage = Arc::new(Mutex::new(Stage::Joined));
    let mut renewal = JoinSet::new();
    renewal.spawn(renew(connection.clone(), Arc::clone(&names), Arc::clone(&stage)));
    Ok(Joined::Seat(Box::new(Seat { connection, names, stage, renewal })))
}

/// Renews the seat for as long as it is asked. A server that is away for a while is asked again.
async fn renew(mut connection: MultiplexedConnection, names: Arc<Names>, stage: Arc<Mutex<Stage>>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let now = *stage.lock().unwrap_or_else(PoisonError::into_inner);
        let _: Result<(), RedisError> = names.sit(now).exec_async(&mut connection).await;
    }
}

#[async_trait]
impl Meeting for Seat {
    async fn announce(&mut self, stage: Stage) -> Result<(), String> {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        let found: String = self.names.sit(stage).query_async(&mut self.connection).await.map_err(said)?;
        if found == self.names.run { Ok(()) } else { Err(format!("somebody else works there now: {found}")) }
    }

    async fn stages(&mut self) -> Result<Vec<Option<Stage>>, String> {
        let mut questions = redis::pipe();
        for seat in &self.names.seats {
            questions.cmd("HGET").arg(seat).arg("stage");
        }
        let words: Vec<Option<String>> = questions.query_async(&mut self.connection).await.map_err(said)?;
        let told = (1..).zip(words).filter_map(|(number, word)| Some((number, word?)));
        by_number(self.names.seats.len() as u32, told)
    }

    async fn server_us(&mut self) -> Result<i64, String> {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut self.connection).await.map_err(said)?;
        Ok(seconds * 1_000_000 + micros)
    }

    async fn leave(self: Box<Self>) {
        let Seat { mut connection, names, renewal, .. } = *self;
        drop(renewal);
        // Keys that cannot be removed expire.
        let _ = names.leave().exec_async(&mut connection).await;
    }
}
