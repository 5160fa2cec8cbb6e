//! `<run>_valkey_stats.csv`: Valkey (or Redis) about itself, a row per tick, in one round trip over a connection of its own.

use std::collections::HashMap;
use std::time::Duration;

use qbench_backends::ServerUrl;
use qbench_schema::files::RunFiles;
use qbench_schema::server_stats::ValkeyStatsRow;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Value, from_redis_value};

use super::counters::Counters;
use super::notes::Notes;
use super::rows::{RowFile, two_digits};
use super::ticks::Ticks;
use super::window::AofSize;
use qbench_ground::clock::RunClock;

/// Name under which the monitor's connection shows in `CLIENT LIST`.
const CLIENT_NAME: &str = "qbench:monitor";

/// Longest wait for one sample. The server has one main thread; whatever blocks it blocks our question as well.
const SAMPLE_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Shortest time over which the main thread's CPU is worth a percentage.
const SHORTEST_SPAN_US: u64 = 50_000;

/// Sections of INFO that a row is made of.
const SECTIONS: [&str; 6] = ["clients", "memory", "persistence", "stats", "cpu", "commandstats"];

/// Samples a Valkey server.
pub(crate) struct ValkeyMonitor {
    clock: RunClock,
    url: ServerUrl,
    keys: Vec<String>,
    notes: Notes,
    file: RowFile,
    connection: Option<MultiplexedConnection>,
    counters: Counters,
    /// Instant and main-thread CPU of the previous sample.
    last_cpu: Option<(u64, f64)>,
    aof: Vec<AofSize>,
}

impl ValkeyMonitor {
    /// Creates the file; the first sample connects. `keys` are the backend's; those that are streams are watched.
    pub(crate) fn new(clock: RunClock, url: ServerUrl, keys: Vec<String>, files: &RunFiles, notes: &Notes) -> Self {
        ValkeyMonitor {
            clock,
            url,
            keys,
            notes: notes.clone(),
            file: RowFile::create(&files.valkey_stats(), notes),
            connection: None,
            counters: Counters::default(),
            last_cpu: None,
            aof: Vec::new(),
        }
    }

    /// Writes a row now, one per tick, and a last one when the monitors are stopped. Returns the sizes of the append-only
    /// file at each.
    pub(crate) async fn run(mut self, mut ticks: Ticks) -> Vec<AofSize> {
        self.sample().await;
        while ticks.next().await {
            self.sample().await;
        }
        self.sample().await;
        self.aof
    }

    async fn sample(&mut self) {
        if self.connection.is_none() {
            match connect(&self.url).await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    self.notes.add("connect the Valkey monitor", format!("{}: {error}", self.url));
                    return;
                }
            }
        }
        let Some(connection) = &mut self.connection else { return };
        let at_us = self.clock.now_us();
        match ask(connection, &self.keys).await {
            Ok(answer) => {
                self.aof.extend(AofSize::of(&answer.info, at_us));
                let row = self.row(at_us, &answer);
                self.file.append(&row);
            }
            Err(error) => {
                self.notes.add("sample Valkey's statistics, the row is left out", error);
                self.connection = None;
            }
        }
    }

    fn row(&mut self, at_us: u64, answer: &Answer) -> ValkeyStatsRow {
        let info = &answer.info;
        let mut calls = |name: &'static str, command: &str| self.counters.total(name, info.command(command, "calls"));
        let [xadd_calls_total, xreadgroup_calls_total, xack_calls_total, xdel_calls_total, xautoclaim_calls_total] = [
            calls("xadd_calls", "xadd"),
            calls("xreadgroup_calls", "xreadgroup"),
            calls("xack_calls", "xack"),
            calls("xdel_calls", "xdel"),
            calls("xautoclaim_calls", "xautoclaim"),
        ];
        let mut used_us = |name: &'static str, command: &str| self.counters.total(name, info.command(command, "usec"));
        let [xadd_us_total, xreadgroup_us_total, xack_us_total, xdel_us_total] = [
            used_us("xadd_us", "xadd"),
            used_us("xreadgroup_us", "xreadgroup"),
            used_us("xack_us", "xack"),
            used_us("xdel_us", "xdel"),
        ];
        ValkeyStatsRow {
            at_us,
            stream_length: answer.stream.map(|stream| stream.length),
            pending: answer.stream.map(|stream| stream.pending),
            used_memory_bytes: info.count("used_memory"),
            rss_bytes: info.count("used_memory_rss"),
            stream_bytes: answer.stream.map(|stream| stream.bytes),
            ops_s: info.count("instantaneous_ops_per_sec"),
            commands_total: self.counters.total("commands", info.count("total_commands_processed")),
            clients: info.count("connected_clients"),
            blocked_clients: info.count("blocked_clients"),
            cpu_main_thread_pct: self.main_thread_pct(at_us, info),
            aof_bytes: (info.count("aof_enabled") == 1).then(|| info.count("aof_current_size")),
            xadd_calls_total,
            xadd_us_total,
            xreadgroup_calls_total,
            xreadgroup_us_total,
            xack_calls_total,
            xack_us_total,
            xdel_calls_total,
            xdel_us_total,
            xautoclaim_calls_total,
        }
    }

    /// CPU of the main thread since the previous sample; empty for the first one, for one that follows so soon that it
    /// would mostly show the cost of being asked (the last one of a run), and where the server does not tell.
    fn main_thread_pct(&mut self, at_us: u64, info: &Info) -> Option<f64> {
        let cpu_s = info.get::<f64>("used_cpu_sys_main_thread")? + info.get::<f64>("used_cpu_user_main_thread")?;
        let Some((last_us, last_s)) = self.last_cpu else {
            self.last_cpu = Some((at_us, cpu_s));
            return None;
        };
        let elapsed_us = at_us.saturating_sub(last_us);
        if elapsed_us < SHORTEST_SPAN_US {
            return None;
        }
        self.last_cpu = Some((at_us, cpu_s));
        // A restarted server starts again at zero; that one sample tells nothing.
        (cpu_s >= last_s).then(|| two_digits(100.0 * (cpu_s - last_s) * 1e6 / elapsed_us as f64))
    }
}

/// What the server said to one sample.
struct Answer {
    info: Info,
    /// Empty when none of the keys is a stream.
    stream: Option<StreamUse>,
}

/// The streams among the keys, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct StreamUse {
    length: u64,
    pending: u64,
    bytes: u64,
}

/// Connects to the server at `url`.
pub(super) async fn connect(url: &ServerUrl) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(Some(SAMPLE_LIMIT));
    let client = Client::open(url.expose())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME).exec_async(&mut connection).await?;
    Ok(connection)
}

/// One pipeline: INFO, and length, groups and memory of every key. A key that is no stream, or not there yet, answers
/// with an error of its own, which says just that.
async fn ask(connection: &mut MultiplexedConnection, keys: &[String]) -> Result<Answer, RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    pipeline.cmd("INFO").arg(&SECTIONS[..]);
    for key in keys {
        pipeline.cmd("XLEN").arg(key);
        pipeline.cmd("XINFO").arg("GROUPS").arg(key);
        // With the default number of samples this costs microseconds, however long the stream.
        pipeline.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let replies: Vec<Result<Value, RedisError>> = pipeline.query_async(connection).await?;
    let mut replies = replies.into_iter();
    let info: String = from_redis_value(replies.next().unwrap_or(Ok(Value::Nil))?)?;
    let mut stream = None;
    while let (Some(length), Some(groups), Some(bytes)) = (replies.next(), replies.next(), replies.next()) {
        let (Ok(length), Ok(groups), Ok(bytes)) = (length, groups, bytes) else { continue };
        let sum: &mut StreamUse = stream.get_or_insert_default();
        sum.length += from_redis_value::<u64>(length)?;
        sum.bytes += from_redis_value::<Option<u64>>(bytes)?.unwrap_or(0);
        for group in from_redis_value::<Vec<HashMap<String, Value>>>(groups)? {
            if let Some(pending) = group.get("pending") {
                sum.pending += from_redis_value::<u64>(pending.clone())?;
            }
        }
    }
    Ok(Answer { info: Info::parse(&info), stream })
}

/// The reply of INFO: fields by name.
pub(super) struct Info(HashMap<String, String>);

impl Info {
    pub(super) fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Info(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A field as a number; `None` where the server does not have it.
    pub(super) fn get<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.parse().ok()
    }

    /// A field as a count, zero where the server does not have it.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.get(name).unwrap_or(0)
    }

    /// `field` of `cmdstat_<command>`, a line such as `calls=21,usec=175,usec_per_call=8.33`.
    fn command(&self, command: &str, field: &str) -> u64 {
        let value = |line: &String| {
            line.split(',')
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| *name == field)
                .and_then(|(_, value)| value.parse().ok())
        };
        self.0.get(&format!("cmdstat_{command}")).and_then(value).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_gives_fields_and_the_statistics_of_commands() {
        let info = Info::parse(
            "# Memory\r\nused_memory:1024\r\n\r\n# CPU\r\nused_cpu_sys_main_thread:1.5\r\n# Commandstats\r\n\
             cmdstat_xadd:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0\r\n",
        );
        assert_eq!(info.count("used_memory"), 1024);
        assert_eq!(info.get("used_cpu_sys_main_thread"), Some(1.5));
        assert_eq!((info.command("xadd", "calls"), info.command("xadd", "usec")), (21, 175));
        assert_eq!(info.command("xdel", "calls"), 0, "a command that was never used has no line");
    }
}
